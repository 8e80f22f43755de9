from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.choices import SPACINGS
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.schedule import NoiseSchedule, add_noise
from tests.diffusion.examples import SCHEDULE, SHAPE, V_SCHEDULE
from tests.diffusion.targets import training_target
from tests.support import noise, relative_error


def original_timesteps(steps: int) -> list[int]:
    return [t + 1 for t in range(0, 1000, 1000 // steps)][::-1]


def test_betas_are_linear_in_their_roots():
    roots = np.sqrt(SCHEDULE.betas)
    assert SCHEDULE.betas.dtype == np.float64
    assert SCHEDULE.betas[[0, -1]] == pytest.approx([0.0015, 0.0195])
    np.testing.assert_allclose(np.diff(roots), (roots[-1] - roots[0]) / 999)
    np.testing.assert_allclose(SCHEDULE.alphas_cumprod[:2], [0.9985, 0.9985 * (1 - SCHEDULE.betas[1])])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_count_gives_exactly_that_many_steps(spacing):
    for steps in range(1, 1001):
        path = SCHEDULE.path(steps, spacing)
        assert len(path.timesteps) == len(path.levels) == steps
        assert path.timesteps[0] <= 999 and path.timesteps[-1] >= 0
        assert all(np.diff([*path.levels, path.end]) > 0)
        if spacing in ("leading", "linear"):
            assert all(np.diff(path.timesteps) < 0) if steps > 1 else True
        else:
            assert all(np.diff(path.timesteps) <= 0) if steps > 1 else True


def test_leading_is_the_originals_where_its_count_agrees():
    agreeing = [s for s in range(1, 1000) if len(original_timesteps(s)) == s]
    assert {5, 10, 20, 25, 50, 100, 200} < set(agreeing)
    for steps in agreeing:
        assert list(SCHEDULE.path(steps).timesteps) == original_timesteps(steps)


def test_leading_ends_like_the_original():
    assert SCHEDULE.path(200).end == SCHEDULE.alpha_bar(0)
    assert SCHEDULE.path(200, to_zero=True).end == 1.0
    assert SCHEDULE.path(1000).end == 1.0


def test_levels_between_timesteps_span_the_whole_schedule():
    for spacing in ("log-snr", "karras"):
        path = SCHEDULE.path(20, spacing)
        assert path.timesteps[0] == 999 and path.timesteps[-1] == 0
        assert path.levels[0] == pytest.approx(SCHEDULE.alpha_bar(999))
        assert path.levels[-1] == pytest.approx(SCHEDULE.alpha_bar(0))
        assert path.end == 1.0
    level = np.array(SCHEDULE.path(20, "log-snr").levels)
    np.testing.assert_allclose(np.diff(np.log(level / (1 - level)), 2), 0, atol=1e-9)


@pytest.mark.parametrize("schedule", [SCHEDULE, V_SCHEDULE], ids=["epsilon", "v"])
def test_predictions_convert_back(schedule):
    x0, eps = noise(*SHAPE, seed=1).astype(np.float64), noise(*SHAPE, seed=2).astype(np.float64)
    for t in (0, 500, 999):
        level = schedule.alpha_bar(t)
        noisy, target = schedule.add_noise(x0, eps, t), training_target(schedule, x0, eps, level)
        assert relative_error(schedule.to_epsilon(target, noisy, level), eps) < 1e-12
        assert relative_error(schedule.to_x0(target, noisy, level), x0) < 1e-11


def test_noisy_latents_and_targets_are_those_of_the_papers():
    """DDPM's forward process, and v of arXiv:2202.00512 as its angle has it: the derivative of the noisy latents."""
    x0, eps = noise(*SHAPE, seed=1).astype(np.float64), noise(*SHAPE, seed=2).astype(np.float64)
    level = SCHEDULE.alpha_bar(400)
    signal, sigma = np.sqrt(np.prod(1 - SCHEDULE.betas[:401])), np.sqrt(1 - level)
    assert relative_error(SCHEDULE.add_noise(x0, eps, 400), signal * x0 + sigma * eps) < 1e-12
    assert relative_error(training_target(SCHEDULE, x0, eps, level), eps) == 0
    angle, step = np.arccos(signal), 1e-6
    derivative = (add_noise(x0, eps, np.cos(angle + step) ** 2) - add_noise(x0, eps, np.cos(angle - step) ** 2)) / (
        2 * step
    )
    assert relative_error(training_target(V_SCHEDULE, x0, eps, level), derivative) < 1e-8


def test_dtype_is_kept():
    x = noise(*SHAPE)
    assert SCHEDULE.add_noise(x, x, 10).dtype == np.float32
    assert SCHEDULE.to_x0(x.astype(np.float16), x.astype(np.float16), 0.5).dtype == np.float16


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, True, "10", None, float("nan")])
def test_bad_counts(steps):
    with pytest.raises(ValueError, match="num_inference_steps is .* allowed: whole numbers from 1 to 1000"):
        SCHEDULE.path(steps)


def test_bad_spacing_and_timestep():
    with pytest.raises(ValueError, match="spacing is 'trailing', allowed: leading, linear"):
        SCHEDULE.path(10, "trailing")
    for t in (-1, 1000):
        with pytest.raises(ValueError, match="timestep is .* allowed: 0 to 999"):
            SCHEDULE.alpha_bar(t)


@pytest.mark.parametrize(
    "change",
    [{"prediction": "noise"}, {"num_train_timesteps": 0}, {"beta_start": 0.0}, {"beta_end": 1.0}, {"beta_start": 0.5}],
)
def test_bad_config(change):
    with pytest.raises(ValueError, match=f"diffusion.*{next(iter(change))}"):
        NoiseSchedule(replace(DiffusionConfig(), **change))
