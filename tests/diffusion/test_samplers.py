from __future__ import annotations

import math

import numpy as np
import pytest

from ppaudioldm.choices import SAMPLERS
from ppaudioldm.config import CONSISTENCYTTA_DIFFUSION
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule, boundary_scalings
from tests.diffusion.examples import (
    GOLDEN_CASES,
    SCHEDULE,
    V_SCHEDULE,
    initial_latents,
    network,
    sample,
    sample_golden_case,
    step_noise,
)
from tests.diffusion.targets import training_target
from tests.support import load_golden, relative_error

# Data that is normal with this mean and deviation: the noise is then known exactly.
MEAN, DEVIATION = 0.7, 0.4


def marginal(level: float) -> tuple[float, float]:
    """Mean and deviation of the noisy data."""
    return math.sqrt(level) * MEAN, math.sqrt(level * DEVIATION**2 + 1 - level)


def exact_epsilon(latents: np.ndarray, level: float) -> np.ndarray:
    mean, deviation = marginal(level)
    return math.sqrt(1 - level) * (latents - mean) / deviation**2


def exact_path(latents: np.ndarray, start: float, end: float) -> np.ndarray:
    """Where the probability flow takes latents of one level: at the same number of deviations from the mean."""
    (mean, deviation), (end_mean, end_deviation) = marginal(start), marginal(end)
    return end_mean + end_deviation * (latents - mean) / deviation


def error_of_exact_network(sampler: Sampler, steps: int) -> float:
    """Largest difference from the exact path after `steps` calls of the network."""
    x = np.linspace(-2, 2, 9)
    latents = x
    for i in range(steps):
        latents = sampler.step(i, exact_epsilon(latents, sampler.levels[i]), latents)
    reached = (*sampler.levels, sampler.end)[steps]
    return np.abs(latents - exact_path(x, sampler.levels[0], reached)).max()


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(name):
    golden = load_golden(name)
    sampler, path = sample_golden_case(name)
    assert list(sampler.timesteps) == golden["timesteps"].tolist()
    assert path.dtype == np.float32
    assert relative_error(path, golden["latents"]) < 1e-5


