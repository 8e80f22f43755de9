"""A wrapper of an engine that measures how long each call takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np


class TimedEngine:
    """Runs another engine. calls: (name, seconds) of each, where the name is "prepare" or that of the function."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.calls: list[tuple[str, float]] = []

    def prepare(self, function: str) -> None:
        start = time.perf_counter()
        self._engine.prepare(function)
        self.calls.append(("prepare", time.perf_counter() - start))

    def release(self) -> None:
        self._engine.release()

    def run(self, function: str, *inputs: Any) -> Any:
        return self._timed(function, partial(self._engine.run, function), *inputs)

    def _timed(self, function: str, call: Callable[..., Any], *inputs: Any) -> Any:
        start = time.perf_counter()
        outputs = call(*inputs)
        if getattr(self._engine, "device", "cpu") != "cpu":
            # A GPU computes asynchronously; reading a result waits for it.
            self._engine.to_numpy(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)
        self.calls.append((function, time.perf_counter() - start))
        return outputs

    def start(self, function: str) -> Callable[..., Any]:
        call = self._engine.start(function)
        return lambda *inputs: self._timed(function, call, *inputs)

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self.to_numpy(self.run(function, *[self.asarray(x) for x in inputs]))

    def asarray(self, array: np.ndarray) -> Any:
        return self._engine.asarray(array)

    def to_numpy(self, array: Any) -> np.ndarray:
        return self._engine.to_numpy(array)

    def concat(self, arrays: Sequence[Any], axis: int) -> Any:
        return self._engine.concat(arrays, axis)
