"""The noise schedule of DDPM (arXiv:2006.11239), and the noise levels that a sampler visits.

A noise level is written as its `alpha_bar`, the share of signal in the variance: noisy = sqrt(alpha_bar) x0 +
sqrt(1 - alpha_bar) noise. Everything is computed once, in float64; arrays meet only Python floats, so NumPy arrays,
Paddle tensors and PyTorch tensors are treated alike, keep their dtype, and never wait for the device.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppaudioldm.choices import SPACINGS
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.errors import quoted

PREDICTIONS = ("epsilon", "v", "x0")
KARRAS_RHO = 7.0  # arXiv:2206.00364, table 1
LCM_TIMESTEPS = 50  # arXiv:2310.04378: "original_inference_steps" of diffusers' LCMScheduler

Array = Any  # a NumPy array or a tensor of either framework


@dataclass(frozen=True)
class SamplingPath:
    """The noise levels that a sampler visits, the noisiest first."""

    timesteps: tuple[float, ...]  # the network's input at each step: whole but for consistency models
    levels: tuple[float, ...]  # alpha_bar at each step
    end: float  # alpha_bar after the last step

    def last(self, num_steps: int) -> SamplingPath:
        """The last `num_steps` steps of the path."""
        return SamplingPath(self.timesteps[-num_steps:], self.levels[-num_steps:], self.end)


class NoiseSchedule:
    """The variances `betas`, linear in their square roots, and `alphas_cumprod`: (num_train_timesteps,) float64.

    Raises ValueError on a configuration out of range.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        if config.prediction not in PREDICTIONS:
            raise ValueError(f"diffusion.prediction is {quoted(config.prediction)}, allowed: {', '.join(PREDICTIONS)}")
        if config.num_train_timesteps < 1:
            raise ValueError(f"diffusion.num_train_timesteps is {config.num_train_timesteps}, at least 1 is needed")
        if not 0 < config.beta_start <= config.beta_end < 1:
            raise ValueError(
                f"diffusion.beta_start, beta_end are {config.beta_start}, {config.beta_end}, "
                "allowed: 0 < beta_start <= beta_end < 1"
            )
        self.prediction = config.prediction
        self.num_train_timesteps = config.num_train_timesteps
        roots = np.linspace(math.sqrt(config.beta_start), math.sqrt(config.beta_end), config.num_train_timesteps)
        self.betas = roots**2
        self.alphas_cumprod = np.cumprod(1 - self.betas)

    def alpha_bar(self, t: int) -> float:
        """The noise level of training timestep t. Raises ValueError outside 0 to num_train_timesteps - 1."""
        if not 0 <= t < self.num_train_timesteps:
            raise ValueError(f"timestep is {t}, allowed: 0 to {self.num_train_timesteps - 1}")
        return float(self.alphas_cumprod[t])

    def add_noise(self, x0: Array, noise: Array, t: int) -> Array:
        """The noisy x0 of training timestep t; `noise` is standard normal, of x0's shape."""
        return add_noise(x0, noise, self.alpha_bar(t))

    def to_epsilon(self, prediction: Array, noisy: Array, alpha_bar: float) -> Array:
        """The noise in `noisy`, from the network's prediction for it."""
        if self.prediction == "epsilon":
            return prediction
        if self.prediction == "x0":
            return (1 / math.sqrt(1 - alpha_bar)) * noisy - math.sqrt(alpha_bar / (1 - alpha_bar)) * prediction
        return math.sqrt(alpha_bar) * prediction + math.sqrt(1 - alpha_bar) * noisy

    def to_x0(self, prediction: Array, noisy: Array, alpha_bar: float) -> Array:
        """The clean latents in `noisy`, from the network's prediction for it."""
        if self.prediction == "x0":
            return prediction
        signal, noise = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        if self.prediction == "epsilon":
            return (1 / signal) * noisy - (noise / signal) * prediction
        return signal * noisy - noise * prediction

    def path(self, num_inference_steps: int, spacing: str = "leading", *, to_zero: bool = False) -> SamplingPath:
        """The `num_inference_steps` noise levels that a sampler visits, noisiest first.

        leading: every (1000 / steps)-th timestep, from 1 up: those of AudioLDM's code wherever that takes the requested
            number of steps, which it does if the number divides 1000.
        linear: timesteps evenly from the last to 0, both included. Starts at the highest noise level of training, which
            "leading" with few steps does not.
        log-snr: noise levels evenly in the logarithm of noise / signal, over the same range.
        karras: noise / signal evenly in its 7th root (arXiv:2206.00364, equation 5), over the same range.

        Timesteps of the first two decrease strictly. The levels of the last two lie between training timesteps: the
        sampler uses them as they are, and the network, which is trained on integers, gets the nearest timestep; two
        neighbours may share it. With `to_zero` the path ends without any noise; otherwise at timestep 0's level, as
        AudioLDM's code does, which is not quite clean. Raises ValueError on a bad count or spacing.
        """
        num_steps = check_count(num_inference_steps, self.num_train_timesteps)
        if spacing == "leading":
            timesteps = leading_timesteps(num_steps, self.num_train_timesteps)
        elif spacing == "linear":
            timesteps = linear_timesteps(num_steps, self.num_train_timesteps)
        elif spacing in ("log-snr", "karras"):
            return self._path_between_timesteps(num_steps, rho=math.inf if spacing == "log-snr" else KARRAS_RHO)
        else:
            raise ValueError(f"spacing is {quoted(spacing)}, allowed: {', '.join(SPACINGS)}")
        # From timestep 0, only the clean latents are left to go to.
        end = 1.0 if to_zero or timesteps[-1] == 0 else self.alpha_bar(0)
        return SamplingPath(tuple(timesteps), tuple(self.alpha_bar(t) for t in timesteps), end)

    def consistency_path(self, num_inference_steps: int, strength: float = 1.0) -> SamplingPath:
        """The noise levels of a consistency model: of timesteps evenly from the last, times `strength`, to 0.

        One step has the first of them alone. Their noise / signal is interpolated between those of whole timesteps;
        the network gets the timestep as it is. The path ends without any noise. Raises ValueError on a bad count.
        Source: ConsistencyTTA's program, github.com/Bai-YT/ConsistencyTTA, commit 8ea43b6.
        """
        num_steps = check_count(num_inference_steps, self.num_train_timesteps)
        timesteps = np.linspace(strength * (self.num_train_timesteps - 1), 0, num_steps)
        sigmas = np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)
        chosen = np.interp(timesteps, np.arange(len(sigmas)), sigmas)
        return SamplingPath(tuple(map(float, timesteps)), tuple(float(level) for level in 1 / (1 + chosen**2)), 1.0)

    def lcm_path(self, num_inference_steps: int, strength: float = 1.0) -> SamplingPath:
        """The noise levels of a latent consistency model: evenly among LCM_TIMESTEPS ones, the first share of them.

        strength: that share, of which all steps are taken as far as it has as many. The path ends without any noise.
        Raises ValueError on a bad count. Source: arXiv:2310.04378, in the form of diffusers' LCMScheduler.
        """
        known = lcm_timesteps(self.num_train_timesteps)
        num_steps = check_count(num_inference_steps, len(known))
        known = known[: max(1, int(strength * len(known)))][::-1]
        num_steps = min(num_steps, len(known))
        timesteps = tuple(known[i * len(known) // num_steps] for i in range(num_steps))
        return SamplingPath(timesteps, tuple(map(self.alpha_bar, timesteps)), 1.0)

    def _path_between_timesteps(self, num_steps: int, rho: float) -> SamplingPath:
        sigmas = np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)  # increasing
        ramp = np.linspace(0, 1, num_steps)
        if math.isinf(rho):
            chosen = np.exp(np.log(sigmas[-1]) * (1 - ramp) + np.log(sigmas[0]) * ramp)
        else:
            chosen = (sigmas[-1] ** (1 / rho) * (1 - ramp) + sigmas[0] ** (1 / rho) * ramp) ** rho
        nearest = np.rint(np.interp(np.log(chosen), np.log(sigmas), np.arange(len(sigmas))))
        return SamplingPath(tuple(int(t) for t in nearest), tuple(float(level) for level in 1 / (1 + chosen**2)), 1.0)


def add_noise(x0: Array, noise: Array, alpha_bar: float) -> Array:
    """The noisy x0 of a noise level; `noise` is standard normal, of x0's shape."""
    return math.sqrt(alpha_bar) * x0 + math.sqrt(1 - alpha_bar) * noise


def leading_timesteps(num_steps: int, num_train_timesteps: int = 1000) -> list[int]:
    """1 + i * 1000 / num_steps, rounded down, the largest first; from 0 where every timestep is requested.

    AudioLDM's code takes 1000 // num_steps for the stride, which gives more steps than requested unless the division is
    exact, and fails where the last of them is 1000.
    """
    offset = 0 if num_steps == num_train_timesteps else 1
    return [offset + i * num_train_timesteps // num_steps for i in reversed(range(num_steps))]


def lcm_timesteps(num_train_timesteps: int = 1000) -> list[int]:
    """The timesteps of latent consistency models, the smallest first: 19, 39, ... 999 of 1000."""
    count = min(LCM_TIMESTEPS, num_train_timesteps)
    return [(i + 1) * (num_train_timesteps // count) - 1 for i in range(count)]


def boundary_scalings(timestep: float) -> tuple[float, float]:
    """c_skip and c_out of a latent consistency model at `timestep`: f(z) = c_skip z + c_out x0, which is z at 0.

    Source: arXiv:2310.04378, appendix C, with its constants: sigma_data 0.5, the timestep times 10.
    """
    scaled = 10.0 * timestep
    return 0.25 / (scaled**2 + 0.25), scaled / math.sqrt(scaled**2 + 0.25)


def linear_timesteps(num_steps: int, num_train_timesteps: int = 1000) -> list[int]:
    """`num_steps` timesteps evenly from the last to 0, rounded; a single step starts at the last."""
    if num_steps == 1:
        return [num_train_timesteps - 1]
    stride = (num_train_timesteps - 1) / (num_steps - 1)
    return [math.floor(i * stride + 0.5) for i in reversed(range(num_steps))]


def check_count(num_inference_steps: int, num_train_timesteps: int) -> int:
    """The number of steps as an int. Raises ValueError that names the allowed range."""
    try:
        count = operator.index(num_inference_steps)
    except TypeError:
        count = 0
    if isinstance(num_inference_steps, bool) or not 1 <= count <= num_train_timesteps:
        raise ValueError(
            f"num_inference_steps is {quoted(num_inference_steps)}, allowed: whole numbers from 1 to"
            f" {num_train_timesteps}"
        )
    return count
