"""The contract of an engine: what runs the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # an engine's own kind of array: NumPy, Paddle or PyTorch; supports arithmetic and slicing

# What an engine runs besides the forward of a network: name -> (network, method).
FUNCTIONS = {
    "unet_contexts": ("unet", "project"),
    "unet_step": ("unet", "step"),
    "unet_guided_step": ("unet", "guided_step"),
    "unet_guided_deep": ("unet", "guided_deep"),
    "unet_guided_shallow": ("unet", "guided_shallow"),
}


def network_and_method(function: str) -> tuple[str, str]:
    """The network and its method that an engine runs under the name `function`."""
    return FUNCTIONS.get(function, (function, "forward"))


class Engine(Protocol):
    """Runs functions by name: the forward of a network (`models.build.NETWORKS`), or one of FUNCTIONS.

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
