"""The schedulers of diffusers that step on noise levels, sigma = noise / signal: Euler, Euler ancestral, LMS."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ppaudioldm.compat.scheduler import Array, Noise, Scheduler

KARRAS_RHO = 7.0  # arXiv:2206.00364, table 1


class SigmaScheduler(Scheduler):
    """Latents are scaled to signal 1: their noise has the standard deviation sigma. `sigmas` has a value after the last
    step, too."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "timestep_spacing": "linspace",
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
    }
    ONLY: ClassVar[dict[str, Any]] = {"use_exponential_sigmas": False, "use_beta_sigmas": False}

    def _set_config(self, given: dict[str, Any], where: str) -> None:
        super()._set_config(given, where)
        self._set_sigmas(self.train_sigmas[::-1], self.timesteps)

    @property
    def train_sigmas(self) -> np.ndarray:
        """(num_train_timesteps,), increasing."""
        return np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)

    @property
    def init_noise_sigma(self) -> float:
        largest = float(self.sigmas.max())
        return math.hypot(largest, 1) if self.config.timestep_spacing == "leading" else largest

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        count = self._check_count(num_inference_steps, self.num_train_timesteps)
        timesteps = self._spaced(count, whole=False)
        sigmas = np.interp(timesteps, np.arange(self.num_train_timesteps), self.train_sigmas)
        if self.config.get("use_karras_sigmas"):
            sigmas = karras_sigmas(sigmas[0], sigmas[-1], count)
            timesteps = timesteps_of(sigmas, self.train_sigmas)
        self._set_sigmas(sigmas, timesteps)

    def _set_sigmas(self, sigmas: np.ndarray, timesteps: np.ndarray) -> None:
        self.sigmas = np.append(sigmas, self._last_sigma)
        self.timesteps = np.asarray(timesteps, np.float64)
        self._index = 0

    @property
    def _last_sigma(self) -> float:
        return 0.0

    def scale_model_input(self, sample: Array, timestep: float) -> Array:
        return (1 / math.hypot(float(self.sigmas[self._index]), 1)) * sample

    def _levels(self) -> tuple[float, float]:
        """Sigma before and after the step in progress; the next call is for the next step."""
        before, after = float(self.sigmas[self._index]), float(self.sigmas[self._index + 1])
        self._index += 1
        return before, after

    def _derivative(self, model_output: Array, sample: Array, sigma: float) -> Array:
        """d sample / d sigma: the noise in `sample`."""
        kind = self.config.prediction_type
        if kind == "epsilon":
            return model_output
        if kind == "sample":
            return (1 / sigma) * (sample - model_output)
        scale = math.hypot(sigma, 1)
        return (sigma / scale**2) * sample + (1 / scale) * model_output


class EulerDiscreteScheduler(SigmaScheduler):
    """Euler's method on the probability flow, arXiv:2206.00364, algorithm 1 without noise."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        **SigmaScheduler.DEFAULTS,
        "interpolation_type": "linear",
        "sigma_min": None,
        "sigma_max": None,
        "timestep_type": "discrete",
        "rescale_betas_zero_snr": False,
        "final_sigmas_type": "zero",
    }
    ONLY: ClassVar[dict[str, Any]] = {
        **SigmaScheduler.ONLY,
        "interpolation_type": "linear",
        "sigma_min": None,
        "sigma_max": None,
        "timestep_type": "discrete",
        "rescale_betas_zero_snr": False,
    }

    @property
    def _last_sigma(self) -> float:
        return last_sigma(self.config.final_sigmas_type, self.train_sigmas)

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        before, after = self._levels()
        return sample + (after - before) * self._derivative(model_output, sample, before)


class EulerAncestralDiscreteScheduler(SigmaScheduler):
    """Euler's method with fresh noise after every step, as much as ancestral sampling has."""

    DEFAULTS: ClassVar[dict[str, Any]] = {"timestep_spacing": "linspace", "rescale_betas_zero_snr": False}
    ONLY: ClassVar[dict[str, Any]] = {"rescale_betas_zero_snr": False}

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        before, after = self._levels()
        fresh = math.sqrt(after**2 * (before**2 - after**2) / before**2)
        down = math.sqrt(after**2 - fresh**2)
        result = sample + (down - before) * self._derivative(model_output, sample, before)
        return result + fresh * noise()


class LMSDiscreteScheduler(SigmaScheduler):
    """Linear multistep of fourth order: the last four derivatives as a polynomial in sigma, integrated."""

    ORDER = 4

    def _set_sigmas(self, sigmas: np.ndarray, timesteps: np.ndarray) -> None:
        super()._set_sigmas(sigmas, timesteps)
        self._derivatives: list[Array] = []  # newest first

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        index = self._index
        before, after = self._levels()
        derivative = self._derivative(model_output, sample, before)
        self._derivatives = [derivative, *self._derivatives[: self.ORDER - 1]]
        known = [float(sigma) for sigma in self.sigmas[index + 1 - len(self._derivatives) : index + 1][::-1]]
        for weight, past in zip(lagrange_integrals(known, before, after), self._derivatives, strict=True):
            sample = sample + weight * past
        return sample


def lagrange_integrals(nodes: list[float], start: float, end: float) -> list[float]:
    """The integral from `start` to `end` of each of the Lagrange polynomials of `nodes`."""
    integrals = []
    for i, node in enumerate(nodes):
        others = [other for j, other in enumerate(nodes) if j != i]
        # About `start`, so that no large powers are subtracted.
        basis = np.poly1d([other - start for other in others], r=True) if others else np.poly1d([1.0])
        scale = math.prod(node - other for other in others)
        integrals.append(float(basis.integ()(end - start)) / scale)
    return integrals


def karras_sigmas(first: float, last: float, count: int) -> np.ndarray:
    """`count` noise levels, evenly in their 7th root: arXiv:2206.00364, equation 5."""
    ramp = np.linspace(0, 1, count)
    return (first ** (1 / KARRAS_RHO) * (1 - ramp) + last ** (1 / KARRAS_RHO) * ramp) ** KARRAS_RHO


def timesteps_of(sigmas: np.ndarray, train_sigmas: np.ndarray) -> np.ndarray:
    """The timesteps, not whole numbers, whose noise levels are `sigmas`; interpolated in the logarithm."""
    return np.interp(np.log(sigmas), np.log(train_sigmas), np.arange(len(train_sigmas)))


def last_sigma(final_sigmas_type: str, train_sigmas: np.ndarray) -> float:
    """The noise level after the last step. Raises ValueError for an unknown type."""
    if final_sigmas_type not in ("zero", "sigma_min"):
        raise ValueError(f"final_sigmas_type is {final_sigmas_type!r}, allowed: zero, sigma_min")
    return 0.0 if final_sigmas_type == "zero" else float(train_sigmas[0])
