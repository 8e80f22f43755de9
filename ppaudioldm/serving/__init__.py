"""A server around the pipeline: jobs and their queue, what is kept of them on disk, and HTTP on top."""
