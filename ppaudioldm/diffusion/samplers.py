"""Diffusion samplers: DDIM, PLMS, ancestral DDPM, DPM-Solver++ (2M), and those of (latent) consistency models.

A sampler does not depend on a network. It has the timesteps at which the network must be called, and turns each
prediction into the next latents. Multistep methods keep a history from call to call, which call 0 discards: a sampler
serves one generation after another, but no two at once. All coefficients are Python floats from float64 arithmetic,
fused so that no step subtracts large numbers from each other in the latents' dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ppaudioldm.choices import CONSISTENCY, LCM, SAMPLERS, check_sampler_options
from ppaudioldm.diffusion.schedule import Array, NoiseSchedule, SamplingPath, add_noise, boundary_scalings
from ppaudioldm.errors import quoted

# Measured on a mixture of Gaussians, whose noise is known, with guidance 3.5 and 20 steps: distance from the exact
# result 0.006, karras 0.008, linear 0.012, leading 0.015.
DPM_SPACING = "log-snr"

Noise = Callable[[int], Array]  # index of a step -> its standard normal draw, of the latents' shape


def make_sampler(
    name: str,
    schedule: NoiseSchedule,
    num_inference_steps: int,
    *,
    eta: float | None = None,
    spacing: str | None = None,
    strength: float = 1.0,
) -> Sampler:
    """The sampler called `name`, one of SAMPLERS, with `num_inference_steps` steps (1 to 1000, of "lcm" to 50).

    eta: for "ddim", the share of fresh noise at each step: 0 none (the default), 1 as much as DDPM.
    spacing: for "dpm++", one of schedule.SPACINGS, see `NoiseSchedule.path`; "log-snr" by default.
    strength: above 0, up to 1: the fraction of the steps that is taken, the last ones, at least one; below 1, sampling
        starts from existing latents with noise, see `Sampler.add_noise`. Of "consistency" and "lcm" it is the share of
        the timesteps instead: all steps are taken, from a lower noise level on.
    Raises ValueError that names the value and what is allowed, also for an option that the sampler does not have.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler is {quoted(name)}, allowed: {', '.join(SAMPLERS)}")
    check_sampler_options(name, eta, spacing)
    if not (math.isfinite(eta or 0.0) and (eta or 0.0) >= 0):
        raise ValueError(f"eta is {quoted(eta)}, allowed: finite numbers from 0 up")
    if not 0 < strength <= 1:
        raise ValueError(f"strength is {quoted(strength)}, allowed: above 0, at most 1")

    if name == CONSISTENCY:
        return Consistency(schedule, schedule.consistency_path(num_inference_steps, strength))
    if name == LCM:
        return LatentConsistency(schedule, schedule.lcm_path(num_inference_steps, strength))
    spacing = spacing or (DPM_SPACING if name == "dpm++" else "leading")
    path = schedule.path(num_inference_steps, spacing, to_zero=name in ("ddpm", "dpm++"))
    path = path.last(max(1, round(strength * len(path.timesteps))))
    if name == "plms":
        return PLMS(schedule, path)
    if name == "dpm++":
        return DPMSolver(schedule, path)
    return DDIM(schedule, path, eta=1.0 if name == "ddpm" else eta or 0.0)


class Sampler:
    """The interface of all samplers.

    timesteps: of each call of the network, in order. levels: alpha_bar of the latents at each of these calls.
    end: alpha_bar of the latents that the last step returns, 1 where they are clean. is_stochastic: whether steps draw
    noise.
    """

    is_stochastic = False

    def __init__(self, schedule: NoiseSchedule, path: SamplingPath) -> None:
        self.schedule = schedule
        self.timesteps = path.timesteps
        self.levels = path.levels
        self.end = path.end

    def initial(self, noise: Array) -> Array:
        """The latents before call 0 of a generation that starts from noise alone. noise: standard normal."""
        return noise

    def step(self, i: int, prediction: Array, latents: Array, noise: Noise | None = None) -> Array:
        """The next latents, after call i of the network.

        prediction: the network's output (epsilon, v or x0, as the schedule has it) for `latents` at timesteps[i].
        noise: called as noise(i), and only at steps that need it.
        Call 0 begins a new generation, and the other calls follow it in order, each once.
        """
        raise NotImplementedError

    def add_noise(self, i: int, x0: Array, noise: Array) -> Array:
        """Clean latents `x0` with the noise of the network's input at call i: to start from, or for inpainting."""
        return add_noise(x0, noise, self.levels[i])


