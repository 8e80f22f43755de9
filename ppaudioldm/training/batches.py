"""Batches of training data in order, prepared in this process or ahead of time in worker processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

Batch = dict[str, np.ndarray]
# The batch of an index, a pure function: the same batch for the same index, in any order of calls. For worker processes
# it must pickle and should import neither Paddle nor PyTorch.
BatchSource = Callable[[int], Batch]

AHEAD = 2  # batches that a worker prepares beyond the one it works on


def iterate_batches(
    data: BatchSource, first: int, stride: int, workers: int, in_thread: bool = False
) -> Generator[Batch, None, None]:
    """data(first), data(first + stride), ... without end. Close the generator to end its workers.

    in_thread: without workers, prepare the next batch in a thread while the caller uses the last one.
    """
    if not workers and not in_thread:
        while True:
            yield data(first)
            first += stride
    # Spawned, for the frameworks' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool: Executor = ProcessPoolExecutor(workers, context) if workers else ThreadPoolExecutor(1)
    waiting: deque[Future[Batch]] = deque()
    try:
        while True:
            while len(waiting) < max(1, workers) * (1 + AHEAD):
                waiting.append(pool.submit(data, first))
                first += stride
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
