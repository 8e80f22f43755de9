"""Sampling: noise schedule, samplers and guidance, as arithmetic on arrays that knows no network."""
