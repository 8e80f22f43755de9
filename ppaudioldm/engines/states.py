"""Functions with states: arrays that an engine keeps from one call to the next. Imports no framework.

GPT-2 has them: keys and values of the positions that went before. A state begins empty, with the batch size of the
first input and no length where any goes; what a call makes of it is what the next call begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.models.functions import flat_inputs, function_inputs

Array = Any  # of whatever runs the function


def empty_states(function: str, config: ModelConfig, batch: int) -> list[np.ndarray]:
    """What the states of `function` are before its first call."""
    states = [x for x in flat_inputs(function_inputs(function, config)) if x.is_state]
    return [np.zeros([batch, *[size or 0 for size in x.shape[1:]]], x.dtype) for x in states]


class Continued:
    """A function that goes on from call to call, by handing on its states.

    run: takes inputs and, after them, a list of states; returns the output and the list of what became of them.
    empty: the states before the first call, for a batch size. One thread at a time may call it.
    """

    def __init__(self, run: Callable[..., tuple[Array, list[Array]]], empty: Callable[[int], list[Array]]) -> None:
        self._run = run
        self._empty = empty
        self._states: list[Array] | None = None

    def __call__(self, *inputs: Array) -> Array:
        states = self._empty(len(inputs[0])) if self._states is None else self._states
        output, self._states = self._run(*inputs, states)
        return output
