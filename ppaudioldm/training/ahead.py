"""Results of a function of a number, computed in worker processes ahead of the time when they are needed."""

from __future__ import annotations

import multiprocessing
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

AHEAD = 4  # results that a worker computes beyond the one it works on


class Ahead:
    """A function of numbers, called in worker processes, or here if there are none.

    function: it must pickle, and should import neither Paddle nor PyTorch.
    """

    def __init__(self, function: Callable[[int], Any], workers: int) -> None:
        self._function, self._workers = function, workers
        self._planned: dict[int, Future[Any]] = {}
        self._pool: ProcessPoolExecutor | None = None
        if workers:
            # Spawned, for the frameworks' threads do not survive a fork.
            self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def plan(self, numbers: Iterable[int]) -> None:
        """Compute the results of `numbers`, as many as the workers have room for; they are kept until asked for."""
        assert self._pool
        for number in numbers:
            if number not in self._planned and len(self._planned) < self._workers * (1 + AHEAD):
                self._planned[number] = self._pool.submit(self._function, number)

    def __call__(self, numbers: Sequence[int]) -> list[Any]:
        """The results of `numbers`, in their order."""
        if self._pool is None:
            return [self._function(number) for number in numbers]
        pool = self._pool
        futures = [self._planned.pop(n) if n in self._planned else pool.submit(self._function, n) for n in numbers]
        return [future.result() for future in futures]
