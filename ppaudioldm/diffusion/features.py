"""What the UNet is told of the time: sinusoids."""

from __future__ import annotations

import math

import numpy as np


def timestep_features(timesteps: np.ndarray, dim: int) -> np.ndarray:
    """Sinusoids of `timesteps` (B,), cosines first: (B, dim) float32.

    An input of the network rather than a part of it: in bfloat16 these would lose most of their precision.
    """
    frequencies = np.exp(-math.log(10000) * np.arange(dim // 2) / (dim // 2))
    angles = np.asarray(timesteps, np.float64)[:, None] * frequencies
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
