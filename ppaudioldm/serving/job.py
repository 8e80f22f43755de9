"""A job: something to be made, how far it is, and what became of it. Any thread may ask, change and wait."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ppaudioldm.generation.options import Progress
from ppaudioldm.serving.work import Made, Sound, Work

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "queued", "running", "succeeded", "failed", "cancelled"
STATUSES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED)
FINISHED = (SUCCEEDED, FAILED, CANCELLED)
# Why a job failed.
INVALID = "invalid"  # what was asked for cannot be made
TOO_LATE = "too_late"  # it was not done within the time limit
STOPPED = "stopped"  # the server was
BROKEN = "broken"  # the server, or what it runs, has an error


@dataclass(frozen=True)
class SoundInfo:
    """What is told of a sound that was made. samples: a channel has."""

    seed: int
    score: float | None
    sample_rate: int
    samples: int
    channels: int

    @classmethod
    def of(cls, sound: Sound) -> SoundInfo:
        shape = sound.waveform.shape
        return cls(sound.seed, sound.score, sound.sample_rate, shape[0], shape[1] if len(shape) > 1 else 1)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class State:
    """How far a job is. started, finished: seconds since 1970. progress: of the stage that it is in.

    error, reason: of one that failed; the reason is one of INVALID, TOO_LATE, STOPPED, BROKEN. sounds: the best, then
    all candidates where these were wanted. complete: False where it was stopped early, and the sound is the best by
    then. seconds: that each stage took.
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


Watcher = Callable[[], None]


class Job:
    """work: what is to be made. kept: whether it stays on disk when it is finished. seconds: until it is too late."""

    def __init__(self, work: Work, *, kept: bool, seconds: float, id: str | None = None) -> None:
        self.id = id or secrets.token_hex(16)
        self.work = work
        self.kept = kept
        self.created = time.time()
        self.made: Made | None = None  # what became of one that is not kept
        self._deadline = time.monotonic() + seconds
        self._state = State()
        self._changed = threading.Condition()
        self._watchers: list[Watcher] = []

    @property
    def state(self) -> State:
        return self._state

    @property
    def is_finished(self) -> bool:
        return self._state.is_finished

    @property
    def seconds_left(self) -> float:
        """Until it is too late."""
        return self._deadline - time.monotonic()

    def start(self) -> None:
        self.change(status=RUNNING, started=time.time())

    def report(self, progress: Progress) -> bool:
        """Whether it is still wanted."""
        return self.change(progress=progress)

    def finish(self, status: str, **changes: Any) -> bool:
        """Whether this is what became of it; False if it was finished before."""
        return self.change(status=status, finished=time.time(), progress=None, **changes)

    def change(self, **changes: Any) -> bool:
        """Give its state other values, and tell who waits; False, and nothing, if it is finished."""
        with self._changed:
            if self._state.is_finished:
                return False
            self._state = replace(self._state, **changes)
            watchers = list(self._watchers)
            self._changed.notify_all()
        for watcher in watchers:
            watcher()
        return True

    def restore(self, state: State, created: float) -> None:
        """Put it into a state that was read from disk."""
        self._state, self.created = state, created

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` after every change, in the thread that made it; returns what ends that."""
        with self._changed:
            self._watchers.append(watcher)

        def end() -> None:
            with self._changed:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

        return end

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is finished; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state.is_finished, timeout)

    def states(self) -> Iterator[State]:
        """Its state, and again whenever that has changed, up to the one in which it is finished; blocks in between."""
        seen = None
        while seen is None or not seen.is_finished:
            with self._changed:
                self._changed.wait_for(lambda: self._state is not seen)  # noqa: B023 - called at once
                seen = self._state
            yield seen
