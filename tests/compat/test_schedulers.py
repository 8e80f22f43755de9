"""The schedulers of `compat` without diffusers; tests/parity compares every step with it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from ppaudioldm import compat
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.errors import CheckpointError
from tests.support import noise, relative_error

PUBLISHED = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
CLEAN = np.linspace(-1, 1, 8, dtype=np.float32)


def sampled(scheduler: Any, steps: int = 12, eta: float = 0.0) -> np.ndarray:
    """What is sampled with a network that knows the clean sample is CLEAN."""
    scheduler.set_timesteps(steps)
    draws = iter(range(1000))
    sample = scheduler.init_noise_sigma * noise(8)
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(sample, timestep)
        level = float(np.interp(timestep, np.arange(1000), scheduler.alphas_cumprod))
        epsilon = (seen - math.sqrt(level) * CLEAN) / math.sqrt(1 - level)
        sample = scheduler.step(epsilon, timestep, sample, lambda: noise(8, seed=next(draws)), eta)
    return sample


@pytest.mark.parametrize("name", compat.SCHEDULERS)
def test_a_network_that_knows_the_answer_leads_to_it(name):
    scheduler = getattr(compat, name).from_config(PUBLISHED)
    assert relative_error(sampled(scheduler), CLEAN) < 0.1  # DDIM and PNDM end at the first timestep's noise, 0.04


def test_ddim_is_our_own():
    ours = make_sampler("ddim", NoiseSchedule(DiffusionConfig()), 20)
    theirs = compat.DDIMScheduler.from_config(PUBLISHED)
    theirs.set_timesteps(20)
    assert tuple(theirs.timesteps) == ours.timesteps
    first = second = noise(4)
    for i, timestep in enumerate(ours.timesteps):
        first = ours.step(i, np.sin(first), first)
        second = theirs.step(np.sin(second), timestep, second, lambda: None)
    assert relative_error(second, first) < 1e-5


def test_a_configuration_moves_from_scheduler_to_scheduler():
    ddim = compat.DDIMScheduler.from_config(PUBLISHED)
    euler = compat.EulerDiscreteScheduler.from_config(ddim.config, use_karras_sigmas=True)
    assert (euler.config.beta_start, euler.config["steps_offset"], euler.config.use_karras_sigmas) == (0.0015, 1, True)
    assert euler.config.timestep_spacing == "linspace"  # its own default: the file did not say
    back = compat.DDIMScheduler.from_config(euler.config)
    assert back.config.clip_sample is False and back.config.timestep_spacing == "leading"


@pytest.mark.parametrize(
    "name,config,message",
    [
        ("DDIMScheduler", {"thresholding": True}, "thresholding is True, allowed in DDIMScheduler: False"),
        ("DDIMScheduler", {"beta_start": 2}, "beta_start, beta_end are 2, 0.02, allowed: 0 < beta_start"),
        ("DDIMScheduler", {"beta_start": "x"}, "beta_start, beta_end are 'x'"),
        ("DDIMScheduler", {"num_train_timesteps": 10**9}, "num_train_timesteps is 1000000000, allowed: 1 to 100000"),
        ("DDIMScheduler", {"trained_betas": [0.5, 2]}, "trained_betas are"),
        ("DDPMScheduler", {"beta_schedule": "sigmoid"}, "beta_schedule is 'sigmoid', allowed: linear, scaled_linear"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver"}, "algorithm_type is 'dpmsolver', allowed: "),
        ("DPMSolverMultistepScheduler", {"solver_order": 4}, "solver_order is 4, allowed with dpmsolver"),
        ("EulerDiscreteScheduler", {"use_beta_sigmas": True}, "use_beta_sigmas is True"),
    ],
)
def test_what_is_not_implemented_is_refused(name, config, message):
    with pytest.raises(ValueError, match=message):
        getattr(compat, name)(**config)


def test_unknown_names():
    with pytest.raises(TypeError, match="unknown field 'beta' of DDIMScheduler, choose from num_train_timesteps"):
        compat.DDIMScheduler(beta=1)
    with pytest.raises(AttributeError, match="no UniPCMultistepScheduler here, choose from DDIMScheduler"):
        _ = compat.UniPCMultistepScheduler
    with pytest.raises(ValueError, match="num_inference_steps is 0, allowed: whole numbers from 1 to 1000"):
        compat.DDIMScheduler().set_timesteps(0)


def test_the_file_of_a_folder(tmp_path):
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(PUBLISHED))
    assert compat.PNDMScheduler.from_pretrained(tmp_path, subfolder="scheduler").config.beta_end == 0.0195
    path.write_text("[1]")
    with pytest.raises(CheckpointError, match=r"scheduler_config.json: no JSON object"):
        compat.PNDMScheduler.from_pretrained(tmp_path, subfolder="scheduler")
