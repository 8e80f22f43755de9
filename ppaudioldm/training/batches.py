"""Batches of training data in order, prepared in this process or ahead of time in worker processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np

Batch = dict[str, np.ndarray]
# The batch of an index, a pure function: the same batch for the same index, in any order of calls. For worker processes
# it must pickle and should import neither Paddle nor PyTorch.
BatchSource = Callable[[int], Batch]

AHEAD = 2  # batches that a worker prepares beyond the one it works on


def iterate_batches(data: BatchSource, first: int, stride: int, workers: int) -> Generator[Batch, None, None]:
    """data(first), data(first + stride), ... without end. Close the generator to end its workers."""
    if not workers:
        while True:
            yield data(first)
            first += stride
    # Spawned, for the frameworks' threads do not survive a fork.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    waiting: deque[Future[Batch]] = deque()
    try:
        while True:
            while len(waiting) < workers * (1 + AHEAD):
                waiting.append(pool.submit(data, first))
                first += stride
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
