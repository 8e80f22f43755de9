"""The schedulers of diffusers that step on the training timesteps: DDIM, DDPM and PNDM."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from ppaudioldm.compat.scheduler import Array, Noise, Scheduler

ALPHA_CLIPPING = {
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
    "rescale_betas_zero_snr": False,
}
ALPHA_ONLY = {"thresholding": False, "rescale_betas_zero_snr": False}


class DDIMScheduler(Scheduler):
    """DDIM, arXiv:2010.02502, equations 12 and 16."""

    DEFAULTS: ClassVar[dict[str, Any]] = {"set_alpha_to_one": True, "timestep_spacing": "leading", **ALPHA_CLIPPING}
    ONLY: ClassVar[dict[str, Any]] = ALPHA_ONLY

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        count = self._check_count(num_inference_steps, self.num_train_timesteps)
        self.timesteps = self._spaced(count, whole=True).astype(np.int64)

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        assert self.num_inference_steps is not None
        t = int(timestep)
        end = 1.0 if self.config.set_alpha_to_one else float(self.alphas_cumprod[0])
        a = self.alpha_bar(t, end)
        b = self.alpha_bar(t - self.num_train_timesteps // self.num_inference_steps, end)
        x0, epsilon = predicted(self.config.prediction_type, model_output, sample, a)
        x0 = clipped(x0, self.config)
        deviation = eta * math.sqrt((1 - b) / (1 - a) * (1 - a / b))
        result = math.sqrt(b) * x0 + math.sqrt(max(0.0, 1 - b - deviation**2)) * epsilon
        return result + deviation * noise() if eta > 0 else result


class DDPMScheduler(Scheduler):
    """Ancestral sampling, arXiv:2006.11239, algorithm 2, for betas respaced to the timesteps."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "variance_type": "fixed_small",
        "timestep_spacing": "leading",
        **ALPHA_CLIPPING,
    }
    ONLY: ClassVar[dict[str, Any]] = ALPHA_ONLY
    VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large")

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        if self.config.variance_type not in self.VARIANCES:
            raise ValueError(f"variance_type is {self.config.variance_type!r}, allowed: {', '.join(self.VARIANCES)}")
        count = self._check_count(num_inference_steps, self.num_train_timesteps)
        self.timesteps = self._spaced(count, whole=True).astype(np.int64)

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        t = int(timestep)
        index = int(np.flatnonzero(self.timesteps == t)[0])
        following = int(self.timesteps[index + 1]) if index + 1 < len(self.timesteps) else -1
        a, b = self.alpha_bar(t, 1.0), self.alpha_bar(following, 1.0)
        beta = 1 - a / b
        x0, _ = predicted(self.config.prediction_type, model_output, sample, a)
        x0 = clipped(x0, self.config)
        result = math.sqrt(b) * beta / (1 - a) * x0 + math.sqrt(a / b) * (1 - b) / (1 - a) * sample
        if t == 0:
            return result
        variance = beta if self.config.variance_type == "fixed_large" else (1 - b) / (1 - a) * beta
        return result + math.sqrt(max(variance, 1e-20)) * noise()


class PNDMScheduler(Scheduler):
    """Pseudo numerical methods, arXiv:2202.09778: Runge-Kutta for the first three steps, then linear multistep.

    With `skip_prk_steps` linear multistep from the beginning, whose second call is for the first step again.
    """

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "skip_prk_steps": False,
        "set_alpha_to_one": False,
        "timestep_spacing": "leading",
    }
    RUNGE_KUTTA_STEPS = 3
    WEIGHTS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        count = self._check_count(num_inference_steps, self.num_train_timesteps)
        steps = self._spaced(count, whole=True).astype(np.int64)
        self._runge_kutta_calls = 0
        if self.config.skip_prk_steps:
            self.timesteps = np.concatenate([steps[:2], steps[1:]]) if count > 1 else steps
        else:
            first = steps[: self.RUNGE_KUTTA_STEPS + 1]
            if len(first) <= self.RUNGE_KUTTA_STEPS:
                raise ValueError(f"num_inference_steps is {count}, allowed with Runge-Kutta steps: 4 and more")
            half = self.num_train_timesteps // count // 2
            calls = [(now, then + half, then + half, then) for now, then in pairwise(first)]
            self._runge_kutta_calls = 4 * len(calls)
            self.timesteps = np.concatenate([*calls, steps[self.RUNGE_KUTTA_STEPS :]])
        self._calls = 0
        self._history: list[Array] = []  # noise predictions, newest first
        self._sample: Array = None  # that the step in progress starts from
        self._sum: Array = 0  # of the predictions of a Runge-Kutta step so far

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        is_runge_kutta = self._calls < self._runge_kutta_calls
        result = (self._runge_kutta if is_runge_kutta else self._multistep)(model_output, int(timestep), sample)
        self._calls += 1
        return result

    def _runge_kutta(self, model_output: Array, timestep: int, sample: Array) -> Array:
        assert self.num_inference_steps is not None
        call, half = self._calls % 4, self.num_train_timesteps // self.num_inference_steps // 2
        start = int(self.timesteps[self._calls - call])
        if call == 0:
            self._history = [model_output, *self._history[:3]]
            self._sample, self._sum = sample, 0
        self._sum = self._sum + (1 / 6, 1 / 3, 1 / 3, 1 / 6)[call] * model_output
        end = timestep - (0 if call % 2 else half)
        return self._moved(self._sample, start, end, self._sum if call == 3 else model_output)

    def _multistep(self, model_output: Array, timestep: int, sample: Array) -> Array:
        assert self.num_inference_steps is not None
        ratio = self.num_train_timesteps // self.num_inference_steps
        call, start, end = self._calls - self._runge_kutta_calls, timestep, timestep - ratio
        repeats_first = self.config.skip_prk_steps and call == 1
        if repeats_first:
            start, end = timestep + ratio, timestep
            epsilon = 0.5 * (model_output + self._history[0])
            sample = self._sample
        else:
            self._history = [model_output, *self._history[:3]]
            self._sample = sample
            weights = self.WEIGHTS[len(self._history) - 1]
            epsilon = sum(w * past for w, past in zip(weights, self._history, strict=True))
        return self._moved(sample, start, end, epsilon)

    def _moved(self, sample: Array, start: int, end: int, model_output: Array) -> Array:
        """`sample` from timestep `start` to `end`: equation 9 of the paper, which is a DDIM step."""
        before_first = 1.0 if self.config.set_alpha_to_one else float(self.alphas_cumprod[0])
        a, b = self.alpha_bar(start, before_first), self.alpha_bar(end, before_first)
        x0, epsilon = predicted(self.config.prediction_type, model_output, sample, a)
        return math.sqrt(b) * x0 + math.sqrt(1 - b) * epsilon


def predicted(prediction_type: str, model_output: Array, sample: Array, alpha_bar: float) -> tuple[Array, Array]:
    """The clean latents and the noise in `sample`, from the network's output for it."""
    signal, noise = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    if prediction_type == "epsilon":
        return (1 / signal) * (sample - noise * model_output), model_output
    if prediction_type == "v_prediction":
        return signal * sample - noise * model_output, signal * model_output + noise * sample
    return model_output, (1 / noise) * (sample - signal * model_output)


def clipped(x0: Array, config: Any) -> Array:
    """`x0` within the range of the configuration, if that says so."""
    limit = float(config.clip_sample_range)
    return x0.clip(-limit, limit) if config.clip_sample else x0
