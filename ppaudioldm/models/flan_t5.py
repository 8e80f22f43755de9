"""FLAN-T5's encoder: the states of a prompt's tokens, a context of the UNet's cross-attention.

T5 1.1 (arXiv:1910.10683, arXiv:2002.05202 for the gated feed-forward), tuned on instructions (arXiv:2210.11416).

Some channels of its hidden states reach thousands. In half precision float16 would overflow there, so the sum of the
layers' outputs, the norms' variance and the second product of each feed-forward are float32, as published
implementations have it; the other products are in the precision of their weights.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.config import T5Config
from ppaudioldm.framework import (
    F,
    Linear,
    Tensor,
    additive_mask,
    attention,
    constant,
    merge_heads,
    nn,
    split_heads,
    xp,
)


class FlanT5Encoder(nn.Module):
    """Token ids -> one state per token."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.relative_bias = nn.Embedding(config.relative_buckets, config.num_heads)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.num_layers)])
        self.norm = _RMSNorm(config.hidden_size)
        self.max_distance = config.relative_max_distance
        distances = np.arange(-self.max_distance, self.max_distance + 1)
        self.buckets = relative_buckets(distances, config.relative_buckets, self.max_distance)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The encoder's states (B, L, 1024) of `ids` (B, L) int64.

        mask: (B, L) float, 1 = token, 0 = padding, which may hold any id; the states at padding mean nothing. Any L.
        """
        bias = self._position_bias(ids) + additive_mask(mask)
        x = self.embedding(ids).to(xp.float32)
        for layer in self.layers:
            x = layer(x, bias)
        return self.norm(x)

    def _position_bias(self, ids: Tensor) -> Tensor:
        """The relative position bias, added to the scores of every layer: (1, heads, L, L)."""
        positions = xp.cumsum(xp.ones_like(ids[0]), 0)
        distances = positions.unsqueeze(0) - positions.unsqueeze(1)
        # All distances from `max_distance` on share a bucket, so a table up to there is enough for any length.
        rows = xp.clip(distances, -self.max_distance, self.max_distance) + self.max_distance
        bias_of_distance = self.relative_bias(constant(self.buckets, ids))
        return F.embedding(rows, bias_of_distance).permute(2, 0, 1).unsqueeze(0)


def relative_buckets(distances: np.ndarray, num_buckets: int, max_distance: int) -> np.ndarray:
    """T5's bucket of each `distances` = key position - query position, int64.

    Half the buckets are for keys ahead. In each half, one bucket for every short distance, then widths that grow
    geometrically up to `max_distance`; all beyond falls into the last.
    """
    half = num_buckets // 2
    exact = half // 2
    steps = np.abs(distances)
    growth = np.log(np.maximum(steps, exact) / exact) / np.log(max_distance / exact)
    # 1e-6: the logarithm of an exact power, rounded down, must not fall into the bucket below.
    wide = np.minimum(exact + np.floor(growth * (half - exact) + 1e-6), half - 1)
    return (np.where(steps < exact, steps, wide) + np.where(distances > 0, half, 0)).astype(np.int64)


class _RMSNorm(nn.Module):
    """LayerNorm without mean and bias, of float32; the result has the precision of the weight."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(xp.empty([size]))

    def forward(self, x: Tensor) -> Tensor:
        normed = x * xp.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
        return normed.to(self.weight.dtype) * self.weight


class _Layer(nn.Module):
    """Pre-norm transformer block; no biases, no scaling of the scores."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        size, inner, width = config.hidden_size, config.num_heads * config.head_dim, config.feed_forward_size
        self.heads = config.num_heads
        self.attention_norm = _RMSNorm(size)
        self.query = Linear(size, inner, bias=False)
        self.key = Linear(size, inner, bias=False)
        self.value = Linear(size, inner, bias=False)
        self.attention_out = Linear(inner, size, bias=False)
        self.feed_forward_norm = _RMSNorm(size)
        self.gate = Linear(size, width, bias=False)
        self.up = Linear(size, width, bias=False)
        self.feed_forward_out = Linear(width, size, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x: (B, L, C) float32, as the result. bias: added to the scores, see `FlanT5Encoder.forward`."""
        normed = self.attention_norm(x)
        query, key, value = (split_heads(f(normed), self.heads) for f in (self.query, self.key, self.value))
        x = x + self.attention_out(merge_heads(attention(query, key, value, bias, scale=1.0)))
        normed = self.feed_forward_norm(x)
        gate, up, precision = self.gate(normed), self.up(normed), self.feed_forward_out.weight.dtype
        return x + self.feed_forward_out(F.gelu(gate, approximate="tanh").to(precision) * up.to(precision))