def test_ddim_converges_with_first_order():
    errors = [error_of_exact_network(make_sampler("ddim", SCHEDULE, n), n) for n in (50, 100, 200)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert errors[-1] < 0.02 and all(orders > 0.85) and all(orders < 1.3), (errors, orders)


def test_plms_beats_ddim():
    errors = [error_of_exact_network(make_sampler("plms", SCHEDULE, n), n + 1) for n in (50, 200)]
    assert errors[0] < 0.25 * error_of_exact_network(make_sampler("ddim", SCHEDULE, 50), 50)
    assert errors[1] < errors[0]


@pytest.mark.parametrize("spacing", ["log-snr", "karras"])
def test_dpm_solver_converges_with_second_order(spacing):
    # Without the last step, which always goes from the schedule's lowest noise to none.
    errors = [
        error_of_exact_network(make_sampler("dpm++", SCHEDULE, n, spacing=spacing), n - 1) for n in (50, 100, 200, 400)
    ]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert errors[-1] < 1e-4 and all(orders > 1.8) and all(orders < 2.3), (errors, orders)


@pytest.mark.parametrize("name,options", [("ddpm", {}), ("ddim", {"eta": 1.0}), ("ddim", {"eta": 0.5})])
def test_stochastic_samplers_draw_from_the_data(name, options):
    random = np.random.default_rng(0)
    sampler = make_sampler(name, SCHEDULE, 1000, **options)  # with 200 the deviation is 0.03 too small
    latents = random.standard_normal(20_000)
    for i, level in enumerate(sampler.levels):
        latents = sampler.step(i, exact_epsilon(latents, level), latents, lambda _: random.standard_normal(20_000))
    mean, deviation = marginal(sampler.end)
    assert latents.mean() == pytest.approx(mean, abs=0.02)
    assert latents.std() == pytest.approx(deviation, abs=0.02)


def test_a_very_large_eta_still_gives_the_right_variance():
    sampler = make_sampler("ddim", SCHEDULE, 50, eta=1e6)
    for i, level in enumerate((*sampler.levels[1:], sampler.end)):
        of_latents, of_epsilon, of_noise = sampler.coefficients[i]
        assert of_noise == pytest.approx(math.sqrt(1 - level))
        # what is left is the predicted clean latents
        assert of_latents * math.sqrt(sampler.levels[i]) == pytest.approx(math.sqrt(level))
        assert of_epsilon == pytest.approx(-of_latents * math.sqrt(1 - sampler.levels[i]))


@pytest.mark.parametrize("name", SAMPLERS)
def test_v_takes_the_same_path_as_epsilon(name):
    x = initial_latents().astype(np.float64)
    noise = lambda i: step_noise(i).astype(np.float64)  # noqa: E731
    expected = sample(make_sampler(name, SCHEDULE, 20), x, noise=noise)
    sampler, latents = make_sampler(name, V_SCHEDULE, 20), x
    for i, timestep in enumerate(sampler.timesteps):
        level, eps = sampler.levels[i], network(latents, timestep)
        v = training_target(V_SCHEDULE, SCHEDULE.to_x0(eps, latents, level), eps, level)
        latents = sampler.step(i, v, latents, noise)
        assert relative_error(latents, expected[i]) < 1e-10


@pytest.mark.parametrize("framework", ["paddle", "torch"])
@pytest.mark.parametrize("dtype,tolerance", [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_tensors_give_the_numbers_of_arrays(framework, dtype, tolerance, name):
    tensor = getattr(pytest.importorskip(framework), "tensor" if framework == "torch" else "to_tensor")
    expected = sample(make_sampler(name, SCHEDULE, 12), initial_latents().astype(dtype), noise=_as(dtype))
    actual = sample(
        make_sampler(name, SCHEDULE, 12),
        tensor(initial_latents().astype(dtype)),
        noise=lambda i: tensor(step_noise(i).astype(dtype)),
    )
    assert relative_error(actual[-1].numpy(), expected[-1]) < tolerance
    assert str(actual[-1].numpy().dtype) == dtype


@pytest.mark.parametrize("framework,dtype", [("numpy", "float16"), ("torch", "bfloat16")])  # Paddle: on GPUs only
def test_half_precision_stays(framework, dtype):
    xp = pytest.importorskip(framework)
    ones = xp.ones([1, 2, 3, 2], dtype=getattr(xp, dtype))
    for name in SAMPLERS:
        latents = sample(make_sampler(name, SCHEDULE, 3), ones, network, lambda _: ones)[-1]
        assert latents.dtype == ones.dtype


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_small_count_works(name):
    # The original fails from 251 to 333; a latent consistency model knows 50 timesteps.
    for steps in (*range(1, 12), *((33, 49, 50) if name == "lcm" else (251, 333, 1000))):
        sampler = make_sampler(name, SCHEDULE, steps)
        assert len(sampler.timesteps) == steps + (name == "plms" and steps > 1)
        assert len(sampler.levels) == len(sampler.timesteps)
        assert np.isfinite(sample(sampler, initial_latents())[-1]).all()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
@pytest.mark.parametrize("finished_calls", [1, 2, 5, None])
def test_a_sampler_serves_one_generation_after_another(name, steps, finished_calls):
    """Bit for bit as a new one, also after a generation of other latents that was stopped."""
    expected = sample(make_sampler(name, SCHEDULE, steps), initial_latents())
    sampler = make_sampler(name, SCHEDULE, steps)
    latents = 3 - 2 * initial_latents()
    for i, timestep in list(enumerate(sampler.timesteps))[:finished_calls]:
        latents = sampler.step(i, network(latents, timestep), latents, step_noise)
    for _ in range(2):
        np.testing.assert_array_equal(sample(sampler, initial_latents()), expected)


CONSISTENCYTTA = NoiseSchedule(CONSISTENCYTTA_DIFFUSION)


@pytest.mark.parametrize(
    ("steps", "timesteps", "sigmas"),
    [
        (1, [999.0], [14.6146]),
        (2, [999.0, 0.0], [14.6146, 0.0292]),
        (3, [999.0, 499.5, 0.0], [14.6146, 1.61558, 0.0292]),
        (4, [999.0, 666.0, 333.0, 0.0], [14.6146, 2.91831, 0.93236, 0.0292]),
    ],
)
def test_a_consistency_models_noise_levels_are_those_of_its_program(steps, timesteps, sigmas):
    """Figures that were observed of the published program."""
    sampler = make_sampler("consistency", CONSISTENCYTTA, steps)
    assert list(sampler.timesteps) == timesteps and sampler.end == 1
    assert [math.sqrt((1 - level) / level) for level in sampler.levels] == pytest.approx(sigmas, rel=1e-4, abs=1e-4)
    assert sampler.initial(1.0) == pytest.approx(0.99766725, rel=1e-7)
    assert sampler.is_stochastic == (steps > 1)


def test_a_consistency_models_steps_are_its_prediction_with_less_and_less_noise():
    sampler = make_sampler("consistency", CONSISTENCYTTA, 3)
    x, prediction = initial_latents(), initial_latents() / 3
    renoised = sampler.step(0, prediction, x, step_noise)
    sigma = math.sqrt((1 - sampler.levels[1]) / sampler.levels[1])
    expected = (prediction + sigma * step_noise(0)) / math.sqrt(sigma**2 + 1)
    np.testing.assert_allclose(renoised, expected, atol=1e-6)
    assert sampler.step(2, prediction, x) is prediction
    with pytest.raises(ValueError, match="noise is None"):
        sampler.step(1, prediction, x)


def test_strength_is_the_first_noise_level_of_a_consistency_model():
    half = make_sampler("consistency", CONSISTENCYTTA, 2, strength=0.5)
    assert half.timesteps == (499.5, 0.0) and math.sqrt(1 / half.levels[0] - 1) == pytest.approx(1.61558, rel=1e-5)


@pytest.mark.parametrize(
    ("steps", "strength", "timesteps"),
    [
        (1, 1.0, (999,)),
        (2, 1.0, (999, 499)),
        (4, 1.0, (999, 759, 499, 259)),
        (8, 1.0, (999, 879, 759, 639, 499, 379, 259, 139)),
        (4, 0.5, (499, 379, 259, 139)),
        (4, 0.05, (39, 19)),
        (4, 0.001, (19,)),
    ],
)
def test_the_timesteps_of_a_latent_consistency_model(steps, strength, timesteps):
    sampler = make_sampler("lcm", SCHEDULE, steps, strength=strength)
    assert sampler.timesteps == timesteps and sampler.end == 1
    assert sampler.levels == tuple(map(SCHEDULE.alpha_bar, timesteps))
    assert sampler.is_stochastic == (len(timesteps) > 1)


def test_a_latent_consistency_models_steps_are_its_prediction_with_less_noise():
    """That of v; at small timesteps the boundary condition keeps some of the latents."""
    sampler = make_sampler("lcm", V_SCHEDULE, 2, strength=0.04)
    assert sampler.timesteps == (39, 19)
    x, prediction, (first, second) = initial_latents(), initial_latents() / 3, sampler.levels
    assert sampler.initial(x) is x

    def clean(level, timestep, latents):
        skip, out = 0.25 / ((10 * timestep) ** 2 + 0.25), 10 * timestep / math.hypot(10 * timestep, 0.5)
        return skip * latents + out * (math.sqrt(level) * latents - math.sqrt(1 - level) * prediction)

    renoised = math.sqrt(second) * clean(first, 39, x) + math.sqrt(1 - second) * step_noise(0)
    np.testing.assert_allclose(sampler.step(0, prediction, x, step_noise), renoised, atol=1e-6)
    np.testing.assert_allclose(sampler.step(1, prediction, renoised), clean(second, 19, renoised), atol=1e-6)


def test_the_boundary_condition_keeps_what_has_no_noise():
    assert boundary_scalings(0) == (1.0, 0.0)
    assert boundary_scalings(0.1) == pytest.approx((0.2, math.sqrt(0.8)))


def test_more_steps_than_a_latent_consistency_model_has():
    with pytest.raises(ValueError, match="num_inference_steps is 51, allowed: whole numbers from 1 to 50"):
        make_sampler("lcm", SCHEDULE, 51)


def test_plms_calls_the_second_timestep_twice():
    assert make_sampler("plms", SCHEDULE, 5).timesteps == (801, 601, 601, 401, 201, 1)
    assert make_sampler("plms", SCHEDULE, 1).timesteps == (1,)


def test_strength_makes_the_last_steps():
    whole, half = make_sampler("ddim", SCHEDULE, 50), make_sampler("ddim", SCHEDULE, 50, strength=0.5)
    assert half.timesteps == whole.timesteps[25:]
    assert len(make_sampler("dpm++", SCHEDULE, 50, strength=0.001).timesteps) == 1
    x0, eps = initial_latents(), step_noise(0)
    assert relative_error(half.add_noise(0, x0, eps), SCHEDULE.add_noise(x0, eps, half.timesteps[0])) == 0


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_of_known_clean_latents_return_to_them(name):
    x0, eps = initial_latents().astype(np.float64), step_noise(0).astype(np.float64)
    sampler = make_sampler(name, SCHEDULE, 20, strength=0.6)
    latents = sampler.add_noise(0, x0, eps)
    for i, level in enumerate(sampler.levels):
        known = (latents - math.sqrt(level) * x0) / math.sqrt(1 - level)
        latents = sampler.step(i, known, latents, lambda i: step_noise(i).astype(np.float64))
    left = math.sqrt(1 - sampler.end)  # of the noise, where the path does not end clean
    if name == "lcm":  # its boundary condition leaves that much at timestep 19
        left = 0.25 / (190**2 + 0.25)
    assert np.abs(latents - math.sqrt(sampler.end) * x0).max() <= 5 * left + 1e-9


def test_only_some_are_stochastic():
    stochastic = [name for name in SAMPLERS if make_sampler(name, SCHEDULE, 5).is_stochastic]
    assert stochastic == ["ddpm", "lcm", "consistency"] and make_sampler("ddim", SCHEDULE, 5, eta=0.1).is_stochastic
    with pytest.raises(ValueError, match="noise is None"):
        sample(make_sampler("ddpm", SCHEDULE, 5), initial_latents(), noise=None)


@pytest.mark.parametrize(
    "name,options,message",
    [
        ("euler", {}, "sampler is 'euler', allowed: ddim, plms, ddpm, dpm"),
        ("ddim", {"eta": -0.1}, "eta is -0.1, allowed: finite numbers from 0 up"),
        ("ddim", {"eta": math.nan}, "eta is nan"),
        ("ddim", {"eta": math.inf}, "eta is inf"),
        ("plms", {"eta": 0.0}, "only the ddim sampler"),
        ("ddim", {"spacing": "karras"}, "only the dpm"),
        ("dpm++", {"spacing": "even"}, "spacing is 'even', allowed"),
        ("ddim", {"strength": 0.0}, "strength is 0.0, allowed: above 0, at most 1"),
        ("ddim", {"strength": math.nan}, "strength is nan"),
        ("ddim", {"num_inference_steps": 1001}, "num_inference_steps is 1001"),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_sampler(name, SCHEDULE, **{"num_inference_steps": 10, **options})


def _as(dtype: str):
    return lambda i: step_noise(i).astype(dtype)
