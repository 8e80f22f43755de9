"""The arithmetic of consistency distillation against the samplers' own."""

import math

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.samplers import DDIM
from ppaudioldm.diffusion.schedule import NoiseSchedule, SamplingPath, lcm_timesteps
from ppaudioldm.training.consistency import Level, distance, drawn_timesteps, level_arrays
from ppaudioldm.training.dataset import seeded_rng
from tests.support import noise, relative_error

SHAPE = (3, 2, 4, 4)
START, END = np.array([999, 499, 19]), np.array([899, 399, 0])


def levels(schedule, timesteps):
    arrays = level_arrays(schedule, timesteps)
    return Level(*(framework.from_numpy(arrays[name]) for name in ("signal", "sigma")))


@pytest.mark.parametrize("kind", ["epsilon", "v", "x0"])
def test_a_step_is_that_of_ddim(kind):
    schedule = NoiseSchedule(DiffusionConfig(prediction=kind))
    latents, prediction = noise(*SHAPE), noise(*SHAPE, seed=1)
    split = levels(schedule, START).split(kind, framework.from_numpy(prediction), framework.from_numpy(latents))
    stepped = framework.to_numpy(levels(schedule, END).add_noise(*split))
    for row, (start, end) in enumerate(zip(START.tolist(), END.tolist(), strict=True)):
        path = SamplingPath((start,), (schedule.alpha_bar(start),), schedule.alpha_bar(end))
        expected = DDIM(schedule, path, 0.0).step(0, prediction[row], latents[row])
        assert relative_error(stepped[row], expected) < 1e-4


def test_v_needs_no_signal():
    """A schedule with zero terminal SNR: nothing but noise, whose v is the clean latents with the sign changed."""
    level = Level(*(framework.from_numpy(np.full((1, 1, 1, 1), value, np.float32)) for value in (0.0, 1.0)))
    x0, epsilon = framework.from_numpy(noise(1, 2, 4, 4)), framework.from_numpy(noise(1, 2, 4, 4, seed=1))
    found = level.split("v", -x0, epsilon)
    for actual, expected in zip(found, (x0, epsilon), strict=True):
        np.testing.assert_array_equal(framework.to_numpy(actual), framework.to_numpy(expected))


def test_the_boundary_condition_of_each_item():
    arrays = level_arrays(NoiseSchedule(DiffusionConfig()), np.array([0, 19]))
    assert arrays["c_skip"].ravel().tolist() == pytest.approx([1, 0.25 / (190**2 + 0.25)])
    assert arrays["c_out"].ravel().tolist() == pytest.approx([0, 190 / math.hypot(190, 0.5)])


def test_timesteps_are_those_of_the_sampler_and_end_before_them():
    schedule, generator = NoiseSchedule(DiffusionConfig()), seeded_rng(0)
    start, end = drawn_timesteps(schedule, 100, 2000, generator)
    assert sorted(set(start.tolist())) == lcm_timesteps()
    assert set((start - end)[start >= 100].tolist()) == {100} and end.min() == 0


def test_distances():
    difference = framework.from_numpy(np.array([0.0, 3.0, -4.0], np.float32))
    assert float(distance("l2", difference, 1.0)) == pytest.approx(25 / 3)
    assert float(distance("huber", difference, 1.0)) == pytest.approx((math.sqrt(10) + math.sqrt(17) - 2) / 3)
