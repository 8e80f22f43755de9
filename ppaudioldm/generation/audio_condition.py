"""What a generation starts from besides its prompts: init latents, an inpainting mask, features of a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.samplers import Sampler
from ppaudioldm.engines.engine import Array
from ppaudioldm.errors import quoted


@dataclass(frozen=True)
class AudioCondition:
    """What a generation starts from besides its prompts; the same for every item.

    init_latents: (channels, T, bands) float32, scaled as the UNet sees them: see `AudioLDM.encode_audio`.
    keep_mask: (T, bands) float32, the inpainting mask: 1 keeps `init_latents` there (they are put back, freshly noised,
        before every step, and as they are at the end), 0 regenerates.
    strength: the share of the schedule that is run; below 1 it starts from the noised `init_latents`, at 1 from noise.
    loa: (N, 768) float32 LOA tokens, in place of those that GPT-2 predicts from the prompt, which may then be absent.
    circular: the end of the latents continues in their start. The duration must be a whole number of latent frames.
    film: (512,) float32, where CLAP's embedding conditions the UNet: that of a recording, in place of the prompt's,
        which may then be absent.
    """

    init_latents: np.ndarray | None = None
    keep_mask: np.ndarray | None = None
    strength: float = 1.0
    loa: np.ndarray | None = None
    circular: bool = False
    film: np.ndarray | None = None

    @property
    def replaces_prompt(self) -> bool:
        """Whether it holds features that take the place of a prompt's."""
        return self.loa is not None or self.film is not None

    def check(self, config: ModelConfig, frames: int) -> None:
        """Raise ValueError, in one line, for what does not fit a generation of `frames` latent frames."""
        if not isinstance(self.strength, (int, float)) or not 0 < self.strength <= 1:
            raise ValueError(f"strength is {quoted(self.strength)}, allowed: above 0, at most 1")
        if self.init_latents is None:
            if self.strength < 1:
                raise ValueError(f"strength is {quoted(self.strength)}, but there are no init_latents to start from")
            if self.keep_mask is not None:
                raise ValueError("keep_mask is set, but there are no init_latents to keep")
        else:
            _check_array("init_latents", self.init_latents, (config.vae.latent_channels, frames, config.latent_bands))
        if self.keep_mask is not None:
            _check_array("keep_mask", self.keep_mask, (frames, config.latent_bands))
            low, high = self.keep_mask.min(), self.keep_mask.max()
            if low < 0 or high > 1:
                raise ValueError(f"keep_mask goes from {low} to {high}, allowed: 0 to 1")
        if self.loa is not None:
            self._check_loa(config)
        if self.film is not None:
            if config.unet.film_dim is None:
                raise ValueError("film is set, but the UNet of the checkpoint has no FiLM")
            _check_array("film", self.film, (config.unet.film_dim,))

    def _check_loa(self, config: ModelConfig) -> None:
        if config.loa is None:
            raise ValueError("loa is set, but the checkpoint has no LOA tokens")
        assert self.loa is not None
        count = len(self.loa) if self.loa.ndim == 2 else 0
        most = config.gpt2.max_positions if config.gpt2 else config.loa.num_tokens
        if not 1 <= count <= most:
            raise ValueError(f"loa has shape {self.loa.shape}, allowed: 1 to {most} tokens of {config.loa.hidden_size}")
        _check_array("loa", self.loa, (count, config.loa.hidden_size))


@dataclass(frozen=True)
class Inpainting:
    """Keeps the init latents where the mask says so, at each step as noisy as the latents beside them.

    init_latents: (1, channels, T, bands). keep_mask: (T, bands). noise(i): the draw (B, channels, T, bands) of step i.
    """

    sampler: Sampler
    init_latents: Array
    keep_mask: Array
    noise: Callable[[int], Array]

    def constrain(self, i: int, latents: Array) -> Array:
        """The latents (B, channels, T, bands) to use in step `i`, in place of `latents`."""
        noised = self.sampler.add_noise(i, self.init_latents, self.noise(i))
        return latents + self.keep_mask * (noised - latents)

    def restore(self, latents: Array) -> Array:
        """The result of the last step, with the init latents as they are."""
        return latents + self.keep_mask * (self.init_latents - latents)


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected float32 of shape {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
