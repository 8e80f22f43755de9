"""Tasks beyond generation from a prompt: speech of any length, and sound from a recording. One task a file."""
