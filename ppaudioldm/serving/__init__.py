"""A server for the pipeline: requests as jobs in a queue, results on disk, and HTTP on top."""
