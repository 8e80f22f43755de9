"""Exponential moving average (EMA) of the weights: the weights that a finished run is used with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import NAME, Tensor, xp


class MovingAverage:
    """The EMA of `parameters`, name -> tensor. With warm_up the decay of step n is at most (1 + n) / (10 + n).

    values: the tensors that hold the averages, such as the parameters of another network; by default new ones.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        decay: float,
        values: Mapping[str, Tensor] | None = None,
        warm_up: bool = True,
    ) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self._warm_up = warm_up
        if values is None:
            self._values = {name: p.detach().clone() for name, p in self._parameters.items()}
        else:
            self._values = {name: values[name] for name in self._parameters}
            _assign(self._values, self._parameters)

    def update(self, step: int) -> None:
        """Average in the current parameters, those after step 0, 1, ..."""
        weight = 1 - (min(self._decay, (1 + step) / (10 + step)) if self._warm_up else self._decay)
        with framework.no_grad():
            if NAME == "torch":
                values, parameters = list(self._values.values()), list(self._parameters.values())
                xp._foreach_lerp_(values, [p.detach() for p in parameters], weight)
            else:
                for name, parameter in self._parameters.items():
                    self._values[name].lerp_(parameter.detach(), weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A context in which the parameters have their averaged values."""
        before = {name: p.detach().clone() for name, p in self._parameters.items()}
        try:
            _assign(self._parameters, self._values)
            yield
        finally:
            _assign(self._parameters, before)

    def state(self) -> dict[str, np.ndarray]:
        return {name: framework.to_numpy(value) for name, value in self._values.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        set_values(self._values, state)


def set_values(tensors: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray]) -> None:
    """Copy `arrays` into `tensors` of the same names. Raises ValueError where names or shapes differ."""
    for name in sorted(set(tensors) | set(arrays)):
        if name not in arrays or name not in tensors:
            raise ValueError(f"{name} is {'missing' if name not in arrays else 'unexpected'}")
        if tuple(tensors[name].shape) != arrays[name].shape:
            raise ValueError(f"{name}: shape {list(arrays[name].shape)}, expected {list(tensors[name].shape)}")
    _assign(tensors, {name: framework.from_numpy(array) for name, array in arrays.items()})


def _assign(targets: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    with framework.no_grad():
        for name, target in targets.items():
            if NAME == "torch":
                target.copy_(values[name])
            else:
                target.set_value(values[name])
