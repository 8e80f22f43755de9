"""The contract of an engine: what runs the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # an engine's own kind of array: NumPy, Paddle or PyTorch; supports arithmetic and slicing


class Engine(Protocol):
    """Runs networks by name (see `models.build.NETWORKS`). A network is made ready when it is first run."""

    def run(self, network: str, *inputs: Any) -> Any:
        """The network's forward on the engine's arrays: arrays, lists of arrays or None in, arrays out."""

    def run_numpy(self, network: str, *inputs: np.ndarray) -> np.ndarray:
        """`run` for a network with one output, NumPy in and out."""

    def prepare(self, network: str) -> None:
        """Load or compile `network` now, so that its first run is not slower than the next."""

    def asarray(self, array: np.ndarray) -> Array: ...

    def to_numpy(self, array: Array) -> np.ndarray: ...

    def concat(self, arrays: Sequence[Array], axis: int) -> Array: ...
