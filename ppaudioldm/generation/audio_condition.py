"""What a generation starts from besides its prompts: a recording's latents, or what AudioMAE heard in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppaudioldm.config import ModelConfig


@dataclass(frozen=True)
class Given:
    """What a generation starts from besides its prompts; the same for every item.

    latents: (channels, T, bands) float32, scaled as the UNet sees them: of a recording, see `AudioLDM.encode_audio`.
    keep: (T, bands) float32, 1 = keep `latents` there (put back, freshly noised, before every step, and as they are at
        the end), 0 = make anew.
    strength: the share of the schedule that is run; below 1 it starts from the noised `latents`, at 1 from noise alone.
    loa: (N, 768) float32 LOA tokens, in place of those that GPT-2 makes of the prompt; the prompt may then be absent.
    circular: the end of the latents continues in their start. The duration must be a whole number of latent frames.
    """

    latents: np.ndarray | None = None
    keep: np.ndarray | None = None
    strength: float = 1.0
    loa: np.ndarray | None = None
    circular: bool = False

    def check(self, config: ModelConfig, frames: int) -> None:
        """Raise ValueError, in one line, for what does not fit a generation of `frames` latent frames."""
        if not isinstance(self.strength, (int, float)) or not 0 < self.strength <= 1:
            raise ValueError(f"strength is {self.strength!r}, allowed: above 0, at most 1")
        if self.latents is None:
            if self.strength < 1:
                raise ValueError(f"strength is {self.strength!r}, but there are no latents to start from")
            if self.keep is not None:
                raise ValueError("keep is given, but there are no latents to keep")
        else:
            _check_array("latents", self.latents, (config.vae.latent_channels, frames, config.latent_bands))
        if self.keep is not None:
            _check_array("keep", self.keep, (frames, config.latent_bands))
            if self.keep.min() < 0 or self.keep.max() > 1:
                raise ValueError(f"keep goes from {self.keep.min()} to {self.keep.max()}, allowed: 0 to 1")
        if self.loa is not None:
            self._check_loa(config)

    def _check_loa(self, config: ModelConfig) -> None:
        if config.loa is None:
            raise ValueError("loa is given, but the checkpoint has none")
        assert self.loa is not None
        count = len(self.loa) if self.loa.ndim == 2 else 0
        most = config.gpt2.max_positions if config.gpt2 else config.loa.num_tokens
        if not 1 <= count <= most:
            raise ValueError(f"loa has shape {self.loa.shape}, allowed: 1 to {most} tokens of {config.loa.hidden_size}")
        _check_array("loa", self.loa, (count, config.loa.hidden_size))


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected float32 of shape {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