class DDIM(Sampler):
    """DDIM, arXiv:2010.02502, equations 12 and 16.

    With eta 1 on a path that ends clean this is ancestral DDPM (arXiv:2006.11239, algorithm 2, with the smaller of its
    two variances) for betas respaced to the path.
    """

    def __init__(self, schedule: NoiseSchedule, path: SamplingPath, eta: float) -> None:
        super().__init__(schedule, path)
        self.is_stochastic = eta > 0
        self.coefficients = [ddim_coefficients(a, b, eta) for a, b in _pairs(path)]

    def step(self, i: int, prediction: Array, latents: Array, noise: Noise | None = None) -> Array:
        epsilon = self.schedule.to_epsilon(prediction, latents, self.levels[i])
        of_latents, of_epsilon, of_noise = self.coefficients[i]
        latents = of_latents * latents + of_epsilon * epsilon
        if of_noise == 0.0:
            return latents
        if noise is None:
            raise ValueError("noise is None, but this sampler is stochastic: a callable is needed")
        return latents + of_noise * noise(i)


class PLMS(Sampler):
    """Pseudo linear multistep, arXiv:2202.09778, in the variant of the original: DDIM steps with a better epsilon.

    The first step calls the network twice, at both of its ends, and so takes two calls of `step`; with a single step
    there is no second timestep, and it is a plain DDIM step. Later ones extrapolate from up to four predictions.
    """

    WEIGHTS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))

    def __init__(self, schedule: NoiseSchedule, path: SamplingPath) -> None:
        super().__init__(schedule, path)
        self.coefficients = [ddim_coefficients(a, b, eta=0.0)[:2] for a, b in _pairs(path)]
        if len(path.timesteps) > 1:
            # Calls 0 and 1 are both for the first step, from the same latents.
            self.timesteps = path.timesteps[:2] + path.timesteps[1:]
            self.levels = path.levels[:2] + path.levels[1:]
            self.coefficients.insert(1, self.coefficients[0])
        self.history: list[Array] = []  # the last epsilons, newest first
        self.start: Array = None  # the latents before the first step, between calls 0 and 1

    def step(self, i: int, prediction: Array, latents: Array, noise: Noise | None = None) -> Array:
        epsilon = self.schedule.to_epsilon(prediction, latents, self.levels[i])
        if i == 1:
            # A trial of the next timestep; its real epsilon comes with call 2, so this one is not kept.
            epsilon = 0.5 * self.history[0] + 0.5 * epsilon
            latents, self.start = self.start, None
        else:
            if i == 0:
                self.start, self.history = latents, []
            self.history = [epsilon, *self.history[:3]]
            epsilon = _weighted_sum(self.WEIGHTS[len(self.history) - 1], self.history)
        of_latents, of_epsilon = self.coefficients[i]
        return of_latents * latents + of_epsilon * epsilon


