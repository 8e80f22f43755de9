"""The server without HTTP: takes works, makes them one batch after another in a thread of its own, keeps the results.

service = Service(Models.open(["tiny"]), Settings(folder))
service.start()
job = service.submit(Work(prompt="a dog barks", seed=1))
for state in job.states():
    print(state.status, state.progress)
sound = service.sound(job)  # waveform, sample_rate
service.stop()
"""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppaudioldm.generation.clip import Cancelled
from ppaudioldm.generation.options import Options, Progress
from ppaudioldm.serving.job import BROKEN, CANCELLED, FAILED, INVALID, STOPPED, SUCCEEDED, TOO_LATE, Job, SoundInfo
from ppaudioldm.serving.models import Model, Models, NotHere
from ppaudioldm.serving.queue import JobQueue, QueueClosed, QueueFull
from ppaudioldm.serving.settings import Settings
from ppaudioldm.serving.store import WAS_STOPPED, Store, StoreFull
from ppaudioldm.serving.work import Made, Sound, Work, made_of, make

__all__ = ["NotHere", "QueueClosed", "QueueFull", "Service"]

logger = logging.getLogger(__name__)

IDLE = 30.0  # seconds after which an idle worker looks for what is to be removed
MEMORY = 8  # batches whose time tells how long the next will take


