"""The schedulers of `compat` against diffusers' of the same names: timesteps, and every step of a run."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ppaudioldm import compat
from tests.support import noise, relative_error

# As the published checkpoints have it.
PUBLISHED = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
V = {"prediction_type": "v_prediction"}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("DDIMScheduler", {}),
    ("DDIMScheduler", {"clip_sample": True, "timestep_spacing": "trailing", **V}),
    ("DDIMScheduler", {"eta": 0.7, "timestep_spacing": "linspace", "set_alpha_to_one": True}),
    ("DDPMScheduler", {}),
    ("DDPMScheduler", {"variance_type": "fixed_large", "clip_sample": True, "prediction_type": "sample"}),
    ("PNDMScheduler", {}),
    ("PNDMScheduler", {"skip_prk_steps": True, **V}),
    ("LMSDiscreteScheduler", {}),
    ("LMSDiscreteScheduler", {"use_karras_sigmas": True, "timestep_spacing": "linspace", **V}),
    ("EulerDiscreteScheduler", {}),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "timestep_spacing": "trailing", **V}),
    ("EulerAncestralDiscreteScheduler", {}),
    ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing", **V}),
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"timestep_spacing": "linspace", "solver_order": 3, **V}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "solver_type": "heun"}),
    ("DPMSolverMultistepScheduler", {"use_lu_lambdas": True, "euler_at_final": True}),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun", "solver_order": 1}),
    ("EulerDiscreteScheduler", {"beta_schedule": "squaredcos_cap_v2"}),
    ("DDIMScheduler", {"beta_schedule": "linear"}),
]
SHAPE = (2, 8, 10, 16)


def run_of(scheduler: Any, steps: int, step: Any) -> list[np.ndarray]:
    """The latents after each step, for outputs of a network that depend on its input."""
    scheduler.set_timesteps(steps)
    latents = noise(*SHAPE, seed=1) * float(scheduler.init_noise_sigma)
    results = []
    for timestep in scheduler.timesteps:
        scaled = np.asarray(scheduler.scale_model_input(torch.from_numpy(latents), timestep))
        latents = step(np.sin(scaled).astype(np.float32), timestep, latents)
        results.append(latents)
    return results


@pytest.mark.parametrize("steps", [5, 20, 200])
@pytest.mark.parametrize("name,config", CASES)
def test_scheduler(name, config, steps):
    eta = config.get("eta", 0.0)
    config = {key: value for key, value in config.items() if key != "eta"}
    theirs = getattr(diffusers, name).from_config(PUBLISHED, **config)
    ours = getattr(compat, name).from_config(PUBLISHED, **config)
    more = {"eta": eta} if eta else {}
    if "generator" in theirs.step.__code__.co_varnames:
        more["generator"] = torch.Generator().manual_seed(3)
    generator = torch.Generator().manual_seed(3)

    def their_step(output: np.ndarray, timestep: Any, latents: np.ndarray) -> np.ndarray:
        return theirs.step(torch.from_numpy(output), timestep, torch.from_numpy(latents), **more).prev_sample.numpy()

    def our_step(output: np.ndarray, timestep: Any, latents: np.ndarray) -> np.ndarray:
        return ours.step(
            output, timestep, latents, lambda: torch.randn(SHAPE, generator=generator).numpy(), eta
        ).astype(np.float32)

    expected, actual = run_of(theirs, steps, their_step), run_of(ours, steps, our_step)
    np.testing.assert_allclose(ours.timesteps, theirs.timesteps.numpy(), rtol=1e-4)
    errors = [relative_error(a, e) for a, e in zip(actual, expected, strict=True)]
    assert max(errors) < 1e-4, errors
