"""Which errors of LOA tokens matter: those that change the latents.

Most of the variance of AudioMAE's tokens says little about the sound: where in the clip a token is, and what all tokens
of a clip have in common. GPT-2 learns that first. A linear map from tokens to the latents of their time weighs the
errors of its tokens by what they change.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.framework import Tensor, xp

NEIGHBOURS = (-1, 0, 1)  # the tokens that the latents of a token's time are mapped from, counted from it
RIDGE = 30.0  # times the identity, in the normal equations: tokens have a variance of about 1


def latent_map(loa: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """The linear map from tokens to latents with the least squared error: (neighbours, D, values) float32.

    loa: (B, N, D), normalised. latents: (B, channels, T, bands), T a multiple of N; `values` are those of the
    T / N frames of a token.
    """
    count, tokens, size = loa.shape
    targets = latents.transpose(0, 2, 1, 3).reshape(count * tokens, -1)
    inputs = _around(loa.astype(np.float64)).reshape(count * tokens, -1)
    inputs, targets = inputs - inputs.mean(0), targets - targets.mean(0)
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
    found = np.linalg.solve(gram, inputs.T @ targets)
    return found.reshape(len(NEIGHBOURS), size, -1).astype(np.float32)


def _around(loa: np.ndarray) -> np.ndarray:
    """Each token with its neighbours, (B, N, neighbours * D); zeros beyond the ends."""
    most, tokens = max(NEIGHBOURS), loa.shape[1]
    padded = np.pad(loa, ((0, 0), (most, most), (0, 0)))
    return np.concatenate([padded[:, most + n : most + n + tokens] for n in NEIGHBOURS], 2)


def latent_error(errors: Tensor, latent_map: Tensor) -> Tensor:
    """The squared errors of latents, (B, N, values), that `errors` of tokens (B, N, D) make by `latent_map`."""
    zeros, tokens = xp.zeros_like(errors[:, :1]), errors.shape[1]
    most = max(NEIGHBOURS)
    padded = xp.concat([zeros] * most + [errors] + [zeros] * most, 1)
    parts = [padded[:, most + n : most + n + tokens] for n in NEIGHBOURS]
    return sum(xp.matmul(part, latent_map[i]) for i, part in enumerate(parts)) ** 2
