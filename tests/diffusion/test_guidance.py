from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.guidance import combine, guidance_scales, needs_unconditional
from ppaudioldm.diffusion.samplers import make_sampler
from tests.diffusion.examples import SCHEDULE, initial_latents, network, sample, step_noise
from tests.support import relative_error


def test_combine():
    batch = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(combine(batch, 3.5), batch[:2] + 3.5 * (batch[2:] - batch[:2]))
    np.testing.assert_array_equal(combine(batch, 0.0), batch[:2])
    np.testing.assert_array_equal(combine(batch[2:], 1.0), batch[2:])
    assert combine(batch, 3.5).dtype == np.float32


def test_bad_guidance():
    with pytest.raises(ValueError, match="3 items"):
        combine(np.zeros((3, 2)), 2.0)
    for scale in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="guidance_scale is .* allowed: finite"):
            needs_unconditional(scale)
    assert needs_unconditional(0.0) and needs_unconditional(3) and not needs_unconditional(1)


@pytest.mark.parametrize("framework", ["numpy", "paddle", "torch"])
def test_denoise_guides_every_step(framework):
    xp = pytest.importorskip(framework)
    make = {"numpy": np.array, "paddle": getattr(xp, "to_tensor", None), "torch": getattr(xp, "tensor", None)}[
        framework
    ]
    join = getattr(xp, "concatenate", None) or xp.concat
    calls = []

    def predict(latents, timestep, step):
        calls.append(timestep)
        return join([0.5 * network(latents, timestep), network(latents, timestep)])

    def guided(latents, timestep):
        return 1.5 * network(latents, timestep)  # 0.5 n + 2 (n - 0.5 n)

    sampler = make_sampler("ddim", SCHEDULE, 8, eta=1.0)
    expected = sample(sampler, initial_latents(), guided)
    path = list(denoise(predict, sampler, make(initial_latents()), 2.0, lambda i: make(step_noise(i))))
    assert [i for i, _ in path] == list(range(8)) and calls == list(sampler.timesteps)
    assert relative_error(np.asarray(path[-1][1]), expected[-1]) < 1e-6


def unguided(latents, timestep, step):
    return network(latents, timestep)


@pytest.mark.parametrize(
    "interval,expected",
    [
        ((0.0, 1.0), [3.5] * 10),
        ((0.2, 0.7), [1, 1, 3.5, 3.5, 3.5, 3.5, 3.5, 1, 1, 1]),
        ((0.0, 0.34), [3.5] * 3 + [1] * 7),
        ((0.96, 1.0), [1] * 10),
    ],
)
def test_scales_outside_the_interval_are_one(interval, expected):
    assert guidance_scales(3.5, interval, 10) == expected


def test_denoise_with_a_scale_for_each_call():
    """Guided calls give both halves, the others the conditional one alone."""
    scales = guidance_scales(2.0, (0.25, 0.75), 8)
    assert scales == [1, 1, 2, 2, 2, 2, 1, 1]

    def predict(latents, timestep, i):
        conditional = network(latents, timestep)
        return conditional if scales[i] == 1 else np.concatenate([0.5 * conditional, conditional])

    path = [latents for _, latents in denoise(predict, make_sampler("ddim", SCHEDULE, 8), initial_latents(), scales)]
    sampler, latents = make_sampler("ddim", SCHEDULE, 8), initial_latents()
    for i, timestep in enumerate(sampler.timesteps):
        factor = 1.5 if 2 <= i < 6 else 1.0  # 0.5 n + 2 (n - 0.5 n)
        latents = sampler.step(i, factor * network(latents, timestep), latents)
        assert relative_error(path[i], latents) < 1e-6


def test_denoise_without_guidance_and_stopped_early():
    steps = denoise(unguided, make_sampler("plms", SCHEDULE, 8), initial_latents(), 1.0)
    i, latents = next(steps)
    expected = sample(make_sampler("plms", SCHEDULE, 8), initial_latents())
    assert i == 0 and relative_error(latents, expected[0]) == 0
    steps.close()


def test_denoise_constrains_before_every_call():
    x0, kept = initial_latents(), np.zeros_like(initial_latents())
    kept[:, :, :2] = 1
    sampler = make_sampler("ddim", SCHEDULE, 10)

    def constrain(i, latents):
        return kept * sampler.add_noise(i, x0, step_noise(i)) + (1 - kept) * latents

    seen = []

    def predict(latents, timestep, step):
        seen.append(latents)
        return network(latents, timestep)

    list(denoise(predict, sampler, step_noise(99), 1.0, constrain=constrain))
    for i, latents in enumerate(seen):
        np.testing.assert_array_equal(latents[:, :, :2], sampler.add_noise(i, x0, step_noise(i))[:, :, :2])


def test_denoise_refuses_a_prediction_that_is_not_doubled():
    with pytest.raises(ValueError, match="1 guided items for 2 latents"):
        next(denoise(unguided, make_sampler("ddim", SCHEDULE, 8), initial_latents(), 2.0))
