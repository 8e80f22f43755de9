"""A job: a request with its status, progress and result. Any thread may read, change and wait for it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ppaudioldm.generation.options import Progress
from ppaudioldm.serving.listeners import Listeners
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.result import Result, Sound

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "queued", "running", "succeeded", "failed", "cancelled"
STATUSES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED)
FINISHED = (SUCCEEDED, FAILED, CANCELLED)
# Why a job failed.
INVALID = "invalid"  # the request cannot be fulfilled
TOO_LATE = "too_late"  # its time limit passed
STOPPED = "stopped"  # the server was stopped
BROKEN = "broken"  # an error of the server


@dataclass(frozen=True)
class SoundInfo:
    """A sound without its samples. samples: their number in each channel."""

    seed: int
    score: float | None
    sample_rate: int
    samples: int
    channels: int

    @classmethod
    def of(cls, sound: Sound) -> SoundInfo:
        """The description of `sound`."""
        shape = sound.waveform.shape
        return cls(sound.seed, sound.score, sound.sample_rate, shape[0], shape[1] if len(shape) > 1 else 1)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class State:
    """The state of a job. started, finished: seconds since 1970. progress: of the current stage.

    error, reason: of a failed job; the reason is one of INVALID, TOO_LATE, STOPPED, BROKEN. sounds: the best, then all
    candidates where they were requested. complete: False where the run was stopped early, and the sound is the best
    until then. seconds: of each stage.
    """

    status: str = QUEUED
    started: float | None = None
    finished: float | None = None
    progress: Progress | None = None
    error: str | None = None
    reason: str | None = None
    sounds: tuple[SoundInfo, ...] = ()
    complete: bool = True
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


class Job:
    """kept: whether it stays on disk when it is finished. timeout_s: seconds from now in which it must finish."""

    def __init__(self, request: Request, *, kept: bool, timeout_s: float, id: str | None = None) -> None:
        self.id = id or secrets.token_hex(16)
        self.request = request
        self.kept = kept
        self.created = time.time()
        self.result: Result | None = None  # of a job that is not kept on disk
        self._deadline = time.monotonic() + timeout_s
        self._state = State()
        self._changed = threading.Condition()
        self._watchers: Listeners[[]] = Listeners("a job changed")

    @property
    def state(self) -> State:
        return self._state

    @property
    def is_finished(self) -> bool:
        return self._state.is_finished

    @property
    def seconds_left(self) -> float:
        """Seconds until its time limit."""
        return self._deadline - time.monotonic()

    def start(self) -> None:
        """Note that it runs."""
        self.change(status=RUNNING, started=time.time())

    def report(self, progress: Progress) -> bool:
        """Note the progress; False if the job is finished, so that the run can stop."""
        return self.change(progress=progress)

    def finish(self, status: str, **changes: Any) -> bool:
        """Set the final state; False, without effect, if it was finished before."""
        return self.change(status=status, finished=time.time(), progress=None, **changes)

    def change(self, **changes: Any) -> bool:
        """Set fields of the state and notify the watchers; False, without effect, if the job is finished."""
        with self._changed:
            if self._state.is_finished:
                return False
            self._state = replace(self._state, **changes)
            self._changed.notify_all()
        self._watchers()
        return True

    def restore(self, state: State, created: float) -> None:
        """Set a state that was read from disk."""
        self._state, self.created = state, created

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after every change, in the thread that caused it; returns a function that ends that."""
        return self._watchers.add(watcher)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is finished; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state.is_finished, timeout)

    def states(self) -> Iterator[State]:
        """Its state now and after every change, up to the final one; blocks in between."""
        seen = None
        while seen is None or not seen.is_finished:
            with self._changed:
                self._changed.wait_for(lambda: self._state is not seen)  # noqa: B023 - called at once
                seen = self._state
            yield seen
