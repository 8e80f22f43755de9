"""CLAP's text encoder: the embedding of a prompt in the joint space of audio and text.

RoBERTa-base (arXiv:1907.11692) with CLAP's projection (arXiv:2211.06687).
"""

from __future__ import annotations

from ppaudioldm.config import ClapTextConfig
from ppaudioldm.framework import F, Linear, Tensor, additive_mask, attention, merge_heads, nn, split_heads, xp

NORM_EPS = 1e-5


class ClapText(nn.Module):
    """Token ids -> unit vector in CLAP's joint space."""

    def __init__(self, config: ClapTextConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.num_layers)])
        self.pooler = Linear(config.hidden_size, config.hidden_size)
        self.projection_in = Linear(config.hidden_size, config.projection_dim)
        self.projection_out = Linear(config.projection_dim, config.projection_dim)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The L2-normalised embedding (B, 512) of `ids` (B, L) int64.

        mask: (B, L) float, 1 = token, 0 = padding, which may hold any id and does not change the result. L is at most
        `max_positions - 2`. As in the published code, it is pooled from the first token.
        """
        x = self.embeddings(ids, mask)
        bias = additive_mask(mask)
        for layer in self.layers:
            x = layer(x, bias)
        pooled = xp.tanh(self.pooler(x[:, 0]))
        return F.normalize(self.projection_out(F.relu(self.projection_in(pooled))))


class _Embeddings(nn.Module):
    def __init__(self, config: ClapTextConfig) -> None:
        super().__init__()
        self.first_position = config.pad_token_id
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.token_types = nn.Embedding(1, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=NORM_EPS)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        # Integers, since a running sum in half precision is wrong beyond 256. The first token has position
        # pad_token_id + 1, all padding pad_token_id.
        is_token = mask.to(xp.int64)
        positions = xp.cumsum(is_token, 1) * is_token + self.first_position
        return self.norm(self.words(ids) + self.positions(positions) + self.token_types.weight)


class _Layer(nn.Module):
    """Post-norm transformer block."""

    def __init__(self, config: ClapTextConfig) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_heads
        self.query = Linear(size, size)
        self.key = Linear(size, size)
        self.value = Linear(size, size)
        self.attention_out = Linear(size, size)
        self.attention_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.feed_forward_in = Linear(size, inner)
        self.feed_forward_out = Linear(inner, size)
        self.feed_forward_norm = nn.LayerNorm(size, eps=NORM_EPS)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (split_heads(f(x), self.heads) for f in (self.query, self.key, self.value))
        x = self.attention_norm(x + self.attention_out(merge_heads(attention(query, key, value, bias))))
        return self.feed_forward_norm(x + self.feed_forward_out(F.gelu(self.feed_forward_in(x))))
