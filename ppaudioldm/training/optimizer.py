"""AdamW (arXiv:1711.05101) of either framework, with clipped gradients, and state that can be stored."""

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
    rate: float = 1e-3  # the highest learning rate
    warmup: int = 200  # steps until it is reached
    decay_steps: int = 0  # until it has fallen along a cosine to `final`; 0: it stays
    final: float = 0.05  # of `rate`
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.01  # of matrices and kernels
    max_norm: float = 1.0  # gradients longer than this are shortened to it

    def __post_init__(self) -> None:
        check_range(self, 0, 1, "rate", "final", "beta1", "beta2", "weight_decay")
        check_range(self, 0, LARGEST, "warmup", "decay_steps", "max_norm")

    def rate_at(self, step: int) -> float:
        """The learning rate of step 0, 1, ..."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        if not self.decay_steps:
            return self.rate * warm
        progress = min(1.0, step / self.decay_steps)
        return self.rate * warm * (self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2)


class Optimizer:
    """Improves `parameters`, name -> tensor."""

    def __init__(self, parameters: Mapping[str, Tensor], config: OptimizerConfig) -> None:
        self._parameters = dict(parameters)
        self._config = config
        decayed = [p for p in self._parameters.values() if len(p.shape) > 1]
        others = [p for p in self._parameters.values() if len(p.shape) <= 1]
        betas = (config.beta1, config.beta2)
        self._inner: Any
        if NAME == "torch":
            groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
            on_cpu = all(p.device.type == "cpu" for p in self._parameters.values())
            # One pass over each parameter: on a CPU the plain form takes nine times as long.
            self._inner = xp.optim.AdamW(groups, lr=config.rate, betas=betas, fused=on_cpu or None)
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
        """Forget the gradients."""
        for parameter in self._parameters.values():
            if NAME == "torch":
                parameter.grad = None
            else:
                parameter.clear_gradient(False)

    def step(self, rate: float) -> float:
        """One step along the clipped gradients. Returns their length; one that is not finite changes nothing."""
        parameters = [p for p in self._parameters.values() if p.grad is not None]
        length = float(xp.nn.utils.clip_grad_norm_(parameters, self._config.max_norm))
        if not math.isfinite(length):
            return length
        if NAME == "torch":
            for group in self._inner.param_groups:
                group["lr"] = rate
        else:
            self._inner.set_lr(rate)
        self._inner.step()
        return length

    def state(self) -> dict[str, np.ndarray]:
        """Everything besides the parameters that the next step depends on, under `parameter:value`."""
        found = {}
        stored = self._inner.state if NAME == "torch" else self._inner.state_dict()
        for name, parameter in self._parameters.items():
            if NAME == "torch":
                values = stored.get(parameter, {})
            else:
                keys = {key: f"{parameter.name}_{key}" for key in PADDLE_STATE}
                values = {key: stored[full] for key, full in keys.items() if full in stored}
            found.update({f"{name}:{key}": framework.to_numpy(value) for key, value in values.items()})
        return found

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`. Raises ValueError for a parameter that this optimizer does not have."""
        found: dict[Any, Any] = {} if NAME == "torch" else self._untouched()
        for key, value in state.items():
            name, _, kind = key.rpartition(":")
            if name not in self._parameters:
                raise ValueError(f"the optimizer's state has {name!r}, which is not trained here")
            parameter = self._parameters[name]
            if NAME == "torch":
                device = "cpu" if kind == "step" else str(parameter.device)
                found.setdefault(parameter, {})[kind] = framework.from_numpy(value, device)
            else:
                found[f"{parameter.name}_{kind}"] = xp.to_tensor(value)
        if NAME == "torch":
            self._inner.state.update(found)
        else:
            self._inner.set_state_dict(found)

    def _untouched(self) -> dict[str, Tensor]:
        """Paddle's state of parameters that had no gradient yet: it leaves them out, but wants them back."""
        config, found = self._config, {}
        for parameter in self._parameters.values():
            zeros, one = np.zeros(tuple(parameter.shape), np.float32), np.ones(1, np.float32)
            values = (zeros, zeros, config.beta1 * one, config.beta2 * one)
            for kind, value in zip(PADDLE_STATE, values, strict=True):
                found[f"{parameter.name}_{kind}"] = xp.to_tensor(value)
        return found
