"""The diffusion UNet. Source: AudioLDM 2, arXiv:2308.05734; latent diffusion, arXiv:2112.10752.

Every published variant (base, large, speech, T5 only, FiLM) is this class with another `UNetConfig`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import (
    F,
    Linear,
    Tensor,
    additive_mask,
    attention,
    merge_heads,
    nn,
    split_heads,
    unflatten,
    xp,
)
from ppaudioldm.models.resnet import ResBlock, group_norm

RESNET_EPS = 1e-5
TRANSFORMER_EPS = 1e-6


def timestep_features(timesteps: np.ndarray, dim: int) -> np.ndarray:
    """Sinusoids of `timesteps` (B,), cosines first: (B, dim) float32.

    An input of the network rather than a part of it: in bfloat16 these would lose most of their precision.
    """
    frequencies = np.exp(-math.log(10000) * np.arange(dim // 2) / (dim // 2))
    angles = np.asarray(timesteps, np.float64)[:, None] * frequencies
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


class Attention(nn.Module):
    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(channels, channels, bias=False)
        self.key = Linear(context_dim, channels, bias=False)
        self.value = Linear(context_dim, channels, bias=False)
        self.out = Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, L, channels), context (B, S, context_dim), mask added to the scores (B, 1, 1, S) or None."""
        query, key, value = (
            split_heads(projected, self.heads) for projected in (self.query(x), self.key(context), self.value(context))
        )
        return self.out(merge_heads(attention(query, key, value, mask)))


class FeedForward(nn.Module):
    """GEGLU: value * gelu(gate). One wide projection in the published files, two here: no split to copy."""

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

    def forward(self, x: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        h = self.norm1(x)
        x = x + self.self_attention(h, h, None)
        h = self.norm2(x)
        x = x + self.cross_attention(h, h if context is None else context, mask)
        return x + self.feed_forward(self.norm3(x))


class Transformer(nn.Module):
    """Transformer blocks over the positions of a feature map, around a skip connection."""

    def __init__(self, config: UNetConfig, channels: int, context_dim: int | None) -> None:
        super().__init__()
        heads = channels // config.head_dim
        self.norm = group_norm(channels, TRANSFORMER_EPS)
        self.proj_in = Linear(channels, channels)
        self.blocks = nn.ModuleList(
            [TransformerBlock(channels, context_dim, heads) for _ in range(config.transformer_depth)]
        )
        self.proj_out = Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        """x (B, C, T, F) -> same shape. Positions are time-major: t * F + f."""
        h = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))  # (B, T*F, C)
        for block in self.blocks:
            h = block(h, context, mask)
        # The bands F are static and split off the end, so that T may be dynamic in a trace.
        h = unflatten(self.proj_out(h).transpose(1, 2), 2, (-1, x.shape[3]))
        return x + h