class Service:
    """Owns the models. on_batch(jobs, seconds): told of every batch that ran; on_finish(job): of every job that ended.

    Raises ValueError if another server has the settings' folder.
    """

    def __init__(
        self,
        models: Models,
        settings: Settings,
        on_batch: Callable[[Sequence[Job], float], None] = lambda jobs, seconds: None,
        on_finish: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self.models, self.settings = models, settings
        self.store = Store(settings.folder, settings.keep, settings.disk)
        self.queue = JobQueue(settings.queue, settings.batch)
        self.on_batch, self.on_finish = on_batch, on_finish
        self.on_ready: Callable[[], None] = lambda: None
        self.on_death: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None  # it begins to stop
        self.failure = ""  # why the models cannot be run
        self.running: Sequence[Job] = ()
        self._took: list[float] = []  # seconds of the last batches
        self._ready = threading.Event()
        self._hurry = threading.Event()  # what runs is to be given back as it is
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)

    # ---- Life

    def start(self, warm_up: bool = True) -> None:
        """Begin to work. warm_up: it is ready only once every network has run."""
        self._warm_up = warm_up
        self._worker.start()

    @property
    def is_ready(self) -> bool:
        """Whether jobs are made, and taken."""
        return self._ready.is_set() and not self.queue.is_closed and self._worker.is_alive()

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        return self._ready.wait(timeout)

    def close(self) -> None:
        """Take no more jobs, and give back those that wait; what runs goes on."""
        if not self.queue.is_closed:
            self._closed = time.monotonic()
            self.on_close()
        for job in self.queue.close():
            self._finish(job, FAILED, error=WAS_STOPPED, reason=STOPPED)

    def hurry(self) -> None:
        """Give back what runs at its next step, with the best of what is complete by then."""
        self._hurry.set()

    def stop(self) -> None:
        """Close, wait for what runs up to the settings' `grace`, then give it back; returns when all is done."""
        self.close()
        if self._worker.is_alive():
            self._worker.join(max(0.0, self._closed + self.settings.grace - time.monotonic()))
            self.hurry()
            self._worker.join()
        self.store.close()

    # ---- Settings of a work that leaves them open

    def duration(self, model: Model, wanted: float | None = None) -> float:
        """Seconds: what is `wanted`, else what the model does best, within the limits."""
        return min(model.default_duration, self.settings.limits.duration) if wanted is None else wanted

    def options(self, duration: float, **settings: Any) -> Options:
        """Those of the preset "fast", with the server's number of steps. Raises ValueError."""
        return Options.from_preset("fast", duration=duration, num_inference_steps=self.settings.steps, **settings)

    # ---- Jobs

    def submit(self, work: Work, *, kept: bool = True, audio: Path | None = None) -> Job:
        """Queue `work`. kept: its result stays on disk; else it is the job's `made`, as long as somebody has the job.

        audio: the recording, a file that is moved to where the job is kept. Raises ValueError for what cannot be made
        or is beyond the limits, NotHere where no model can, QueueFull, QueueClosed.
        """
        if audio is not None:
            kept, work = True, dataclasses.replace(work, audio=audio)
        work.check(self.settings.limits)
        job = Job(self.models.resolved(work), kept=kept, seconds=self.settings.limits.seconds)
        if self.queue.is_closed:
            raise QueueClosed
        if len(self.queue) >= self.settings.queue:
            raise QueueFull  # before anything is written
        if kept:
            try:
                self.store.add(job, audio)
            except StoreFull as error:
                raise QueueFull(str(error)) from None
        try:
            self.queue.put(job)
        except (QueueFull, QueueClosed):
            self.store.remove(job)
            raise
        return job

    def find(self, job_id: str) -> Job | None:
        """A job that is kept."""
        return self.store.find(job_id)

    def history(self) -> list[Job]:
        """The jobs that are kept, the newest first."""
        return self.store.jobs()

    def sound(self, job: Job, index: int = 0) -> Sound:
        """What a job made: the best sound, or a candidate. Raises LookupError if there is none, or no more."""
        if job.kept:
            return self.store.sound(job, index)
        sounds = (job.made.sound, *job.made.candidates) if job.made else ()
        if not 0 <= index < len(sounds):
            raise LookupError(f"sound {index} is not there, the job has {len(sounds)}")
        return sounds[index]

    def cancel(self, job: Job) -> bool:
        """End it: one that waits makes room at once, one that runs stops at its next step. False if it was finished."""
        return self._finish(job, CANCELLED)

    def remove(self, job: Job) -> None:
        """Forget it and what was kept of it; one that is not finished is cancelled."""
        self.cancel(job)
        self.store.remove(job)

    def expire(self, job: Job) -> None:
        """End it: it was not made in time."""
        seconds = self.settings.limits.seconds
        self._finish(job, FAILED, error=f"it was not made within {seconds:g} seconds", reason=TOO_LATE)

    def seconds_until_room(self) -> int:
        """A guess of when the queue will have room."""
        took = list(self._took)
        return max(1, math.ceil(sum(took) / len(took))) if took else 5

    def _finish(self, job: Job, status: str, **changes: Any) -> bool:
        if not job.finish(status, **changes):
            return False
        if job.kept:
            try:
                self.store.finished(job)
            except OSError as error:
                logger.error("what became of job %s cannot be written: %s", job.id, error)
        self.on_finish(job)
        return True

    # ---- The worker

    def _work(self) -> None:
        try:
            if self._warm_up:
                self.models.warm_up(self.settings.limits.duration)
        except Exception as error:
            logger.debug("the models cannot be run", exc_info=True)
            self.failure = f"{type(error).__name__}: {error}"
            self.close()
            self.on_death()
            return
        self._ready.set()
        self.on_ready()
        while True:
            jobs = self.queue.take(IDLE)
            if jobs:
                self._run(jobs)
            elif self.queue.is_closed:
                return
            self._drop_late()
            self.store.sweep()

    def _run(self, jobs: Sequence[Job]) -> None:
        jobs = [job for job in jobs if self._is_wanted(job)]
        if not jobs:
            return
        start = time.perf_counter()
        self.running = jobs
        for job in jobs:
            job.start()
        try:
            self._make(jobs)
        except Exception as error:  # the worker must go on
            for job in jobs:
                self._fail(job, error)
        finally:
            self.running = ()
            seconds = time.perf_counter() - start
            self._took = [*self._took, seconds][-MEMORY:]
            self.on_batch(jobs, seconds)

    def _make(self, jobs: Sequence[Job]) -> None:
        """`jobs`, alike, at once; if that fails, each alone."""

        def progress(at: Progress) -> bool:
            self._drop_late()
            wanted = [job for job in jobs if self._is_wanted(job) and job.report(at)]
            return bool(wanted) and not self._hurry.is_set()

        works = [job.work for job in jobs]
        pipeline = self.models.of(works[0].task, works[0].model).pipeline
        try:
            made = make(pipeline, works, progress, self.settings.batch)
        except Cancelled as stopped:
            for job in jobs:
                self._give_back(job, stopped if len(jobs) == 1 else None)
            return
        except Exception as error:  # whatever it is, the next job must not suffer from it
            if len(jobs) > 1:
                for job in jobs:
                    if not job.is_finished:
                        self._make([job])
                return
            self._fail(jobs[0], error)
            return
        for job, result in zip(jobs, made, strict=True):
            self._succeed(job, result)

    def _fail(self, job: Job, error: Exception) -> None:
        if isinstance(error, ValueError):
            self._finish(job, FAILED, error=_told(error, job.work), reason=INVALID)
            return
        logger.error("job %s failed", job.id, exc_info=error)
        self._finish(job, FAILED, error="the server has an error, see its log", reason=BROKEN)

    def _succeed(self, job: Job, made: Made, complete: bool = True) -> None:
        if job.is_finished:
            return
        seconds = {stage: round(value, 3) for stage, value in made.seconds.items()}
        if not job.kept:
            job.made = made
            sounds = tuple(SoundInfo.of(sound) for sound in (made.sound, *made.candidates))
            self._finish(job, SUCCEEDED, sounds=sounds, seconds=seconds, complete=complete)
            return
        try:
            sounds = self.store.keep(job, made)
        except (StoreFull, OSError) as error:
            logger.error("job %s: %s", job.id, error)
            self._finish(job, FAILED, error="the server has no room for the result", reason=BROKEN)
            return
        if not self._finish(job, SUCCEEDED, sounds=sounds, seconds=seconds, complete=complete):
            self.store.finished(job)  # it was cancelled, or removed, while its sounds were written

    def _give_back(self, job: Job, stopped: Cancelled | None) -> None:
        """What there is of a job that had to stop."""
        if stopped is not None and stopped.clip is not None:
            self._succeed(job, made_of(job.work, stopped.clip), complete=False)
        self._finish(job, FAILED, error=WAS_STOPPED, reason=STOPPED)

    def _is_wanted(self, job: Job) -> bool:
        if job.seconds_left <= 0:
            self.expire(job)
        return not job.is_finished

    def _drop_late(self) -> None:
        for job in self.queue.too_late():
            self.expire(job)


def _told(error: ValueError, work: Work) -> str:
    """What is wrong, in one line; the recording's place on the server is nobody's business."""
    message = " ".join(str(error).split())
    return message.replace(str(work.audio), "the recording") if work.audio else message
