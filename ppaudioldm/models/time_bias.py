"""Attention that falls with the distance in time between a frame of the latents and a token of the context.

Source: attention with linear biases (ALiBi), arXiv:2108.12409, from one sequence to another. Without it a UNet knows
the time of a frame from the padding of its convolutions alone, and learns slowly which token belongs to which frame.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.framework import Tensor, constant, xp

# Of successive heads, again and again. The last attends to any time.
SLOPES = (1.0, 0.25, 0.5, 0.0)


def time_bias(x: Tensor, tokens: Tensor, heads: int, position_frames: int, token_frames: int) -> Tensor:
    """What is added to the attention scores: (1, heads, T * F, S), 0 where position and token are at the same time.

    x: (B, C, T, F), whose positions attend, each `position_frames` latent frames long. tokens: (B, S, D), of
    `token_frames` each. The distance counts in the longer of the two.
    """
    bands = constant(np.ones((1, x.shape[3]), np.float32), x)
    positions = ((_centres(x[0, 0, :, 0]) * position_frames).unsqueeze(1) * bands).flatten()
    distance = xp.abs(positions.unsqueeze(1) - (_centres(tokens[0, :, 0]) * token_frames).unsqueeze(0))
    slopes = constant(np.resize(np.array(SLOPES, np.float32), heads)[:, None, None], x)
    return (distance / -max(position_frames, token_frames) * slopes).unsqueeze(0)


def _centres(like: Tensor) -> Tensor:
    """0.5, 1.5, ... for each entry of `like` (N,); N may be dynamic in a trace."""
    return xp.cumsum(xp.ones_like(like).to(xp.float32), 0) - 0.5
