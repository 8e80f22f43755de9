"""The arithmetic of consistency distillation (arXiv:2310.04378): timesteps, the teacher's step, boundary, loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppaudioldm.diffusion.schedule import NoiseSchedule, boundary_scalings, lcm_timesteps
from ppaudioldm.framework import Tensor

LOSSES = ("huber", "l2")


@dataclass(frozen=True)
class Level:
    """The noise level of each item of a batch: noisy = signal x0 + sigma noise, both (B, 1, 1, 1)."""

    signal: Tensor
    sigma: Tensor

    def add_noise(self, x0: Tensor, noise: Tensor) -> Tensor:
        return self.signal * x0 + self.sigma * noise

    def split(self, kind: str, prediction: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """The clean latents and the noise in `noisy`, from a prediction of that kind: "epsilon", "v" or "x0".

        That of v divides by nothing, so it holds where no signal is left (zero terminal SNR), too.
        """
        if kind == "v":
            return self.signal * noisy - self.sigma * prediction, self.signal * prediction + self.sigma * noisy
        if kind == "epsilon":
            return (noisy - self.sigma * prediction) / self.signal, prediction
        return prediction, (noisy - self.signal * prediction) / self.sigma


def drawn_timesteps(
    schedule: NoiseSchedule, skip: int, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Timesteps (size,) that the sampler `lcm` may visit, and those `skip` before them, at least 0."""
    known = np.array(lcm_timesteps(schedule.num_train_timesteps))
    start = known[generator.integers(0, len(known), size)]
    return start, np.maximum(start - skip, 0)


def level_arrays(schedule: NoiseSchedule, timesteps: np.ndarray) -> dict[str, np.ndarray]:
    """What the loss needs of the noise levels of `timesteps` (B,), by name, (B, 1, 1, 1) float32 each.

    signal, sigma: of `Level`. c_skip, c_out: of the boundary condition.
    """
    alpha_bar = schedule.alphas_cumprod[timesteps]
    scalings = np.array([boundary_scalings(float(timestep)) for timestep in timesteps])
    values = {
        "signal": np.sqrt(alpha_bar),
        "sigma": np.sqrt(1 - alpha_bar),
        "c_skip": scalings[:, 0],
        "c_out": scalings[:, 1],
    }
    return {name: array.astype(np.float32)[:, None, None, None] for name, array in values.items()}


def distance(kind: str, difference: Tensor, huber_c: float) -> Tensor:
    """The mean of the pseudo-Huber loss of `difference`, or of its square. kind: one of LOSSES."""
    square = difference**2
    return square.mean() if kind == "l2" else ((square + huber_c**2) ** 0.5 - huber_c).mean()
