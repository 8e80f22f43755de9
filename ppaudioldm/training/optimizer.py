"""AdamW (arXiv:1711.05101) on either framework, with clipped gradients and a state that can be saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import NAME, Tensor, xp
from ppaudioldm.training.settings import LARGEST, check_range

PADDLE_STATE = ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its learning rate: a linear warm-up, then constant or a cosine decay."""

    rate: float = 1e-3  # the peak learning rate
    warmup: int = 200  # steps until the peak
    decay_steps: int = 0  # steps of the cosine decay to `final`; 0: none
    final: float = 0.05  # share of `rate` at the end of the decay
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.01  # of matrices and kernels
    max_norm: float = 1.0  # gradients of a larger norm are scaled down to it

    def __post_init__(self) -> None:
        check_range(self, 0, 1, "rate", "final", "beta1", "beta2", "weight_decay")
        check_range(self, 0, LARGEST, "warmup", "decay_steps", "max_norm")

    def rate_at(self, step: int, share: float = 0.0) -> float:
        """The learning rate at step 0, 1, ... share: of the run's time that has passed, if it is limited, 0 to 1."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        progress = min(1.0, max(share, step / self.decay_steps if self.decay_steps else 0.0))
        return self.rate * warm * (self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2)


class Optimizer:
    """AdamW over `parameters`, name -> tensor."""

    def __init__(self, parameters: Mapping[str, Tensor], config: OptimizerConfig) -> None:
        self._parameters = dict(parameters)
        self._config = config
        decayed = [p for p in self._parameters.values() if len(p.shape) > 1]
        others = [p for p in self._parameters.values() if len(p.shape) <= 1]
        betas = (config.beta1, config.beta2)
        self._inner: Any
        if NAME == "torch":
            groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
            # Fused, on the devices that have it: on a CPU the default takes nine times as long.
            self._fused = {p.device.type for p in self._parameters.values()} <= {"cpu", "cuda"}
            self._inner = xp.optim.AdamW(groups, lr=config.rate, betas=betas, fused=self._fused or None)
        else:
            names = {p.name for p in decayed}
            self._inner = xp.optimizer.AdamW(
                config.rate,
                *betas,
                parameters=decayed + others,
                weight_decay=config.weight_decay,
                apply_decay_param_fun=names.__contains__,
            )

    def clear(self) -> None:
        """Reset the gradients."""
        for parameter in self._parameters.values():
            if NAME == "torch":
                parameter.grad = None
            else:
                parameter.clear_gradient(False)

    def step(self, rate: float) -> float:
        """One step along the clipped gradients. Returns their norm before; if it is not finite, nothing changes."""
        parameters = [p for p in self._parameters.values() if p.grad is not None]
        norm = float(xp.nn.utils.clip_grad_norm_(parameters, self._config.max_norm))
        if not math.isfinite(norm):
            return norm
        if NAME == "torch":
            for group in self._inner.param_groups:
                group["lr"] = rate
        else:
            self._inner.set_lr(rate)
        self._inner.step()
        return norm

    def state(self) -> dict[str, np.ndarray]:
        """Moments and step counts, which the next step depends on, under `parameter:value`."""
        state = {}
        stored = self._inner.state if NAME == "torch" else self._inner.state_dict()
        for name, parameter in self._parameters.items():
            if NAME == "torch":
                values = stored.get(parameter, {})
            else:
                keys = {key: f"{parameter.name}_{key}" for key in PADDLE_STATE}
                values = {key: stored[full] for key, full in keys.items() if full in stored}
            state.update({f"{name}:{key}": framework.to_numpy(value) for key, value in values.items()})
        return state

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Load what `state` returned. Raises ValueError for a parameter that this optimizer does not have."""
        loaded: dict[Any, Any] = {} if NAME == "torch" else self._initial_state()
        for key, value in state.items():
            name, _, kind = key.rpartition(":")
            if name not in self._parameters:
                raise ValueError(f"the optimizer's state has {name!r}, which this optimizer does not train")
            parameter = self._parameters[name]
            if NAME == "torch":
                device = "cpu" if kind == "step" and not self._fused else str(parameter.device)
                loaded.setdefault(parameter, {})[kind] = framework.from_numpy(value, device)
            else:
                loaded[f"{parameter.name}_{kind}"] = xp.to_tensor(value)
        if NAME == "torch":
            self._inner.state.update(loaded)
        else:
            self._inner.set_state_dict(loaded)

    def _initial_state(self) -> dict[str, Tensor]:
        """Paddle's state of parameters without a gradient so far, which it leaves out when saving but needs to load."""
        config, state = self._config, {}
        for parameter in self._parameters.values():
            zeros, one = np.zeros(tuple(parameter.shape), np.float32), np.ones(1, np.float32)
            values = (zeros, zeros, config.beta1 * one, config.beta2 * one)
            for kind, value in zip(PADDLE_STATE, values, strict=True):
                state[f"{parameter.name}_{kind}"] = xp.to_tensor(value)
        return state
