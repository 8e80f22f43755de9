"""Functions with states: arrays that an engine keeps from one call to the next. Imports no framework.

GPT-2 is one: its states are the key-value cache, the keys and values of all earlier positions. A state begins empty,
with the batch size of the first input and length 0 along its dynamic axes; each call reads it and returns a new value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.models.functions import flat_inputs, function_inputs

Array = Any  # of the engine that runs the function


def empty_states(function: str, config: ModelConfig, batch: int) -> list[np.ndarray]:
    """The states of `function` before its first call."""
    states = [x for x in flat_inputs(function_inputs(function, config)) if x.is_state]
    return [np.zeros([batch, *[size or 0 for size in x.shape[1:]]], x.dtype) for x in states]


class Stateful:
    """A sequence of calls of a function, each of which passes its states to the next.

    run: takes the inputs followed by the list of states; returns the output and the list of new states.
    empty: returns the states before the first call, for a batch size. One thread at a time may call it.
    """

    def __init__(self, run: Callable[..., tuple[Array, list[Array]]], empty: Callable[[int], list[Array]]) -> None:
        self._run = run
        self._empty = empty
        self._states: list[Array] | None = None

    def __call__(self, *inputs: Array) -> Array:
        states = self._empty(len(inputs[0])) if self._states is None else self._states
        output, self._states = self._run(*inputs, states)
        return output
