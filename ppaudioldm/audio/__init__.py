"""Sound outside the networks: files, spectrograms."""
