"""Batches in order, made in this process or ahead of time in others."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np

Batch = dict[str, np.ndarray]
# Addressed data: the batch of an index, always the same, whatever was made before. For worker processes it must pickle
# and should import neither Paddle nor PyTorch.
Data = Callable[[int], Batch]

AHEAD = 2  # batches that a worker prepares beyond the one it works on


def batches(data: Data, first: int, stride: int, workers: int) -> Generator[Batch, None, None]:
    """data(first), data(first + stride), ... without end. A generator: close it to end its workers."""
    if not workers:
        while True:
            yield data(first)
            first += stride
    # Not forked: the frameworks' threads do not survive that.
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
