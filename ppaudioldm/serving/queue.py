"""The jobs that wait: bounded, first come first served, those alike taken together."""

from __future__ import annotations

import threading

from ppaudioldm.serving.job import Job


class QueueFull(Exception):
    """There is no room for another job."""


class QueueClosed(Exception):
    """No more jobs are taken."""


class JobQueue:
    """size: how many may wait. batch: clips that are made at once."""

    def __init__(self, size: int, batch: int) -> None:
        self._size, self._batch = size, batch
        self._jobs: list[Job] = []
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            self._forget_finished()
            return len(self._jobs)

    def put(self, job: Job) -> None:
        """Raises QueueFull or QueueClosed."""
        with self._changed:
            if self._closed:
                raise QueueClosed
            self._forget_finished()
            if len(self._jobs) >= self._size:
                raise QueueFull
            self._jobs.append(job)
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> list[Job]:
        """The job that waits longest, with those that can be made with it; they wait no more.

        Empty after `timeout` seconds without one, or when the queue is closed and nothing is in it.
        """
        with self._changed:
            self._changed.wait_for(self._has_something_or_never_will, timeout)
            if not self._jobs:
                return []
            first = self._jobs[0]
            key = first.work.batch_key()
            alike = [first] if key is None else [job for job in self._jobs if job.work.batch_key() == key]
            taken = alike[: batch_size(len(alike), self._batch // first.work.options.num_waveforms_per_prompt)]
            self._jobs = [job for job in self._jobs if job not in taken]
            return taken

    def position(self, job: Job) -> int | None:
        """How many wait before `job`; None if it does not wait."""
        with self._changed:
            self._forget_finished()
            return self._jobs.index(job) if job in self._jobs else None

    def too_late(self) -> list[Job]:
        """Those whose time is over."""
        with self._changed:
            return [job for job in self._jobs if job.seconds_left <= 0]

    def close(self) -> list[Job]:
        """Take no more jobs; returns those that wait, which stay."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return list(self._jobs)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _forget_finished(self) -> None:
        self._jobs = [job for job in self._jobs if not job.is_finished]

    def _has_something_or_never_will(self) -> bool:
        self._forget_finished()
        return bool(self._jobs) or self._closed


def batch_size(waiting: int, most: int) -> int:
    """How many of `waiting` alike to make at once: a power of two, since an engine compiles for every size it meets."""
    size = 1
    while 2 * size <= min(waiting, most):
        size *= 2
    return size
