"""The interface of an engine, which runs the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # an engine's own type: a NumPy array, or a tensor of Paddle or PyTorch


class Engine(Protocol):
    """Runs functions by name: the forward pass of a network, or one of `models.functions.FUNCTIONS`. All names are the
    keys of `models.functions.INPUTS`.

    The weights of a network are loaded when it is first run. Any number of threads may use an engine. With low memory,
    one network is in memory at a time, and is loaded again after another one has run.
    """

    def run(self, function: str, *inputs: Any) -> Any:
        """Run a function without states. inputs: arrays, lists of arrays or None, as in `models.functions`.

        Returns an array or a list of arrays.
        """

    def start(self, function: str) -> Callable[..., Any]:
        """Begin a sequence of calls of a function with states (`states`), such as GPT-2 with its key-value cache.

        Returns a function with the inputs and outputs of `run`, each call of which continues with the states that the
        last one left. Several of them share nothing; one thread at a time may call each.
        """

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        """`run` for a function with one output, with NumPy arrays in and out."""

    def prepare(self, function: str) -> None:
        """Load or compile `function` now, so that its first run is as fast as the next.

        With low memory: do only what lasts, such as translating the network for the cache.
        """

    def release(self) -> None:
        """Drop all networks from memory; those that are needed again are loaded again."""

    def asarray(self, array: np.ndarray) -> Array:
        """A NumPy array as one of the engine's arrays, on its device."""

    def to_numpy(self, array: Array) -> np.ndarray:
        """One of the engine's arrays as a NumPy array."""

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        """The engine's arrays concatenated along `axis`."""