class DPMSolver(Sampler):
    """DPM-Solver++ (2M), arXiv:2211.01095, algorithm 2: second order in the predicted clean latents.

    The first step is of first order, since it has no history, and so is the last, which goes to zero noise.
    """

    def __init__(self, schedule: NoiseSchedule, path: SamplingPath) -> None:
        super().__init__(schedule, path)
        lambdas = [log_snr(a) for a in path.levels]
        self.coefficients = []
        for i, (a, b) in enumerate(_pairs(path)):
            if b == 1.0:
                self.coefficients.append((0.0, 1.0, 0.0))
                continue
            h = log_snr(b) - lambdas[i]
            of_previous = 0.5 * h / (lambdas[i] - lambdas[i - 1]) if i > 0 else 0.0
            scale = -math.sqrt(b) * math.expm1(-h)
            of_latents = math.sqrt((1 - b) / (1 - a))
            self.coefficients.append((of_latents, scale * (1 + of_previous), -scale * of_previous))
        self.previous: Array = None  # the clean latents predicted one step before

    def step(self, i: int, prediction: Array, latents: Array, noise: Noise | None = None) -> Array:
        x0 = self.schedule.to_x0(prediction, latents, self.levels[i])
        of_latents, of_x0, of_previous = self.coefficients[i]
        result = of_x0 * x0 if of_latents == 0.0 else of_latents * latents + of_x0 * x0
        if of_previous != 0.0:
            result = result + of_previous * self.previous
        self.previous = x0
        return result


class Consistency(Sampler):
    """Multistep consistency sampling, arXiv:2303.01469, algorithm 1: each call predicts the clean latents at once.

    Those of the last call are the result; all others get fresh noise, less at each call. One step draws none.
    """

    def __init__(self, schedule: NoiseSchedule, path: SamplingPath) -> None:
        super().__init__(schedule, path)
        self.is_stochastic = len(path.timesteps) > 1

    def initial(self, noise: Array) -> Array:
        # As ConsistencyTTA was trained: no part of the variance is the signal's, which is zero.
        return math.sqrt(1 - self.levels[0]) * noise

    def step(self, i: int, prediction: Array, latents: Array, noise: Noise | None = None) -> Array:
        x0 = self.clean(i, prediction, latents)
        if i == len(self.timesteps) - 1:
            return x0
        if noise is None:
            raise ValueError("noise is None, but this sampler is stochastic: a callable is needed")
        return self.add_noise(i + 1, x0, noise(i))

    def clean(self, i: int, prediction: Array, latents: Array) -> Array:
        """The clean latents that call i of the network predicts."""
        return self.schedule.to_x0(prediction, latents, self.levels[i])


class LatentConsistency(Consistency):
    """The sampler of latent consistency models, arXiv:2310.04378, algorithm 3: as diffusers' LCMScheduler.

    At full strength it starts from noise alone, and whatever the network predicts, noise, v or x0, becomes the clean
    latents by way of the model's boundary condition.
    """

    def initial(self, noise: Array) -> Array:
        return noise

    def clean(self, i: int, prediction: Array, latents: Array) -> Array:
        of_latents, of_x0 = boundary_scalings(self.timesteps[i])
        return of_latents * latents + of_x0 * super().clean(i, prediction, latents)


def ddim_coefficients(a: float, b: float, eta: float) -> tuple[float, float, float]:
    """The factors of latents, epsilon and fresh noise in a step from alpha_bar a to b.

    With eta above 1 the fresh noise is limited to the variance of level b.
    """
    variance = min(eta**2 * (1 - b) / (1 - a) * (1 - a / b), 1 - b)
    of_latents = math.sqrt(b / a)
    return of_latents, math.sqrt(1 - b - variance) - of_latents * math.sqrt(1 - a), math.sqrt(variance)


def log_snr(alpha_bar: float) -> float:
    """Half of the logarithm of signal / noise variance: lambda in the DPM-Solver papers."""
    return 0.5 * math.log(alpha_bar / (1 - alpha_bar))


def _pairs(path: SamplingPath) -> list[tuple[float, float]]:
    """alpha_bar before and after each step of the path."""
    return list(zip(path.levels, (*path.levels[1:], path.end), strict=True))


def _weighted_sum(weights: tuple[float, ...], arrays: list[Array]) -> Array:
    total = weights[0] * arrays[0]
    for weight, array in zip(weights[1:], arrays[1:], strict=True):
        total = total + weight * array
    return total
