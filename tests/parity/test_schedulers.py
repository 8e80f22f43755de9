"""The schedulers of `compat` against diffusers' of the same names: timesteps, and every step of a run."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ppaudioldm import compat
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
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
    ("LCMScheduler", {}),
    ("LCMScheduler", {"original_inference_steps": 200, "timestep_scaling": 0.01, "clip_sample": True, **V}),
]
SHAPE = (2, 8, 10, 16)


STEPS = [5, 20, 200]


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


@pytest.mark.parametrize(
    "name,config,steps",
    [
        (name, config, steps)
        for name, config in CASES
        for steps in STEPS
        if name != "LCMScheduler" or steps <= config.get("original_inference_steps", 50)
    ],
)
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


def test_lcm_has_the_fields_and_defaults_of_diffusers():
    theirs = {name: value for name, value in diffusers.LCMScheduler().config.items() if not name.startswith("_")}
    assert compat.LCMScheduler.fields() == theirs


def test_the_sampler_lcm_visits_the_timesteps_of_diffusers():
    theirs = diffusers.LCMScheduler.from_config(PUBLISHED)
    for strength in (1.0, 0.5):
        for steps in range(1, int(50 * strength) + 1):
            theirs.set_timesteps(steps, strength=strength)
            ours = make_sampler("lcm", NoiseSchedule(DiffusionConfig()), steps, strength=strength)
            assert list(ours.timesteps) == theirs.timesteps.tolist()


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_sampler_lcm_steps_as_diffusers(prediction):
    theirs = diffusers.LCMScheduler.from_config(
        PUBLISHED, prediction_type={"epsilon": "epsilon", "v": "v_prediction"}[prediction]
    )
    theirs.set_timesteps(4)
    ours = make_sampler("lcm", NoiseSchedule(DiffusionConfig(prediction=prediction)), 4)
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    latents = [noise(*SHAPE, seed=1)] * 2
    for i, timestep in enumerate(theirs.timesteps):
        outputs = [np.sin(x).astype(np.float32) for x in latents]
        stepped = theirs.step(
            torch.from_numpy(outputs[0]), timestep, torch.from_numpy(latents[0]), generator=generators[0]
        )
        latents = [
            stepped.prev_sample.numpy(),
            ours.step(i, outputs[1], latents[1], lambda _: torch.randn(SHAPE, generator=generators[1]).numpy()),
        ]
        assert relative_error(latents[1], latents[0]) < 1e-5
