"""Sinusoidal timestep features: the input of the UNet's timestep embedding."""

from __future__ import annotations

import math

import numpy as np


def timestep_features(timesteps: np.ndarray, dim: int) -> np.ndarray:
    """Sinusoids of `timesteps` (B,), cosines first: (B, dim) float32.

    They are computed outside the network and are an input of it: in bfloat16 they would lose most of their precision.
    Source: DDPM, arXiv:2006.11239, with cosines and sines in the order of latent diffusion's code.
    """
    frequencies = np.exp(-math.log(10000) * np.arange(dim // 2) / (dim // 2))
    angles = np.asarray(timesteps, np.float64)[:, None] * frequencies
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
