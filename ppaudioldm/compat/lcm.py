"""The scheduler of latent consistency models, under the name of diffusers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ppaudioldm.compat.alpha_schedulers import ALPHA_CLIPPING, ALPHA_ONLY, clipped, predicted
from ppaudioldm.compat.scheduler import Array, Noise, Scheduler

SIGMA_DATA = 0.5


class LCMScheduler(Scheduler):
    """Multistep consistency sampling, arXiv:2310.04378, algorithm 3."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        **ALPHA_CLIPPING,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "original_inference_steps": 50,
        "set_alpha_to_one": True,
        "timestep_spacing": "leading",
        "timestep_scaling": 10.0,
    }
    ONLY: ClassVar[dict[str, Any]] = ALPHA_ONLY

    def set_timesteps(
        self,
        num_inference_steps: int,
        device: Any = None,
        original_inference_steps: int | None = None,
        strength: float = 1.0,
    ) -> None:
        """original_inference_steps: of the model's distillation, in place of the configuration's. strength: share of
        them that is used. Raises ValueError for more steps than that."""
        original = original_inference_steps or self.config.original_inference_steps
        if not isinstance(original, int) or not 1 <= original <= self.num_train_timesteps:
            raise ValueError(f"original_inference_steps is {original!r}, allowed: 1 to {self.num_train_timesteps}")
        known = (np.arange(1, int(original * strength) + 1) * (self.num_train_timesteps // original) - 1)[::-1]
        count = self._check_count(num_inference_steps, len(known))
        self.timesteps = known[np.floor(np.linspace(0, len(known), count, endpoint=False)).astype(np.int64)]
        self._index = 0

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        t = int(timestep)
        x0, _ = predicted(self.config.prediction_type, model_output, sample, self.alpha_bar(t, 1.0))
        x0 = clipped(x0, self.config)
        scaled = t * self.config.timestep_scaling
        of_sample = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        x0 = scaled / math.sqrt(scaled**2 + SIGMA_DATA**2) * x0 + of_sample * sample
        self._index += 1
        if self._index == len(self.timesteps):
            return x0
        level = self.alpha_bar(int(self.timesteps[self._index]), 1.0)
        return math.sqrt(level) * x0 + math.sqrt(1 - level) * noise()
