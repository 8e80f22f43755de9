"""The stages of a generation as they run: how long each took, and progress for a callback that may stop them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ppaudioldm.generation.clip import Cancelled
from ppaudioldm.generation.options import Progress, ProgressCallback


class Monitor:
    """seconds: how long each stage took so far, in the order in which they began."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def stage(self, name: str, done: int = 0, total: int = 1) -> Iterator[None]:
        """Time what runs inside, as part of the stage `name`, which begins with `done` of `total` steps done."""
        start = time.perf_counter()
        self.report(name, done, total)
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, stage: str, done: int = 1, total: int = 1) -> None:
        """Call the callback. Raises Cancelled if it returns False."""
        if self._progress is None:
            return
        answer = self._progress(Progress(stage, done, total))
        if answer is not None and not answer:  # NumPy's False, too
            raise Cancelled(f"stopped during {stage}")


class StepCounter:
    """Counts the steps of a stage that several batches share. done: how many of `total`."""

    def __init__(self, monitor: Monitor, stage: str, total: int) -> None:
        self.done, self.total = 0, total
        self._monitor, self._stage = monitor, stage

    def add(self, count: int = 1) -> None:
        """Count steps and report them. Raises Cancelled."""
        self.done += count
        self._monitor.report(self._stage, self.done, self.total)
