"""What the tests of the samplers share: a schedule, a stand-in for the network, and the loop."""

from __future__ import annotations

import math

import numpy as np

from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from tests import support

SHAPE = (2, 3, 4, 2)  # (batch, channels, time, bands)
SCHEDULE = NoiseSchedule(DiffusionConfig())
V_SCHEDULE = NoiseSchedule(DiffusionConfig(prediction="v"))

# name of the golden file -> arguments of make_sampler
GOLDEN_CASES = {
    "diffusion_ddim": ("ddim", 10, {"eta": 0.0}),
    "diffusion_ddim_eta1": ("ddim", 10, {"eta": 1.0}),
    "diffusion_plms": ("plms", 10, {}),
    "diffusion_ddpm": ("ddpm", 10, {}),
    "diffusion_dpm": ("dpm++", 10, {"spacing": "log-snr"}),
    "diffusion_dpm_karras": ("dpm++", 10, {"spacing": "karras"}),
}


def network(latents, timestep: float):
    """A smooth prediction that depends on both, in arithmetic that every array has."""
    level = SCHEDULE.alpha_bar(round(timestep))
    return math.sqrt(1 - level) * (latents - 0.5 * math.sqrt(level) * latents / (1.0 + latents * latents))


def initial_latents() -> np.ndarray:
    return support.noise(*SHAPE, seed=100)


def step_noise(i: int) -> np.ndarray:
    return support.noise(*SHAPE, seed=200 + i)


def sample(sampler: Sampler, latents, predict=network, noise=step_noise) -> list:
    """The latents after every call of the network."""
    path = []
    for i, timestep in enumerate(sampler.timesteps):
        latents = sampler.step(i, predict(latents, timestep), latents, noise)
        path.append(latents)
    return path


def sample_golden_case(name: str) -> tuple[Sampler, np.ndarray]:
    """The sampler and its path (calls, *SHAPE)."""
    sampler_name, steps, options = GOLDEN_CASES[name]
    sampler = make_sampler(sampler_name, SCHEDULE, steps, **options)
    return sampler, np.stack(sample(sampler, initial_latents()))
