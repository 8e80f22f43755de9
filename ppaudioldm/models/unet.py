"""The diffusion UNet. Source: AudioLDM 2, arXiv:2308.05734; latent diffusion, arXiv:2112.10752.

Every published variant (base, large, speech, T5 only, FiLM) is this class with another `UNetConfig`.
"""

from __future__ import annotations

from collections.abc import Sequence

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

Features = tuple[Tensor, bool]  # and whether they are of two halves, see `Heard`


class Attention(nn.Module):
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
        """x (B, L, channels), keys_values from `project`, mask added to the scores (B, 1, 1, S) or None."""
        key, value = xp.chunk(keys_values, 2, 2)
        return self._attended(x, key, value, mask)

    def _attended(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (split_heads(y, self.heads) for y in (self.query(x), key, value))
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

    def forward(self, x: Tensor, keys_values: Tensor | None, mask: Tensor | None) -> Tensor:
        x = x + self.self_attention.to_itself(self.norm1(x))
        h, cross = self.norm2(x), self.cross_attention
        x = x + (cross.to_itself(h) if keys_values is None else cross.to_context(h, keys_values, mask))
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

    def forward(self, x: Tensor, keys_values: Sequence[Tensor | None], mask: Tensor | None) -> Tensor:
        """x (B, C, T, F) -> same shape. Positions are time-major: t * F + f. keys_values: of the context, per block."""
        h = self.proj_in(self.norm(x).permute([0, 2, 3, 1]).flatten(1, 2))  # (B, T*F, C)
        for i, block in enumerate(self.blocks):
            h = block(h, keys_values[i], mask)
        # The bands F are static and split off the end, so that T may be dynamic in a trace.
        h = unflatten(self.proj_out(h), 1, (-1, x.shape[3])).permute([0, 3, 1, 2])
        return x + h


class Heard:
    """What the layers of one call listen to: the time, and contexts, handed out in the order of the attentions.

    emb: embedding of time (and film). keys_values: for each context, of every attention to it. masks: for each context,
    added to the scores. guided: the features before the first cross-attention are those of half a batch. They do not
    depend on contexts, so the unconditional and the conditional half share them; there they are doubled.
    """

    def __init__(self, emb: Tensor, keys_values: list[list[Tensor]], masks: list[Tensor], guided: bool) -> None:
        self.emb = emb
        self.keys_values = keys_values
        self.masks = masks
        self.guided = guided
        self.doubled = False
        self.taken = [0] * len(masks)

    def take(self, context: int, count: int) -> list[Tensor]:
        """Keys and values for the next `count` attentions to `context`."""
        first = self.taken[context]
        self.taken[context] = first + count
        return self.keys_values[context][first : first + count]

    def double(self) -> None:
        """From here on there are two halves, if guided."""
        if self.guided and not self.doubled:
            self.emb, self.doubled = xp.cat([self.emb, self.emb], 0), True

    def of_all(self, x: Tensor, is_doubled: bool) -> Tensor:
        """Features made when there were two halves or not, for the batch that there is now."""
        return xp.cat([x, x], 0) if self.doubled and not is_doubled else x


class Transformers(nn.Module):
    """The transformers of one place, in turn: one without context, then one per entry of `context_dims`."""

    def __init__(self, config: UNetConfig, channels: int) -> None:
        super().__init__()
        dims = (None, *config.context_dims)
        self.layers = nn.ModuleList([Transformer(config, channels, dim) for dim in dims])
        self.has_context = [dim is not None for dim in dims]

    def forward(self, x: Tensor, heard: Heard) -> Tensor:
        given = 0
        for i, layer in enumerate(self.layers):
            if self.has_context[i]:
                was_doubled = heard.doubled
                heard.double()
                x = layer(heard.of_all(x, was_doubled), heard.take(given, len(layer.blocks)), heard.masks[given])
                given += 1
            else:
                x = layer(x, [None] * len(layer.blocks), None)
        return x


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by its transformers if the level has attention."""

    def __init__(self, config: UNetConfig, level: int, in_channels: Sequence[int], emb_dim: int) -> None:
        super().__init__()
        channels = config.model_channels * config.channel_mult[level]
        self.resnets = nn.ModuleList([ResBlock(n, channels, RESNET_EPS, emb_dim) for n in in_channels])
        has_attention = level in config.attention_levels
        self.transformers = nn.ModuleList([Transformers(config, channels) for _ in in_channels if has_attention])

    def block(self, i: int, x: Tensor, heard: Heard) -> Tensor:
        """Residual block `i` of the level and its transformers."""
        x = self.resnets[i](x, heard.emb)
        return self.transformers[i](x, heard) if len(self.transformers) else x


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

    def forward(self, x: Tensor, heard: Heard) -> Tensor:
        x = self.transformers(self.resnet_in(x, heard.emb), heard)
        return self.resnet_out(x, heard.emb)


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
        time_features: (B, 128), see `diffusion.features`. contexts: one (B, L, D) for each entry of
        `config.context_dims` that is not None; masks: (B, L) for each, 1 = attend. film: (B, film_dim).
        Returns noise_pred with the shape of `latents`. Raises ValueError on a wrong number of contexts.
        Source: AudioLDM 2, arXiv:2308.05734.
        """
        self._check_inputs(contexts, masks, film)
        return self.step(latents, time_features, self.project(contexts), masks, film)

    def project(self, contexts: Sequence[Tensor]) -> list[Tensor]:
        """Keys and values of all cross-attentions, which stay the same from step to step.

        Returns, for each of `contexts` (B, L, D), one (B, L, width): those of its attentions side by side.
        """
        attentions = self._cross_attentions()
        return [xp.cat([a.project(contexts[i]) for a in attentions[i]], 2) for i in range(len(attentions))]

    def step(
        self,
        latents: Tensor,
        time_features: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> Tensor:
        """`forward` with the contexts as `project` returns them."""
        heard = self._heard(latents, time_features, film, projected, masks)
        fine = self._fine(latents, heard)
        return self._out(self._coarse(fine[-1], heard), fine, heard)

    def guided_step(
        self, latents: Tensor, time_features: Tensor, projected: Sequence[Tensor], masks: Sequence[Tensor]
    ) -> Tensor:
        """`step` on two halves with the same latents and different contexts, exactly as if these were doubled.

        latents and time_features of B items, projected and masks of 2B. Returns noise_pred of 2B. Faster than `step`:
        what comes before the first cross-attention is computed once. Not for a UNet with film, which differs there.
        """
        heard = self._heard(latents, time_features, None, projected, masks, guided=True)
        fine = self._fine(latents, heard)
        return self._out(self._coarse(fine[-1], heard), fine, heard)

    def guided_deep(
        self, latents: Tensor, time_features: Tensor, projected: Sequence[Tensor], masks: Sequence[Tensor]
    ) -> Tensor:
        """What the finest level of `guided_step` hears of the others, (2B, C, T, bands): for `guided_shallow`.

        It is nine tenths of a step, and changes slowly from one step to the next: DeepCache, arXiv:2312.00858.
        """
        heard = self._heard(latents, time_features, None, projected, masks, guided=True)
        return self._coarse(self._fine(latents, heard)[-1], heard)[0]

    def guided_shallow(self, latents: Tensor, time_features: Tensor, deep: Tensor) -> Tensor:
        """What `guided_step` returns if `deep` is of the same latents and time; nearly so if it is of the step before.

        Raises ValueError for a UNet whose finest level has attention: there is nothing shallow about it.
        """
        if 0 in self.config.attention_levels:
            raise ValueError("deep features cannot be used again: the finest level has attention")
        heard = self._heard(latents, time_features, None, [], [], guided=True)
        fine = self._fine(latents, heard)
        heard.double()
        return self._out((deep, True), fine, heard)

    def _heard(
        self,
        latents: Tensor,
        time_features: Tensor,
        film: Tensor | None,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        guided: bool = False,
    ) -> Heard:
        emb = self.time_out(F.silu(self.time_in(time_features)))
        if self.film is not None:
            emb = xp.cat([emb, self.film(film)], 1)
        keys_values = self._split(projected) if projected else []
        return Heard(emb.to(latents.dtype), keys_values, [additive_mask(mask) for mask in masks], guided)

    def _fine(self, latents: Tensor, heard: Heard) -> list[Features]:
        """The finest level on the way down: what it hands to the way up, the last one to the coarser levels too."""
        x = self.conv_in(latents)
        made = [(x, heard.doubled)]
        level = self.down_levels[0]
        for i in range(len(level.resnets)):
            x = level.block(i, x, heard)
            made.append((x, heard.doubled))
        return made

    def _coarse(self, fine: Features, heard: Heard) -> Features:
        """All other levels, down and up, as the finest one hears them."""
        x = fine[0]
        skips: list[Features] = []
        for i, level in enumerate(self.down_levels[1:]):
            x = self.down_levels[i].downsample(x)
            skips.append((x, heard.doubled))
            for k in range(len(level.resnets)):
                x = level.block(k, x, heard)
                skips.append((x, heard.doubled))
        x = self.middle(x, heard)
        for level in self.up_levels[:-1]:
            x = _up(level, x, skips, heard)
            x = level.upsample(F.interpolate(x, scale_factor=2, mode="nearest"))
        return x, heard.doubled

    def _out(self, deep: Features, fine: list[Features], heard: Heard) -> Tensor:
        """The finest level on the way up."""
        x = _up(self.up_levels[-1], deep[0], fine, heard)
        return self.conv_out(F.silu(self.norm_out(x)))

    def _cross_attentions(self) -> list[list[Attention]]:
        """For each context, the attentions to it in the order in which they run."""
        places = [place for level in self.down_levels for place in level.transformers]
        places += [self.middle.transformers]
        places += [place for level in self.up_levels for place in level.transformers]
        count = sum(dim is not None for dim in self.config.context_dims)
        found: list[list[Attention]] = [[] for _ in range(count)]
        for place in places:
            hearing = [layer for layer, has in zip(place.layers, place.has_context, strict=True) if has]
            for i, layer in enumerate(hearing):
                found[i] += [block.cross_attention for block in layer.blocks]
        return found

    def _split(self, projected: Sequence[Tensor]) -> list[list[Tensor]]:
        """The inverse of the concatenation in `project`."""
        widths = [[2 * a.channels for a in attentions] for attentions in self._cross_attentions()]
        return [list(xp.split(projected[i], widths[i], 2)) for i in range(len(widths))]

    def _check_inputs(self, contexts: Sequence[Tensor], masks: Sequence[Tensor], film: Tensor | None) -> None:
        expected = sum(dim is not None for dim in self.config.context_dims)
        if len(contexts) != expected or len(masks) != expected:
            raise ValueError(f"expected {expected} contexts with masks, got {len(contexts)} and {len(masks)}")
        if (film is None) != (self.film is None):
            raise ValueError(
                f"film is {'required' if film is None else 'not used'} with film_dim={self.config.film_dim}"
            )


def _up(level: UpLevel, x: Tensor, skips: list[Features], heard: Heard) -> Tensor:
    """`level` on the way up, joined by what the way down made last; that is taken from `skips`."""
    for i in range(len(level.resnets)):
        x = level.block(i, xp.cat([x, heard.of_all(*skips.pop())], 1), heard)
    return x


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
