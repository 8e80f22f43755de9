"""The server without HTTP: accepts requests, runs them in batches in one worker thread, and keeps the results.

service = Service(Models.open(["tiny"]), Settings(folder))
service.start()
job = service.submit(Request(prompt="a dog barks", seed=1))
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppaudioldm.audio.recording import open_recording
from ppaudioldm.generation.clip import Cancelled
from ppaudioldm.generation.options import Options, Progress
from ppaudioldm.serving.job import BROKEN, CANCELLED, FAILED, INVALID, STOPPED, SUCCEEDED, TOO_LATE, Job, SoundInfo
from ppaudioldm.serving.listeners import Listeners
from ppaudioldm.serving.models import Model, ModelNotFound, Models
from ppaudioldm.serving.queue import JobQueue, QueueClosed, QueueFull
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.result import Result, Sound, result_of, run_requests
from ppaudioldm.serving.settings import Settings
from ppaudioldm.serving.store import STOPPED_MESSAGE, Store, StoreBroken, StoreFull
from ppaudioldm.tasks.registry import TASKS

__all__ = ["ModelNotFound", "QueueClosed", "QueueFull", "Service", "StoreBroken"]

logger = logging.getLogger(__name__)

IDLE_S = 30.0  # seconds after which an idle worker removes old jobs
SERVER_ERROR = "the server has an error, see its log"
RECENT_BATCHES = 8  # their mean time predicts that of the next one
FIRST_GUESS_S = 5  # before any batch has run
STEP_S = 10.0  # seconds in which a job that is to stop reaches its next step; the preparation of a network has none


@dataclass(frozen=True)
class Hooks:
    """What a service calls: each holds any number of listeners, see `Listeners.add`.

    batch: (jobs, seconds) after every batch. job_end: for every job that ended. ready: once the models have run.
    failure: when no job can run any more. close: when it begins to stop.
    """

    batch: Listeners[[Sequence[Job], float]] = field(default_factory=lambda: Listeners("a batch ended"))
    job_end: Listeners[[Job]] = field(default_factory=lambda: Listeners("a job ended"))
    ready: Listeners[[]] = field(default_factory=lambda: Listeners("the models are ready"))
    failure: Listeners[[]] = field(default_factory=lambda: Listeners("no job can run"))
    close: Listeners[[]] = field(default_factory=lambda: Listeners("the service stops"))


class Service:
    """Owns the models, the queue, the store and the worker thread, and calls its `hooks`.

    Raises ValueError if another server uses the settings' folder.
    """

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.settings = models, settings
        self.store = Store(settings.folder, settings.keep_s, settings.disk_bytes)
        self.queue = JobQueue(settings.queue_size, settings.batch_size)
        self.hooks = Hooks()
        self.failure = ""  # why no job can run
        self.running: Sequence[Job] = ()
        self._batch_seconds: list[float] = []  # of the last batches
        self._grace_end = self._end = math.inf  # when running jobs are to stop, and when they are left, if it is closed
        self.is_abandoned = False  # whether `stop` has left the worker in the preparation of a network
        self._ready = threading.Event()
        self._stop_running = threading.Event()
        self._worker = threading.Thread(target=self._run_worker, name="worker", daemon=True)

    # ---- Starting and stopping

    def start(self, warm_up: bool = True) -> None:
        """Start the worker. warm_up: the service is ready only after every network has run once."""
        self._warm_up = warm_up
        self._worker.start()

    @property
    def is_ready(self) -> bool:
        """Whether jobs are accepted and run."""
        return self._ready.is_set() and not self.queue.is_closed and self._worker.is_alive()

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Block until the models have run; False if that takes longer than `timeout` seconds."""
        return self._ready.wait(timeout)

    def close(self) -> None:
        """Accept no more jobs, and end those that wait; running jobs go on. A warm-up, which no client needs, ends."""
        if not self.queue.is_closed:
            self._grace_end = time.monotonic() + self.settings.grace_s
            self._end = min(self._end, self._grace_end + (STEP_S if self._ready.is_set() else 0.0))
            if not self._ready.is_set():
                self._stop_running.set()
            self.hooks.close()
        for job in self.queue.close():
            self._finish(job, FAILED, error=STOPPED_MESSAGE, reason=STOPPED)

    def stop_running(self) -> None:
        """End running jobs at their next step, with the best of the candidates that are complete by then."""
        self._stop_running.set()

    def end_grace(self) -> None:
        """`stop_running`, and `stop` waits for no more than their next step."""
        self.stop_running()
        self._end = min(self._end, time.monotonic() + STEP_S)

    def stop(self) -> None:
        """Close, let running jobs finish within the settings' `grace_s`, then end them.

        Returns when all is done, or the worker has not reached its next step in time, as it cannot while it prepares a
        network: its jobs have failed then, and it `is_abandoned`.
        """
        self.close()
        while self._worker.is_alive() and time.monotonic() < self._end:
            if time.monotonic() >= self._grace_end:
                self.stop_running()
            self._worker.join(0.1)
        self.is_abandoned = self._worker.is_alive()
        for job in self.running if self.is_abandoned else ():
            self._finish(job, FAILED, error=STOPPED_MESSAGE, reason=STOPPED)
        self.store.close()

    # ---- Jobs

    def options(self, preset: str | None = None, **overrides: Any) -> Options:
        """The settings called `preset` with `overrides` that are not None; the steps are by default the server's.

        Raises ValueError.
        """
        if preset is None and overrides.get("num_inference_steps") is None:
            overrides["num_inference_steps"] = self.settings.default_steps
        return Options.from_preset(preset or "fast", **overrides)

    def submit(self, request: Request, *, kept: bool = True, audio: Path | None = None) -> Job:
        """Queue `request`.

        kept: the result stays on disk, else only in the job. audio: the recording, a file that is moved into the job's
        folder. A default duration or number of steps beyond the limit is reduced to the limit. Raises ValueError for a
        request that cannot be fulfilled or is beyond the limits, ModelNotFound where no model can run it, QueueFull,
        QueueClosed, and StoreBroken if the disk does not take it.
        """
        if audio is not None:
            kept, request = True, dataclasses.replace(request, audio=audio)
        request, model = self.models.resolved(request.checked(self.settings.limits))
        if self.queue.is_closed:
            raise QueueClosed
        if len(self.queue) >= self.settings.queue_size:
            raise QueueFull  # before any file is read or written
        try:
            request = self._with_duration(self._with_steps(request, model), model)
        except ValueError as error:
            raise ValueError(_message_for_client(error, request)) from None
        job = Job(request, kept=kept, timeout_s=self.settings.limits.timeout_s)
        if kept:
            try:
                self.store.add(job, audio)
            except StoreFull as error:
                raise QueueFull(str(error)) from None
            except OSError as error:
                raise StoreBroken.of("the job cannot be kept", error) from error
        try:
            self.queue.put(job)
        except (QueueFull, QueueClosed):
            try:
                self.store.remove(job)
            except OSError:
                self.cancel(job)
            raise
        return job

    def _with_steps(self, request: Request, model: Model) -> Request:
        """`request` with the steps and the sampler that the model has by default, where it names none."""
        options = model.pipeline.with_defaults(request.options)
        steps = options.num_inference_steps
        if request.options.num_inference_steps is None and steps is not None:
            steps = min(steps, self.settings.limits.steps)
        # The guidance scale stays open: the page then shows it as it was requested.
        changed = dataclasses.replace(request.options, num_inference_steps=steps, sampler=options.sampler)
        return dataclasses.replace(request, options=changed)

    def _with_duration(self, request: Request, model: Model) -> Request:
        """`request` with a duration if its default is the checkpoint's, or beyond the limit.

        Raises ValueError for a result that is longer than the limit, or that the task cannot get from the recording.
        """
        task, limit = TASKS[request.task], self.settings.limits.duration_s
        recording = open_recording(request.audio, truncate=task.reads_beginning) if request.audio else None

        def planned(duration: float | None) -> float | None:
            seconds: float | None = task.planned_duration(
                recording, duration, model.pipeline.config, **request.parameters
            )
            return duration if seconds is None else seconds

        requested = request.options.duration if task.takes_duration else None
        seconds = planned(requested)
        if seconds is not None and seconds > limit and (requested is not None or not task.takes_duration):
            raise ValueError(f"duration is {seconds:g}, allowed on this server: up to {limit:g}")
        if task.takes_duration and requested is None and (seconds is None or seconds > limit):
            duration = min(model.default_duration if seconds is None else seconds, limit)
            planned(duration)
            return dataclasses.replace(request, options=dataclasses.replace(request.options, duration=duration))
        return request

    def find(self, job_id: str) -> Job | None:
        """A job that is kept."""
        return self.store.find(job_id)

    def history(self, limit: int | None = None) -> list[Job]:
        """The jobs that are kept, or `limit` of them, the newest first."""
        return self.store.jobs(limit)

    def sound(self, job: Job, index: int = 0) -> Sound:
        """A sound of the job's result: 0 is the best, then the candidates. Raises LookupError if it does not exist."""
        if job.kept:
            return self.store.sound(job, index)
        sounds = job.result.sounds if job.result else ()
        if not 0 <= index < len(sounds):
            raise LookupError(f"sound {index} does not exist, the job has {len(sounds)}")
        return sounds[index]

    def cancel(self, job: Job) -> bool:
        """End it: a waiting job leaves the queue, a running one stops at its next step. False if it was finished."""
        return self._finish(job, CANCELLED)

    def remove(self, job: Job) -> None:
        """Remove it and its files; a job that is not finished is cancelled. Raises StoreBroken."""
        self.cancel(job)
        try:
            self.store.remove(job)
        except OSError as error:
            raise StoreBroken.of("the job cannot be removed", error) from error

    def expire(self, job: Job) -> None:
        """End it: its time limit has passed."""
        timeout_s = self.settings.limits.timeout_s
        self._finish(job, FAILED, error=f"it was not finished within {timeout_s:g} seconds", reason=TOO_LATE)

    def seconds_until_room(self) -> int:
        """An estimate of when the queue will have room."""
        recent = list(self._batch_seconds)
        return max(1, math.ceil(sum(recent) / len(recent))) if recent else FIRST_GUESS_S

    def _finish(self, job: Job, status: str, **changes: Any) -> bool:
        if not job.finish(status, **changes):
            return False
        if job.kept:
            try:
                self.store.write_final_state(job)
            except Exception:  # the other jobs of its batch must end, too
                logger.exception("the state of job %s cannot be written", job.id)
        self.hooks.job_end(job)
        return True

    # ---- The worker

    def _run_worker(self) -> None:
        """Run jobs until the queue is closed. Whatever ends it, no job is left waiting."""
        doing = "the models cannot run"
        try:
            if self._warm_up:
                self.models.warm_up(self.settings.limits.duration_s, lambda at: not self._stop_running.is_set())
            self._ready.set()
            self.hooks.ready()
            doing = "the worker of the server ended"
            while self._work():
                pass
        except Cancelled:  # of a warm-up
            return
        except BaseException as error:
            logger.debug(doing, exc_info=True)
            self.failure = f"{doing}: {type(error).__name__}: {error}"
            self.close()
            self.hooks.failure()

    def _work(self) -> bool:
        """Run the next jobs and clean up; False once there will be none."""
        jobs = self.queue.take(IDLE_S)
        if jobs:
            self._run(jobs)
        elif self.queue.is_closed:
            return False
        _attempt(self._expire_waiting)
        _attempt(self.store.sweep)
        return True

    def _run(self, jobs: Sequence[Job]) -> None:
        jobs = [job for job in jobs if self._is_pending(job)]
        if not jobs:
            return
        start = time.perf_counter()
        self.running = jobs
        try:
            for job in jobs:
                job.start()
            self._generate(jobs)
        except Exception as error:  # the worker must go on
            for job in jobs:
                self._fail(job, error)
        finally:
            self.running = ()
            for job in jobs:  # if the worker ends
                self._finish(job, FAILED, error=SERVER_ERROR, reason=BROKEN)
            seconds = time.perf_counter() - start
            self._batch_seconds = [*self._batch_seconds, seconds][-RECENT_BATCHES:]
            self.hooks.batch(jobs, seconds)

    def _generate(self, jobs: Sequence[Job]) -> None:
        """Run `jobs`, which have equal settings, as one batch; if that fails, each alone."""

        def progress(at: Progress) -> bool:
            _attempt(self._expire_waiting)
            pending = [job for job in jobs if self._is_pending(job) and job.report(at)]
            return bool(pending) and not self._stop_running.is_set()

        requests = [job.request for job in jobs]
        pipeline = self.models.of(requests[0].task, requests[0].model).pipeline
        try:
            results = run_requests(pipeline, requests, progress, self.settings.batch_size)
        except Cancelled as stopped:
            for job in jobs:
                self._end_stopped(job, stopped if len(jobs) == 1 else None)
            return
        except Exception as error:  # whatever it is, the next job must not suffer from it
            if len(jobs) > 1:
                for job in jobs:
                    if not job.is_finished:
                        self._generate([job])
                return
            self._fail(jobs[0], error)
            return
        for job, result in zip(jobs, results, strict=True):
            self._succeed(job, result)

    def _fail(self, job: Job, error: Exception) -> None:
        if isinstance(error, ValueError):
            self._finish(job, FAILED, error=_message_for_client(error, job.request), reason=INVALID)
            return
        logger.error("job %s failed", job.id, exc_info=error)
        self._finish(job, FAILED, error=SERVER_ERROR, reason=BROKEN)

    def _succeed(self, job: Job, result: Result, complete: bool = True) -> None:
        if job.is_finished:
            return
        seconds = {stage: round(value, 3) for stage, value in result.seconds.items()}
        if not job.kept:
            job.result = result
            sounds = tuple(SoundInfo.of(sound) for sound in result.sounds)
            self._finish(job, SUCCEEDED, sounds=sounds, seconds=seconds, complete=complete)
            return
        try:
            sounds = self.store.write_result(job, result)
        except (StoreFull, OSError) as error:
            logger.error("job %s: %s", job.id, error)
            self._finish(job, FAILED, error="the server has no room for the result", reason=BROKEN)
            return
        if not self._finish(job, SUCCEEDED, sounds=sounds, seconds=seconds, complete=complete):
            self.store.write_final_state(job)  # it was cancelled, or removed, while its sounds were written

    def _end_stopped(self, job: Job, stopped: Cancelled | None) -> None:
        """Finish a job that had to stop, with the partial result if it has one."""
        if stopped is not None and stopped.clip is not None:
            self._succeed(job, result_of(job.request, stopped.clip), complete=False)
        self._finish(job, FAILED, error=STOPPED_MESSAGE, reason=STOPPED)

    def _is_pending(self, job: Job) -> bool:
        """Whether a client still waits for the job. Ends a job whose time limit has passed."""
        if job.seconds_left <= 0:
            self.expire(job)
        return not job.is_finished

    def _expire_waiting(self) -> None:
        for job in self.queue.expired():
            self.expire(job)


def _attempt(clean_up: Callable[[], None]) -> None:
    """Call `clean_up`, which is tried again later; an error is logged, for the worker must go on."""
    try:
        clean_up()
    except Exception as error:
        logger.error("cleaning up failed: %s: %s", type(error).__name__, error)
        logger.debug("cleaning up failed", exc_info=True)


def _message_for_client(error: ValueError, request: Request) -> str:
    """The error in one line, without the path that the recording has on the server."""
    message = " ".join(str(error).split())
    return message.replace(str(request.audio), "the recording") if request.audio else message
