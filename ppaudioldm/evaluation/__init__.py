"""Measures of generated clips: CLAP score, Fréchet distance, KL divergence, recognition accuracy; and of speed."""