class Transformers(nn.Module):
    """The transformers of one place, in turn: one without context, then one per entry of `context_dims`."""

    def __init__(self, config: UNetConfig, channels: int) -> None:
        super().__init__()
        dims = (None, *config.context_dims)
        self.layers = nn.ModuleList([Transformer(config, channels, dim) for dim in dims])
        self.has_context = [dim is not None for dim in dims]

    def forward(self, x: Tensor, contexts: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        given = 0
        for i, layer in enumerate(self.layers):
            if self.has_context[i]:
                x = layer(x, contexts[given], masks[given])
                given += 1
            else:
                x = layer(x, None, None)
        return x


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by its transformers if the level has attention."""

    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__()
        channels = config.model_channels * config.channel_mult[level]
        self.resnets = nn.ModuleList([ResBlock(n, channels, RESNET_EPS, emb_dim) for n in in_channels])
        has_attention = level in config.attention_levels
        self.transformers = nn.ModuleList([Transformers(config, channels) for _ in in_channels if has_attention])

    def block(self, i: int, x: Tensor, emb: Tensor, contexts: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        """Residual block `i` of the level and its transformers."""
        x = self.resnets[i](x, emb)
        return self.transformers[i](x, contexts, masks) if len(self.transformers) else x


class DownLevel(Level):
    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__(config, level, in_channels, emb_dim)
        channels = config.model_channels * config.channel_mult[level]
        is_last = level == len(config.channel_mult) - 1
        self.downsample = None if is_last else nn.Conv2d(channels, channels, 3, stride=2, padding=1)


class UpLevel(Level):
    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__(config, level, in_channels, emb_dim)
        channels = config.model_channels * config.channel_mult[level]
        self.upsample = nn.Conv2d(channels, channels, 3, padding=1) if level else None


class Middle(nn.Module):
    def __init__(self, config: UNetConfig, emb_dim: int) -> None:
        super().__init__()
        channels = config.model_channels * config.channel_mult[-1]
        self.resnet_in = ResBlock(channels, channels, RESNET_EPS, emb_dim)
        self.transformers = Transformers(config, channels)
        self.resnet_out = ResBlock(channels, channels, RESNET_EPS, emb_dim)

    def forward(self, x: Tensor, emb: Tensor, contexts: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        x = self.transformers(self.resnet_in(x, emb), contexts, masks)
        return self.resnet_out(x, emb)


class UNet(nn.Module):
    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        first = config.model_channels
        emb_dim = config.time_embed_dim
        self.time_in = Linear(first, emb_dim)
        self.time_out = Linear(emb_dim, emb_dim)
        self.film = Linear(config.film_dim, emb_dim) if config.film_dim else None
        emb_dim += emb_dim if config.film_dim else 0  # the two are concatenated
        down, up = _channel_plan(config)
        self.conv_in = nn.Conv2d(config.in_channels, first, 3, padding=1)
        self.down_levels = nn.ModuleList([DownLevel(config, i, channels, emb_dim) for i, channels in enumerate(down)])
        self.middle = Middle(config, emb_dim)
        # The way up begins at the coarsest level.
        levels = reversed(range(len(up)))
        self.up_levels = nn.ModuleList([UpLevel(config, level, up[level], emb_dim) for level in levels])
        self.norm_out = group_norm(first, RESNET_EPS)
        self.conv_out = nn.Conv2d(first, config.in_channels, 3, padding=1)

    def forward(
        self,
        latents: Tensor,
        time_features: Tensor,
        contexts: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        film: Tensor | None = None,
    ) -> Tensor:
        """Predict the noise (or v, see DiffusionConfig.prediction) in `latents`.

        latents: (B, 8, T, 16), T latent frames (10.24 s is 256), T and bands divisible by `config.downsampling`.
        time_features: (B, 128), see `timestep_features`. contexts: one (B, L, D) for each entry of
        `config.context_dims` that is not None; masks: (B, L) for each, 1 = attend. film: (B, film_dim).
        Returns noise_pred with the shape of `latents`. Raises ValueError on a wrong number of contexts.
        Source: AudioLDM 2, arXiv:2308.05734.
        """
        self._check_inputs(contexts, masks, film)
        masks = [additive_mask(mask) for mask in masks]
        emb = self.time_out(F.silu(self.time_in(time_features)))
        if self.film is not None:
            emb = xp.cat([emb, self.film(film)], 1)
        x = self.conv_in(latents)
        skips = [x]
        for level in self.down_levels:
            for i in range(len(level.resnets)):
                x = level.block(i, x, emb, contexts, masks)
                skips.append(x)
            if level.downsample is not None:
                x = level.downsample(x)
                skips.append(x)
        x = self.middle(x, emb, contexts, masks)
        for level in self.up_levels:
            for i in range(len(level.resnets)):
                x = level.block(i, xp.cat([x, skips.pop()], 1), emb, contexts, masks)
            if level.upsample is not None:
                x = level.upsample(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(x)))

    def _check_inputs(self, contexts: Sequence[Tensor], masks: Sequence[Tensor], film: Tensor | None) -> None:
        expected = sum(dim is not None for dim in self.config.context_dims)
        if len(contexts) != expected or len(masks) != expected:
            raise ValueError(f"expected {expected} contexts with masks, got {len(contexts)} and {len(masks)}")
        if (film is None) != (self.film is None):
            raise ValueError(
                f"film is {'required' if film is None else 'not used'} with film_dim={self.config.film_dim}"
            )


def _channel_plan(config: UNetConfig) -> tuple[list[list[int]], list[list[int]]]:
    """Input channels of every residual block, by level: on the way down, and on the way up (skip included)."""
    widths = [config.model_channels * mult for mult in config.channel_mult]
    skips = [config.model_channels]
    down = []
    for level, width in enumerate(widths):
        down.append([skips[-1]] + [width] * (config.num_res_blocks - 1))
        skips += [width] * (config.num_res_blocks + (level < len(widths) - 1))
    up: list[list[int]] = [[] for _ in widths]
    current = widths[-1]
    for level in reversed(range(len(widths))):
        for _ in range(config.num_res_blocks + 1):
            up[level].append(current + skips.pop())
            current = widths[level]
    return down, up


def _check(config: UNetConfig) -> None:
    for level, mult in enumerate(config.channel_mult):
        channels = config.model_channels * mult
        if channels % 32:
            raise ValueError(f"{channels} channels at level {level} are not divisible by the 32 groups of a norm")
        if level in config.attention_levels and channels % config.head_dim:
            raise ValueError(f"{channels} channels at level {level} are not divisible by head_dim={config.head_dim}")
