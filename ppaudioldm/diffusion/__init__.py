"""Diffusion sampling: noise schedule, samplers, guidance and windows, as arithmetic on arrays without any network."""
