"""Audio signals in NumPy, without networks: files, mel front-ends, filters, cross-fades, loudness, pictures."""
