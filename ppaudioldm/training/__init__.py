"""Training the networks from nothing, on Paddle or PyTorch; see docs/training.md."""
