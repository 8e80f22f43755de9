"""GPT-2 base on embeddings: continues the sequence of conditions with LOA tokens, autoregressively.

Radford et al., "Language models are unsupervised multitask learners", 2019. No token table, no output head.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.config import GPT2Config
from ppaudioldm.framework import F, Linear, Tensor, attention, merge_heads, nn, split_heads, xp

NORM_EPS = 1e-5


class GPT2(nn.Module):
    """Embeddings -> hidden states, with causal attention."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=NORM_EPS)

    def forward(self, embeddings: Tensor, mask: Tensor, cache: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Hidden states after the final norm, and `cache` extended by the keys and values of `embeddings`.

        embeddings: (B, L, 768), those after the S positions in `cache`; S + L is at most `max_positions`.
        mask: (B, S + L) float key mask, 1 = attend. Positions count masked ones too.
        cache: keys and values of the first layer, of the second, ..., each (B, heads, S, 64); S may be 0.
        Returns (B, L, 768) and arrays (B, heads, S + L, 64).
        """
        positions, bias = _positions_and_bias(embeddings, mask)
        x = embeddings + self.positions(positions)
        extended: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            x, keys, values = layer(x, bias, *cache[2 * index : 2 * index + 2])
            extended += [keys, values]
        return self.norm(x), extended


def _positions_and_bias(embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (L,) of `embeddings`, and the causal and key mask, added to the scores: (B, 1, L, S + L)."""
    # Lengths are sums of ones, so that they may be dynamic in a trace; integers, since a running sum in half precision
    # is wrong beyond 256.
    ones = xp.ones_like(embeddings[0, :, 0], dtype=xp.int64)
    all_ones = xp.ones_like(mask[0], dtype=xp.int64)
    keys = xp.cumsum(all_ones, 0) - 1
    queries = xp.cumsum(ones, 0) - 1 + (all_ones.sum() - ones.sum())
    causal = (keys.unsqueeze(0) <= queries.unsqueeze(1)).to(mask.dtype)
    allowed = mask.unsqueeze(1) * causal.unsqueeze(0)
    return queries, ((1.0 - allowed) * -1e4).unsqueeze(1)


class _Layer(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_heads
        self.attention_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.qkv = Linear(size, 3 * size)
        self.attention_out = Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.feed_forward_in = Linear(size, 4 * size)
        self.feed_forward_out = Linear(4 * size, size)

    def forward(self, x: Tensor, bias: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`x` of the next layer, and `keys` and `values` with those of `x` appended."""
        query, key, value = (split_heads(y, self.heads) for y in xp.chunk(self.qkv(self.attention_norm(x)), 3, -1))
        keys, values = xp.concat([keys, key], 2), xp.concat([values, value], 2)
        x = x + self.attention_out(merge_heads(attention(query, keys, values, bias)))
        inner = F.gelu(self.feed_forward_in(self.feed_forward_norm(x)), approximate="tanh")
        return x + self.feed_forward_out(inner), keys, values
