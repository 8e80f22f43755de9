"""The phoneme encoder of speech checkpoints: the states of a transcript's phonemes, a condition of GPT-2.

The text encoder of VITS (arXiv:2106.06103), a transformer with relative positions (arXiv:1803.02155) and convolutions.
"""

from __future__ import annotations

import math

import numpy as np

from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.framework import (
    F,
    Linear,
    Tensor,
    additive_mask,
    constant,
    merge_heads,
    nn,
    split_heads,
    xp,
)

NORM_EPS = 1e-5
KERNEL = 3  # of the convolutions


class PhonemeEncoder(nn.Module):
    """Phoneme ids -> one state per phoneme."""

    def __init__(self, config: PhonemeEncoderConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.scale = math.sqrt(size)
        self.window = config.window_size
        self.with_embeddings = config.with_embeddings
        self.embedding = nn.Embedding(config.vocab_size, size)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.num_layers)])
        self.positions = nn.Parameter(xp.empty([1, size, config.max_phonemes]))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The states (B, 310, 192) of `ids` (B, 310) int64, padded with 0 at the end, and their mask (B, 310) float.

        The mask is 1 for as many positions as there are ids other than 0. States at padding are the positional table.
        With `with_embeddings` the embeddings of the ids follow in the states, (B, 310, 384), 0 at padding.
        """
        numbers = xp.cumsum(xp.ones_like(ids), 1)  # 1, 2, 3, ...
        x = embeddings = self.embedding(ids) * self.scale
        mask = (numbers <= xp.clip(ids, 0, 1).sum(1, keepdim=True)).to(x.dtype)
        bias, column, near = additive_mask(mask), mask.unsqueeze(2), self._near(ids).to(x.dtype)
        for layer in self.layers:
            x = layer(x, bias, column, near)
        states = x * column + self.positions.transpose(1, 2)
        return xp.concat([states, embeddings * column], 2) if self.with_embeddings else states, mask

    def _near(self, ids: Tensor) -> Tensor:
        """The distance from each query to each key, one-hot (L, L, 2 * window + 1); all zeros beyond the window."""
        positions = xp.cumsum(xp.ones_like(ids[0]), 0)
        distances = positions.unsqueeze(0) - positions.unsqueeze(1)
        beyond = self.window + 1
        one_hot = np.eye(2 * beyond + 1, dtype=np.float32)[:, 1:-1]
        return F.embedding(xp.clip(distances, -beyond, beyond) + beyond, constant(np.ascontiguousarray(one_hot), ids))


class _Layer(nn.Module):
    """Post-norm transformer block, whose feed-forward network is made of convolutions."""

    def __init__(self, config: PhonemeEncoderConfig) -> None:
        super().__init__()
        size, width, heads = config.hidden_size, config.feed_forward_size, config.num_heads
        self.heads = heads
        self.query = Linear(size, size)
        self.key = Linear(size, size)
        self.value = Linear(size, size)
        self.attention_out = Linear(size, size)
        # One row per distance, from -window to window, for all heads.
        self.relative_keys = nn.Parameter(xp.empty([1, 2 * config.window_size + 1, size // heads]))
        self.relative_values = nn.Parameter(xp.empty([1, 2 * config.window_size + 1, size // heads]))
        self.attention_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.feed_forward_in = nn.Conv1d(size, width, KERNEL, padding=KERNEL // 2)
        self.feed_forward_out = nn.Conv1d(width, size, KERNEL, padding=KERNEL // 2)
        self.feed_forward_norm = nn.LayerNorm(size, eps=NORM_EPS)

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor, near: Tensor) -> Tensor:
        """x: (B, L, C). bias: (B, 1, 1, L), added to the scores. mask: (B, L, 1). near: (L, L, distances)."""
        x = self.attention_norm(x + self._attention(x, bias, near))
        row = mask.transpose(1, 2)
        inner = F.relu(self.feed_forward_in((x * mask).transpose(1, 2)))
        return self.feed_forward_norm(x + self.feed_forward_out(inner * row).transpose(1, 2))

    def _attention(self, x: Tensor, bias: Tensor, near: Tensor) -> Tensor:
        # In float32, as `framework.attention` has it too: scores of large activations exceed what float16 can hold.
        bias, near = bias.to(xp.float32), near.to(xp.float32)
        query, key, value = (split_heads(f(x), self.heads).to(xp.float32) for f in (self.query, self.key, self.value))
        relative_keys, relative_values = (w.to(xp.float32) for w in (self.relative_keys, self.relative_values))
        query = query / math.sqrt(query.shape[-1])
        # The score of every query for every distance, then for every key by its distance.
        # Four axes for the tables: Paddle has no gradient of a product of four axes with three.
        by_distance = xp.matmul(query, relative_keys.unsqueeze(0).transpose(2, 3)).permute(2, 0, 1, 3)
        by_key = xp.matmul(by_distance, near.transpose(1, 2).unsqueeze(1)).permute(1, 2, 0, 3)
        weights = F.softmax(xp.matmul(query, key.transpose(2, 3)) + by_key + bias, -1)
        # The attention weight of every query for every distance.
        weights_by_distance = xp.matmul(weights.permute(2, 0, 1, 3), near.unsqueeze(1)).permute(1, 2, 0, 3)
        heads = xp.matmul(weights, value) + xp.matmul(weights_by_distance, relative_values.unsqueeze(0))
        return self.attention_out(merge_heads(heads).to(x.dtype))
