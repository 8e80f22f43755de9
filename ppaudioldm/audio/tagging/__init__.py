"""Tags in sound files: a module for each way in which a format stores them, and `files` for all formats."""
