"""LOA tokens that are added to the latent frames of their time, each band by a projection of its own.

Cross-attention adds the same vector to all bands of a frame, which then has to hold the whole spectrum of the token.
Where tokens follow each other in time, as in speech, a linear map from a token to its frames says most of it.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import Linear, Tensor, constant, is_traced, nn, unflatten, xp


class FrameTokens(nn.Module):
    """Tokens, projected beforehand, are added to a feature map of the finest level."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.frames, self.bands, self.channels = config.loa_frames, config.loa_bands, config.model_channels
        # Without a bias: tokens of zeros, the unconditional ones, add nothing.
        token_dim = next(dim for dim in config.context_dims if dim is not None)
        self.projection = Linear(token_dim, self.width, bias=False)

    @property
    def width(self) -> int:
        return self.bands * self.channels

    def forward(self, x: Tensor, projected: Tensor) -> Tensor:
        """x (B, C, T, bands). projected: (B, S, bands * C), of tokens; frames beyond the last one get none."""
        parts = [projected.unsqueeze(2)] * self.frames
        each_frame = xp.cat(parts, 2).flatten(1, 2)  # (B, S * frames, bands * C)
        none = xp.zeros_like(x[:, 0, :, :1]) + constant(np.zeros((1, 1, self.width), np.float32), x).to(x.dtype)
        each_frame = _first(xp.cat([each_frame, none], 1), x)
        return x + unflatten(each_frame, 2, (self.bands, self.channels)).permute([0, 3, 1, 2])


def _first(frames: Tensor, like: Tensor) -> Tensor:
    """The first of `frames` (B, N, D), as many as `like` (B, C, T, bands) has."""
    if not is_traced():
        return frames[:, : like.shape[2]]
    # In a trace a length is unknown: counted instead.
    count = xp.cumsum(xp.ones_like(like[0, 0, :, 0]), 0) - 1
    return xp.gather(frames, count.to(xp.int64), 1)
