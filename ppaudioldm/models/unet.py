"""The diffusion UNet. Source: AudioLDM 2, arXiv:2308.05734; AudioLDM, arXiv:2301.12503; latent diffusion,
arXiv:2112.10752; ConsistencyTTA, arXiv:2309.10740.

Every published variant (base, large, speech, T5 only, FiLM, AudioLDM 1, ConsistencyTTA) is this class with another
`UNetConfig`.

                       conv_in                                   conv_out
    finest level       residual blocks ---------------- skips -> residual blocks
                         downsample                                upsample
    coarser levels     residual blocks, transformers -- skips -> residual blocks, transformers
                         ...                                       ...
    middle                    residual block, transformers, residual block

Classifier-free guidance needs two predictions for the same latents, with different contexts. Up to the first
cross-attention they do not differ: `guided_step` computes that once, and doubles the batch there. With FiLM they differ
from the first residual block on, and the batch is doubled at the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import F, Linear, Tensor, additive_mask, nn, xp
from ppaudioldm.models.resnet import group_norm
from ppaudioldm.models.unet_levels import RESNET_EPS, Block, DownLevel, Middle, StepConditioning, Transformers, UpLevel
from ppaudioldm.models.unet_transformer import Attention


class GuidanceFeatures(nn.Module):
    """Fourier features of a guidance scale. Their frequencies were drawn at random before training, and are stored."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(xp.empty([dim // 2]))

    def forward(self, scale: Tensor) -> Tensor:
        """scale (B, 1) -> (B, dim): cosines, then sines."""
        angles = scale * self.weight * (2 * math.pi)
        return xp.cat([xp.cos(angles), xp.sin(angles)], 1)


