"""The contract of an engine: what runs the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # an engine's own kind of array: NumPy, Paddle or PyTorch; supports arithmetic and slicing


class Engine(Protocol):
    """Runs functions by name: the forward of a network (`models.build.NETWORKS`), or one of
    `models.functions.FUNCTIONS`.

    A network is made ready when it is first run. Any number of threads may use an engine. With little memory, one
    network is held at a time, and made ready again whenever another one was run meanwhile.
    """

    def run(self, function: str, *inputs: Any) -> Any:
        """The function on the engine's arrays: arrays, lists of arrays or None in, an array or a list of arrays out."""

    def start(self, function: str) -> Callable[..., Any]:
        """A function with states (`states`), to be called as by `run`: each call goes on where the last one ended.

        What this returns shares nothing with what other calls of `start` return; one thread at a time may call it.
        """

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        """`run` for a function with one output, NumPy in and out."""

    def prepare(self, function: str) -> None:
        """Load or compile what `function` needs now, so that its first run is not slower than the next.

        With little memory: what can be done once for all.
        """

    def asarray(self, array: np.ndarray) -> Array: ...

    def to_numpy(self, array: Array) -> np.ndarray: ...

    def concat(self, arrays: Sequence[Array], axis: int) -> Array: ...
