"""Latents to sound and sound to latents, of any length."""

from __future__ import annotations

import math

from ppaudioldm.config import ModelConfig


def latent_frames(config: ModelConfig, num_samples: int, circular: bool = False) -> int:
    """How many latent frames `num_samples` samples need, rounded up to what the UNet can halve.

    Not so for circular latents: windows go around their end, and it is those that are halved.
    """
    unit = 1 if circular else config.unet.downsampling
    return unit * math.ceil(math.ceil(num_samples / config.samples_per_latent) / unit)