class UNet(nn.Module):
    """Predicts the noise in latents; `forward` describes it."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        first = config.model_channels
        emb_dim = config.time_embed_dim
        self.time_in = Linear(first, emb_dim)
        self.time_out = Linear(emb_dim, emb_dim)
        self.guidance = GuidanceFeatures(config.guidance_dim) if config.guidance_dim else None
        if config.guidance_dim:
            self.guidance_in = Linear(config.guidance_dim, emb_dim)
            self.guidance_out = Linear(emb_dim, emb_dim)
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
        for place, transformers in enumerate(self._transformers()):
            transformers.place = place
        # Of the keys and values of each attention in what `project` returns.
        self._widths = [[2 * a.channels for a in attentions] for attentions in self._cross_attentions()]
        self._frame_tokens = self.down_levels[0].frame_tokens
        if self._frame_tokens is not None:
            self._widths[0].append(self._frame_tokens.width)
        way_down = self._way_down()
        attending = next(i for i, block in enumerate(way_down) if block.is_conditioned)
        self._blocks_before = way_down[:attending]
        self._first_attending = way_down[attending]
        self._blocks_after = way_down[attending + 1 :]

    def forward(
        self,
        latents: Tensor,
        time_features: Tensor,
        contexts: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        film: Tensor | None = None,
        guidance_scale: Tensor | None = None,
    ) -> Tensor:
        """Predict the noise (or v or x0, see DiffusionConfig.prediction) in `latents`.

        latents: (B, 8, T, 16), T latent frames (10.24 s is 256), T and bands divisible by `config.downsampling`.
        time_features: (B, 128), see `diffusion.timestep_features`. contexts: one (B, L, D) for each entry of
        `config.context_dims` that is not None; masks: (B, L) for each, 1 = attend. film: (B, film_dim). guidance_scale:
        (B, 1), where it is an input.
        Returns noise_pred with the shape of `latents`. Raises ValueError on a wrong number of contexts.
        Source: AudioLDM 2, arXiv:2308.05734.
        """
        self._check_inputs(contexts, masks, film)
        time_embedding = self.embed_time(time_features, guidance_scale).to(latents.dtype)
        return self.step(latents, time_embedding, self.project(contexts), masks, film)

    def embed_time(self, time_features: Tensor, guidance_scale: Tensor | None = None) -> Tensor:
        """The time embedding (B, time_embed_dim) of `time_features` (B, 128), see `diffusion.timestep_features`.

        Where the guidance scale (B, 1) is an input, its embedding is added. A function of its own, because engines
        compute it in float32 while the rest is in half precision.
        """
        embedding = self.time_out(F.silu(self.time_in(time_features)))
        if self.guidance is None:
            return embedding
        return embedding + self.guidance_out(F.silu(self.guidance_in(self.guidance(guidance_scale))))

    def project(self, contexts: Sequence[Tensor]) -> list[Tensor]:
        """Keys and values of all cross-attentions, which stay the same from step to step.

        Returns, for each of `contexts` (B, L, D), one (B, L, width): those of its attentions side by side; of the first
        also what is added to the frames of each token, if the UNet has that.
        """
        attentions = self._cross_attentions()
        projected = [[a.project(contexts[i]) for a in attentions[i]] for i in range(len(attentions))]
        if self._frame_tokens is not None:
            projected[0].append(self._frame_tokens.projection(contexts[0]))
        return [xp.cat(parts, 2) for parts in projected]

    def step(
        self,
        latents: Tensor,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> Tensor:
        """`forward` with the time embedding and the contexts as `embed_time` and `project` return them."""
        return self._step(latents, self._conditioning(time_embedding, projected, masks, film))

    def any_length_step(
        self,
        latents: Tensor,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> Tensor:
        """`step` for latents of any number T of frames: slower, since upsampled maps have to be cut to odd lengths.

        For other T it is the same function. For these it is what diffusers computes, whose pipelines do not round T up.
        """
        conditioning = self._conditioning(time_embedding, projected, masks, film)
        return self._step(latents, replace(conditioning, any_length=True))

    def _step(self, latents: Tensor, conditioning: StepConditioning) -> Tensor:
        x, skips = self._to_first_context(latents, conditioning)
        deep, skips = self._from_first_context(x, skips, conditioning)
        return self._finest_up(deep, skips, conditioning)

    def guided_step(
        self,
        latents: Tensor,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> Tensor:
        """`step` on two halves with the same latents and different conditions, exactly as if these were doubled.

        latents and time_embedding of B items, projected, masks and film of 2B. Returns noise_pred of 2B. Faster than
        `step` without FiLM: what comes before the first cross-attention is computed once.
        """
        x, skips, conditioning = self._guided_to_first_context(latents, time_embedding, projected, masks, film)
        deep, skips = self._from_first_context(x, skips, conditioning)
        return self._finest_up(deep, skips, conditioning)

    def guided_deep(
        self,
        latents: Tensor,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> Tensor:
        """The features (2B, C, T, bands) that reach the finest level of `guided_step` from below, for `guided_shallow`.

        They take nine tenths of the time of a step, and change slowly from one step to the next: DeepCache,
        arXiv:2312.00858.
        """
        # The skips of the finest level are not used.
        first = self._skips_per_level
        x, skips, conditioning = self._guided_to_first_context(latents, time_embedding, projected, masks, film, first)
        deep, _ = self._from_first_context(x, skips, conditioning)
        return deep

    def guided_shallow(
        self, latents: Tensor, time_embedding: Tensor, deep: Tensor, film: Tensor | None = None
    ) -> Tensor:
        """`guided_step` with the finest level only, on the features `deep` from `guided_deep`.

        Exactly the same if `deep` is of the same latents and time; nearly so if it is of the step before.
        Raises ValueError for a UNet whose finest level depends on contexts: there is nothing shallow about it.
        """
        if self.config.conditions_finest:
            raise ValueError("deep features cannot be used again: the finest level depends on contexts")
        if film is not None:
            conditioning = self._conditioning(double(time_embedding), [], [], film)
            return self._finest_up(deep, self._finest_down(double(latents), conditioning), conditioning)
        conditioning = self._conditioning(time_embedding, [], [])
        skips = self._finest_down(latents, conditioning)
        return self._finest_up(deep, [double(skip) for skip in skips], doubled(conditioning))

    def _guided_to_first_context(
        self,
        latents: Tensor,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None,
        first_skip: int = 0,
    ) -> tuple[Tensor, list[Tensor], StepConditioning]:
        """`_to_first_context` and the conditioning for both halves; the first `first_skip` skips are left out."""
        if film is not None:
            conditioning = self._conditioning(double(time_embedding), projected, masks, film)
            x, skips = self._to_first_context(double(latents), conditioning)
            return x, skips[first_skip:], conditioning
        conditioning = self._conditioning(time_embedding, projected, masks)
        x, skips = self._to_first_context(latents, conditioning)
        return double(x), [double(skip) for skip in skips[first_skip:]], doubled(conditioning)

    def _to_first_context(self, latents: Tensor, conditioning: StepConditioning) -> tuple[Tensor, list[Tensor]]:
        """The network up to the first cross-attention: the features there, and the skips until then."""
        skips = self._down(latents, conditioning, self._blocks_before)
        return self._first_attending.to_first_context(skips[-1], conditioning), skips

    def _down(self, latents: Tensor, conditioning: StepConditioning, blocks: Sequence[Block]) -> list[Tensor]:
        """The beginning of the way down: the features after `conv_in` and after each of its first `blocks`."""
        features = [self.conv_in(latents)]
        for block in blocks:
            features.append(block(features[-1], conditioning))
        return features

    def _from_first_context(
        self, x: Tensor, skips: list[Tensor], conditioning: StepConditioning
    ) -> tuple[Tensor, list[Tensor]]:
        """From the first cross-attention: the rest of the way down, the middle, and all levels up but the finest.

        x, skips: from `_to_first_context`. Returns the features that reach the finest level, and the skips of that.
        """
        x = self._first_attending.from_first_context(x, conditioning)
        for block in self._blocks_after:
            skips = [*skips, x]
            x = block(x, conditioning)
        x = self.middle.resnet_out(x, conditioning.emb)
        for level in self.up_levels[:-1]:
            used, skips = skips[-self._skips_per_level :], skips[: -self._skips_per_level]
            x = level(x, used, conditioning, skips[-1] if skips else None)
        return x, skips

    def _finest_down(self, latents: Tensor, conditioning: StepConditioning) -> list[Tensor]:
        """The features of the finest level on the way down, all of which are skips."""
        return self._down(latents, conditioning, self.down_levels[0].blocks)

    def _finest_up(self, deep: Tensor, skips: list[Tensor], conditioning: StepConditioning) -> Tensor:
        """The finest level on the way up, and the noise predicted from it."""
        x = self.up_levels[-1](deep, skips, conditioning)
        return self.conv_out(F.silu(self.norm_out(x)))

    @property
    def _skips_per_level(self) -> int:
        """Skip connections of a level: of the features that enter it, and of those after each residual block."""
        return self.config.num_res_blocks + 1

    def _conditioning(
        self,
        time_embedding: Tensor,
        projected: Sequence[Tensor],
        masks: Sequence[Tensor],
        film: Tensor | None = None,
    ) -> StepConditioning:
        """projected: as `project` returns it, or nothing where no layer with cross-attention is run."""
        emb = time_embedding if self.film is None else xp.cat([time_embedding, self.film(film)], 1)
        keys_values = [list(xp.split(projected[i], self._widths[i], 2)) for i in range(len(projected))]
        frame_tokens = keys_values[0].pop() if self._frame_tokens is not None and keys_values else None
        masks = tuple(additive_mask(mask) for mask in masks)
        return StepConditioning(emb, tuple(map(tuple, keys_values)), masks, frame_tokens)

    def _way_down(self) -> tuple[Block, ...]:
        """The blocks of all levels on the way down, each of whose features are a skip, and the first of the middle."""
        blocks: list[Block] = []
        for level in self.down_levels:
            blocks += level.blocks
            blocks += [] if level.downsample is None else [Block(level.downsample)]
        return (*blocks, Block(self.middle.resnet_in, self.middle.transformers))

    def _transformers(self) -> list[Transformers]:
        """All transformers in layer order."""
        down = [transformers for level in self.down_levels for transformers in level.transformers]
        up = [transformers for level in self.up_levels for transformers in level.transformers]
        return [*down, self.middle.transformers, *up]

    def _cross_attentions(self) -> list[list[Attention]]:
        """For each context, the attentions to it in layer order."""
        count = sum(dim is not None for dim in self.config.context_dims)
        attentions: list[list[Attention]] = [[] for _ in range(count)]
        for transformers in self._transformers():
            for layer, context in zip(transformers.layers, transformers.contexts, strict=True):
                if context is not None:
                    attentions[context] += [block.cross_attention for block in layer.blocks]
        return attentions

    def _check_inputs(self, contexts: Sequence[Tensor], masks: Sequence[Tensor], film: Tensor | None) -> None:
        expected = sum(dim is not None for dim in self.config.context_dims)
        if len(contexts) != expected or len(masks) != expected:
            raise ValueError(f"expected {expected} contexts with masks, got {len(contexts)} and {len(masks)}")
        if (film is None) != (self.film is None):
            raise ValueError(
                f"film is {'required' if film is None else 'not used'} with film_dim={self.config.film_dim}"
            )


def double(x: Tensor) -> Tensor:
    """(B, ...) -> (2B, ...): the same for both halves, the unconditional and the conditional one."""
    return xp.cat([x, x], 0)


def doubled(conditioning: StepConditioning) -> StepConditioning:
    """With the time embedding for both halves; the contexts are of 2B items already."""
    return replace(conditioning, emb=double(conditioning.emb))


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
        if config.transformers == "tango" and channels < config.head_dim:
            raise ValueError(f"{channels} channels at level {level} are fewer than head_dim={config.head_dim}")
        if level in config.attention_levels and config.attention_width(channels) % config.head_dim:
            raise ValueError(f"{channels} channels at level {level} are not divisible by head_dim={config.head_dim}")
