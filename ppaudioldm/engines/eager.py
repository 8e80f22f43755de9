"""Paddle or PyTorch as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.models.build import build_empty, network_and_method
from ppaudioldm.weights.checkpoint import Checkpoint


class EagerEngine:
    """Runs the networks of `checkpoint` on `device` ("cpu", "cuda:0", "gpu:0"; the best there is by default).

    Raises ValueError for a device that the framework does not have.
    """

    def __init__(self, checkpoint: Checkpoint, device: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.device = framework.checked_device(device) if device else framework.default_device()
        self._networks: dict[str, Any] = {}

    def prepare(self, function: str) -> None:
        network, _ = network_and_method(function)
        if network not in self._networks:
            module = build_empty(network, self.checkpoint.config)
            framework.assign_weights(module, self.checkpoint.weights(network), self.device)
            self._networks[network] = module

    def run(self, function: str, *inputs: Any) -> Any:
        self.prepare(function)
        network, method = network_and_method(function)
        with framework.no_grad():
            return getattr(self._networks[network], method)(*inputs)

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self.to_numpy(self.run(function, *[self.asarray(x) for x in inputs]))

    def asarray(self, array: np.ndarray) -> framework.Tensor:
        return framework.from_numpy(array, self.device)

    def to_numpy(self, array: framework.Tensor) -> np.ndarray:
        return framework.to_numpy(array)

    def concat(self, arrays: Sequence[framework.Tensor], axis: int) -> framework.Tensor:
        return framework.xp.concat(list(arrays), axis)
