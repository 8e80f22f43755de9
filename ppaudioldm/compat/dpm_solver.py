"""DPM-Solver++ of first to third order under the name and with the configuration of diffusers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ppaudioldm.compat.alpha_schedulers import predicted
from ppaudioldm.compat.scheduler import Array, Noise, Scheduler
from ppaudioldm.compat.sigma_schedulers import karras_sigmas, last_sigma, timesteps_of

FEW_STEPS = 15  # fewer than these end with lower orders


class DPMSolverMultistepScheduler(Scheduler):
    """DPM-Solver++, arXiv:2211.01095, algorithm 2, and its stochastic form: multistep methods in the clean latents."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "solver_order": 2,
        "thresholding": False,
        "dynamic_thresholding_ratio": 0.995,
        "sample_max_value": 1.0,
        "algorithm_type": "dpmsolver++",
        "solver_type": "midpoint",
        "lower_order_final": True,
        "euler_at_final": False,
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "use_lu_lambdas": False,
        "use_flow_sigmas": False,
        "flow_shift": 1.0,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": -math.inf,
        "variance_type": None,
        "timestep_spacing": "linspace",
        "rescale_betas_zero_snr": False,
        "use_dynamic_shifting": False,
        "time_shift_type": "exponential",
    }
    ONLY: ClassVar[dict[str, Any]] = {
        "thresholding": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "use_flow_sigmas": False,
        "lambda_min_clipped": -math.inf,
        "rescale_betas_zero_snr": False,
        "use_dynamic_shifting": False,
    }
    ALGORITHMS = ("dpmsolver++", "sde-dpmsolver++")
    SOLVER_TYPES = ("midpoint", "heun")

    def _set_config(self, given: dict[str, Any], where: str) -> None:
        super()._set_config(given, where)
        config = self.config
        for name, allowed in (("algorithm_type", self.ALGORITHMS), ("solver_type", self.SOLVER_TYPES)):
            if config[name] not in allowed:
                raise ValueError(f"{name} is {config[name]!r}, allowed: {', '.join(allowed)}")
        orders = (1, 2, 3) if config.algorithm_type == "dpmsolver++" else (1, 2)
        if config.solver_order not in orders:
            raise ValueError(f"solver_order is {config.solver_order!r}, allowed with {config.algorithm_type}: {orders}")

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        config, total = self.config, self.num_train_timesteps
        count = self._check_count(num_inference_steps, total if config.timestep_spacing == "trailing" else total - 1)
        train_sigmas = np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)
        if config.use_karras_sigmas or config.use_lu_lambdas:
            if config.use_karras_sigmas:
                sigmas = karras_sigmas(train_sigmas[-1], train_sigmas[0], count)
            else:
                sigmas = np.geomspace(train_sigmas[-1], train_sigmas[0], count)
            timesteps = timesteps_of(sigmas, train_sigmas)
            timesteps = timesteps if config.beta_schedule == "squaredcos_cap_v2" else timesteps.round()
        else:
            # With one more than there are steps: the last of them is left out.
            spaced = (
                self._spaced(count, True) if config.timestep_spacing == "trailing" else self._spaced(count + 1, True)
            )
            timesteps = spaced[:count]
            sigmas = np.interp(timesteps, np.arange(total), train_sigmas)
        self.sigmas = np.append(sigmas, last_sigma(config.final_sigmas_type, train_sigmas))
        self.timesteps = timesteps.astype(np.int64)
        self._index = 0
        self._history: list[Array] = []  # predictions of the clean latents, newest first

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        index, order = self._index, self._order()
        a = 1 / (1 + float(self.sigmas[index]) ** 2)
        x0, _ = predicted(self.config.prediction_type, model_output, sample, a)
        self._history = [x0, *self._history[: self.config.solver_order - 1]]
        self._index += 1
        # Half the logarithms of signal / noise variance, of this step and those before it, and of its end.
        lambdas = [-math.log(float(self.sigmas[index - i])) for i in range(order)]
        after = float(self.sigmas[index + 1])
        end = math.inf if after == 0 else -math.log(after)
        signal = 1 / math.hypot(after, 1)
        deviation = after * signal
        before = float(self.sigmas[index]) / math.hypot(float(self.sigmas[index]), 1)
        h = end - lambdas[0]
        if self.config.algorithm_type == "dpmsolver++":
            result = (deviation / before) * sample + signal * self._integral(math.expm1(-h), h, lambdas)
            return result
        result = (deviation / before * math.exp(-h)) * sample + signal * self._integral(
            math.expm1(-2 * h), 2 * h, lambdas
        )
        return result + deviation * math.sqrt(-math.expm1(-2 * h)) * noise()

    def _order(self) -> int:
        """The order of the step in progress: no higher than there are predictions, and low at the end."""
        config, left = self.config, len(self.timesteps) - self._index
        is_short = config.lower_order_final and len(self.timesteps) < FEW_STEPS
        most = len(self._history) + 1
        if left == 1 and (config.euler_at_final or is_short or config.final_sigmas_type == "zero"):
            most = 1
        elif left == 2 and is_short:
            most = min(most, 2)
        return min(config.solver_order, most)

    def _integral(self, decay: float, span: float, lambdas: list[float]) -> Array:
        """The integral of the clean latents over the step, of which differences of predictions are the derivatives.

        decay: exp(-span) - 1. lambdas: of the predictions, newest first.
        """
        newest = self._history[0]
        total = -decay * newest
        if len(lambdas) == 1:
            return total
        h = span if self.config.algorithm_type == "dpmsolver++" else span / 2
        ratio = (lambdas[0] - lambdas[1]) / h
        slope = (1 / ratio) * (newest - self._history[1])
        if len(lambdas) == 2:
            weight = -0.5 * decay if self.config.solver_type == "midpoint" else decay / span + 1
            return total + weight * slope
        ratio_before = (lambdas[1] - lambdas[2]) / h
        slope_before = (1 / ratio_before) * (self._history[1] - self._history[2])
        first = slope + ratio / (ratio + ratio_before) * (slope - slope_before)
        second = 1 / (ratio + ratio_before) * (slope - slope_before)
        return total + (decay / span + 1) * first - ((decay + span) / span**2 - 0.5) * second
