"""The levels of the UNet, each of one resolution: residual blocks, which may be followed by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import F, Tensor, is_traced, nn, xp
from ppaudioldm.models.frame_tokens import FrameTokens
from ppaudioldm.models.resnet import ResBlock
from ppaudioldm.models.unet_transformer import Transformer

RESNET_EPS = 1e-5


@dataclass(frozen=True)
class StepConditioning:
    """Conditioning of one forward pass: time embedding, cross-attention keys and values in layer order.

    emb: (B, emb_dim), of the timestep; with FiLM, of the global condition too.
    keys_values: for each context, (B, S, 2 * channels) of every transformer block that attends to it.
    masks: for each context, (B, 1, 1, S), added to the scores.
    frame_tokens: what is added to the frames of each LOA token, see `frame_tokens`; None in a UNet without them.
    any_length: whether the length of the latents may be no multiple of the downsampling, see `UpLevel.forward`.
    """

    emb: Tensor
    keys_values: tuple[tuple[Tensor, ...], ...]
    masks: tuple[Tensor, ...]
    frame_tokens: Tensor | None = None
    any_length: bool = False


class Transformers(nn.Module):
    """The transformers after a residual block, in turn: one for each of the config's `transformer_dims`.

    place: which of the UNet's these are, counted in layer order; the UNet sets it.
    """

    def __init__(self, config: UNetConfig, level: int) -> None:
        super().__init__()
        dims = config.transformer_dims
        self.place = 0
        self.depth = config.transformer_depth
        attends = [dim is not None for dim in dims]
        # For each layer, which context it attends to; LOA tokens are the first.
        self.contexts = [sum(attends[:i]) if attends[i] else None for i in range(len(dims))]
        channels = config.model_channels * config.channel_mult[level]
        token_frames = [config.loa_frames if context == 0 else 0 for context in self.contexts]
        self.layers = nn.ModuleList(
            [
                Transformer(config, channels, dim, 2**level, frames)
                for dim, frames in zip(dims, token_frames, strict=True)
            ]
        )
        self.num_without_context = attends.index(True) if any(attends) else len(dims)

    def forward(self, x: Tensor, conditioning: StepConditioning) -> Tensor:
        return self.from_first_context(self.to_first_context(x), conditioning)

    def to_first_context(self, x: Tensor) -> Tensor:
        """The layers before the first cross-attention."""
        for i in range(self.num_without_context):  # a slice of a ModuleList is a new one, which takes time
            x = self.layers[i](x)
        return x

    def from_first_context(self, x: Tensor, conditioning: StepConditioning) -> Tensor:
        """The first cross-attention, and the layers after it."""
        blocks = slice(self.place * self.depth, (self.place + 1) * self.depth)
        for i in range(self.num_without_context, len(self.layers)):
            context = self.contexts[i]
            if context is None:
                x = self.layers[i](x)
            else:
                x = self.layers[i](x, conditioning.keys_values[context][blocks], conditioning.masks[context])
        return x


@dataclass(frozen=True)
class Block:
    """A residual block, with its transformers if its level has attention; or a downsampling convolution.

    frame_tokens: are added to the features of the layer, before any transformer.
    """

    layer: nn.Module
    transformers: Transformers | None = None
    frame_tokens: FrameTokens | None = None

    @property
    def is_conditioned(self) -> bool:
        return self.transformers is not None or self.frame_tokens is not None

    def __call__(self, x: Tensor, conditioning: StepConditioning) -> Tensor:
        return self.from_first_context(self.to_first_context(x, conditioning), conditioning)

    def to_first_context(self, x: Tensor, conditioning: StepConditioning) -> Tensor:
        """All that comes before the first that depends on a context."""
        x = self.layer(x, conditioning.emb) if isinstance(self.layer, ResBlock) else self.layer(x)
        return x if self.transformers is None or self.frame_tokens else self.transformers.to_first_context(x)

    def from_first_context(self, x: Tensor, conditioning: StepConditioning) -> Tensor:
        """The first that depends on a context, and all that comes after it."""
        if self.frame_tokens is not None:
            x = self.frame_tokens(x, conditioning.frame_tokens)
            return x if self.transformers is None else self.transformers(x, conditioning)
        return x if self.transformers is None else self.transformers.from_first_context(x, conditioning)


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by its transformers if the level has attention."""

    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__()
        channels = config.model_channels * config.channel_mult[level]
        self.resnets = nn.ModuleList([ResBlock(n, channels, RESNET_EPS, emb_dim) for n in in_channels])
        has_attention = level in config.attention_levels
        self.transformers = nn.ModuleList([Transformers(config, level) for _ in in_channels if has_attention])
        transformers = self.transformers if has_attention else [None] * len(in_channels)
        self.blocks = tuple(map(Block, self.resnets, transformers))


class DownLevel(Level):
    """A level on the way down, and the convolution that halves time and frequency for the next."""

    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__(config, level, in_channels, emb_dim)
        channels = config.model_channels * config.channel_mult[level]
        self.frame_tokens = FrameTokens(config) if config.loa_bands and not level else None
        if self.frame_tokens is not None:
            self.blocks = (replace(self.blocks[0], frame_tokens=self.frame_tokens), *self.blocks[1:])
        is_last = level == len(config.channel_mult) - 1
        self.downsample = None if is_last else nn.Conv2d(channels, channels, 3, stride=2, padding=1)


class UpLevel(Level):
    """A level on the way up, and the convolution after time and frequency are doubled for the next."""

    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__(config, level, in_channels, emb_dim)
        channels = config.model_channels * config.channel_mult[level]
        self.upsample = nn.Conv2d(channels, channels, 3, padding=1) if level else None

    def forward(
        self, x: Tensor, skips: Sequence[Tensor], conditioning: StepConditioning, finer: Tensor | None = None
    ) -> Tensor:
        """skips: features of the same level on the way down, one for each residual block, joined in reverse order.

        finer: features of the next finer level, whose length the result gets where `any_length` says so.
        """
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(xp.cat([x, skip], 1), conditioning)
        if self.upsample is None:
            return x
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.upsample(x if finer is None or not conditioning.any_length else cut_to_length(x, finer))


class Middle(nn.Module):
    """What stands between the way down and the way up."""

    def __init__(self, config: UNetConfig, emb_dim: int) -> None:
        super().__init__()
        channels = config.model_channels * config.channel_mult[-1]
        self.resnet_in = ResBlock(channels, channels, RESNET_EPS, emb_dim)
        self.transformers = Transformers(config, len(config.channel_mult) - 1)
        self.resnet_out = ResBlock(channels, channels, RESNET_EPS, emb_dim)


def cut_to_length(x: Tensor, like: Tensor) -> Tensor:
    """The first frames of `x` (B, C, T, bands), as many as `like` (B, C', T', bands') has."""
    if not is_traced():
        return x[:, :, : like.shape[2]]
    # In a trace a length is unknown: counted instead.
    frames = xp.cumsum(xp.ones_like(like[0, 0, :, 0]), 0) - 1
    return xp.gather(x, frames.to(xp.int64), 2)
