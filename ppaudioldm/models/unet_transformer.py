"""The transformer of the UNet: attention over the positions of a feature map, to itself or to a context.

Source: latent diffusion, arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import F, Linear, Tensor, attention, merge_heads, nn, split_heads, unflatten, xp
from ppaudioldm.models.resnet import group_norm
from ppaudioldm.models.time_bias import time_bias

EPS = 1e-6


class Attention(nn.Module):
    """Multi-head attention to x itself or to a context, whose keys and values may be computed beforehand."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.channels = channels
        self.query = Linear(channels, channels, bias=False)
        self.key = Linear(context_dim, channels, bias=False)
        self.value = Linear(context_dim, channels, bias=False)
        self.out = Linear(channels, channels)

    def project(self, context: Tensor) -> Tensor:
        """Keys and values of `context` (B, S, context_dim), side by side: (B, S, 2 * channels)."""
        return xp.cat([self.key(context), self.value(context)], 2)

    def to_itself(self, x: Tensor) -> Tensor:
        """x (B, L, channels) attends to x."""
        return self._attended(x, self.key(x), self.value(x), None)

    def to_context(self, x: Tensor, keys_values: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, L, channels), keys_values from `project`, mask added to the scores (B, heads or 1, L or 1, S)."""
        key, value = xp.chunk(keys_values, 2, 2)
        return self._attended(x, key, value, mask)

    def _attended(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (split_heads(y, self.heads) for y in (self.query(x), key, value))
        return self.out(merge_heads(attention(query, key, value, mask)))


class FeedForward(nn.Module):
    """GEGLU (arXiv:2002.05202): value * gelu(gate). Published files hold both projections in one; two save a copy."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = Linear(channels, 4 * channels)
        self.gate = Linear(channels, 4 * channels)
        self.out = Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.value(x) * F.gelu(self.gate(x)))


class TransformerBlock(nn.Module):
    """Self-attention, attention to the context (to itself again if it has none), feed-forward."""

    def __init__(self, channels: int, context_dim: int | None, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.self_attention = Attention(channels, channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.cross_attention = Attention(channels, context_dim or channels, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.feed_forward = FeedForward(channels)

    def forward(self, x: Tensor, keys_values: Tensor | None, mask: Tensor | None) -> Tensor:
        x = x + self.self_attention.to_itself(self.norm1(x))
        h, cross = self.norm2(x), self.cross_attention
        x = x + (cross.to_itself(h) if keys_values is None else cross.to_context(h, keys_values, mask))
        return x + self.feed_forward(self.norm3(x))


class Transformer(nn.Module):
    """Transformer blocks over the positions of a feature map, with a skip connection.

    position_frames: latent frames of a position. token_frames: of a token of the context, 0 if that is at no time.
    """

    def __init__(
        self,
        config: UNetConfig,
        channels: int,
        context_dim: int | None,
        position_frames: int = 1,
        token_frames: int = 0,
    ) -> None:
        super().__init__()
        self.position_frames = position_frames
        self.token_frames = token_frames
        heads, width = channels // config.head_dim, config.attention_width(channels)
        self.norm = group_norm(channels, EPS)
        self.proj_in = Linear(channels, width)
        self.blocks = nn.ModuleList(
            [TransformerBlock(width, context_dim, heads) for _ in range(config.transformer_depth)]
        )
        self.proj_out = Linear(width, channels)

    def forward(self, x: Tensor, keys_values: Sequence[Tensor] = (), mask: Tensor | None = None) -> Tensor:
        """x (B, C, T, F) -> same shape. Positions are time-major: t * F + f.

        keys_values: of the context, for each block; none for a transformer without context.
        """
        h = self.proj_in(self.norm(x).permute([0, 2, 3, 1]).flatten(1, 2))  # (B, T*F, width)
        if mask is not None and self.token_frames:
            heads = self.blocks[0].cross_attention.heads
            mask = mask + time_bias(x, keys_values[0], heads, self.position_frames, self.token_frames)
        for i, block in enumerate(self.blocks):
            h = block(h, keys_values[i] if keys_values else None, mask)
        # The bands F are static and split off the end, so that T may be dynamic in a trace.
        h = unflatten(self.proj_out(h), 1, (-1, x.shape[3])).permute([0, 3, 1, 2])
        return x + h
