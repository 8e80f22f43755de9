"""The queue of jobs: bounded, first in, first out; jobs with equal settings are taken together as a batch."""

from __future__ import annotations

import threading

from ppaudioldm.serving.job import Job


class QueueFull(Exception):
    """The queue has no room for another job."""


class QueueClosed(Exception):
    """The server takes no more jobs."""


class JobQueue:
    """size: jobs that may wait. batch_size: clips that are generated at once."""

    def __init__(self, size: int, batch_size: int) -> None:
        self._size, self._batch_size = size, batch_size
        self._jobs: list[Job] = []
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            self._drop_finished()
            return len(self._jobs)

    def put(self, job: Job) -> None:
        """Append `job`. Raises QueueFull or QueueClosed."""
        with self._changed:
            if self._closed:
                raise QueueClosed
            self._drop_finished()
            if len(self._jobs) >= self._size:
                raise QueueFull
            self._jobs.append(job)
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> list[Job]:
        """Remove and return the job that has waited longest, with those that can run in one batch with it.

        Empty after `timeout` seconds without a job, or when the queue is closed and empty.
        """
        with self._changed:
            self._changed.wait_for(self._has_jobs_or_is_closed, timeout)
            if not self._jobs:
                return []
            first = self._jobs[0]
            key = first.request.batch_key()
            alike = [first] if key is None else [job for job in self._jobs if job.request.batch_key() == key]
            most = self._batch_size // first.request.options.candidates
            taken = alike[: batch_size(len(alike), most)]
            self._jobs = [job for job in self._jobs if job not in taken]
            return taken

    def position(self, job: Job) -> int | None:
        """How many jobs wait before `job`; None if it does not wait."""
        with self._changed:
            self._drop_finished()
            return self._jobs.index(job) if job in self._jobs else None

    def expired(self) -> list[Job]:
        """Waiting jobs whose time limit has passed."""
        with self._changed:
            return [job for job in self._jobs if job.seconds_left <= 0]

    def close(self) -> list[Job]:
        """Take no more jobs; returns those that wait, which stay in the queue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return list(self._jobs)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _drop_finished(self) -> None:
        self._jobs = [job for job in self._jobs if not job.is_finished]

    def _has_jobs_or_is_closed(self) -> bool:
        self._drop_finished()
        return bool(self._jobs) or self._closed


def batch_size(waiting: int, most: int) -> int:
    """How many of `waiting` jobs to run at once: a power of two, since an engine compiles for every size it meets."""
    size = 1
    while 2 * size <= min(waiting, most):
        size *= 2
    return size
