"""Jobs on disk: a folder each, kept for a time and within a budget, intact whatever ends the server.

job.json holds the request and the state; sound.wav, and beside it candidate-1.wav, ..., are the result; input is the
recording, until the job is finished. Each file appears complete or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shutil
import threading
import time
from collections import OrderedDict
from itertools import islice
from pathlib import Path
from typing import Any

from ppaudioldm.audio.recording import open_recording
from ppaudioldm.audio.tagging.files import read_tags
from ppaudioldm.audio.write import write_audio
from ppaudioldm.generation.provenance import Provenance, Source
from ppaudioldm.serving.job import FAILED, FINISHED, STOPPED, Job, SoundInfo, State
from ppaudioldm.serving.request import FORMAT_VERSION, Request
from ppaudioldm.serving.result import Result, Sound
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.lock import FolderLock

logger = logging.getLogger(__name__)

RECORD, INPUT = "job.json", "input"
UPLOAD = ".upload-"  # begins the name of a recording that is being received into the folder
BLOCK_BYTES = 4096  # a small file takes so much on disk
MAX_JOBS = 200_000  # kept at most, however small they are: each takes 3 kB of memory
STOPPED_MESSAGE = "the server was stopped before it was finished"


class StoreFull(Exception):
    """A job does not fit into the budget."""


class StoreBroken(Exception):
    """The disk does not take what a job needs, or does not let go of it."""

    @classmethod
    def of(cls, what: str, error: OSError) -> StoreBroken:
        """The exception for `error`, which is logged; what: does not work now."""
        logger.error("%s: %s", what, error)
        return cls(f"{what}: {error.strerror or 'an error of the disk'}")


class Store:
    """The jobs in `folder`, which is created. keep_s: seconds that finished jobs stay. budget_bytes: of all jobs.

    Raises ValueError if another server uses the folder.
    """

    def __init__(self, folder: Path, keep_s: float, budget_bytes: int) -> None:
        self.folder, self._keep_s, self._budget = folder, keep_s, budget_bytes
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}  # the oldest first
        self._finished: OrderedDict[str, Job] = OrderedDict()  # those of them that are, in the order of their ends
        self._unwritten: dict[str, Job] = {}  # finished ones whose record the disk did not take
        self._sizes: dict[str, int] = {}  # bytes on disk
        self._total = 0  # of all sizes
        folder.mkdir(parents=True, exist_ok=True)
        self._folder_lock = FolderLock(
            folder, f"another server keeps its jobs in {folder}: choose another folder with --data"
        )
        self._load()

    def close(self) -> None:
        """Leave the folder to another server."""
        self._folder_lock.release()

    # ---- Reading

    def find(self, job_id: str) -> Job | None:
        """The job with this id."""
        return self._jobs.get(job_id)

    def jobs(self, limit: int | None = None) -> list[Job]:
        """All jobs, or `limit` of them, the newest first."""
        with self._lock:
            return list(islice(reversed(self._jobs.values()), limit))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._total

    def sound(self, job: Job, index: int = 0) -> Sound:
        """Sound number `index` of the result. Raises LookupError if it does not exist, or no longer exists."""
        state = job.state
        if not 0 <= index < len(state.sounds):
            raise LookupError(f"sound {index} does not exist, the job has {len(state.sounds)}")
        info, path = state.sounds[index], self.folder / job.id / _file(index)
        try:
            recording, tags = open_recording(path), read_tags(path)
        except (OSError, ValueError) as error:
            raise LookupError(f"sound {index} no longer exists") from error
        samples = recording.samples[:, 0] if info.channels == 1 else recording.samples
        if not tags and job.request.tags != "none":  # an earlier version wrote the file
            tags = Provenance(Source(job.request.model)).tags() or {}
        return Sound(samples, recording.sample_rate, info.seed, info.score, recording.subtype, tags)

    # ---- Changing

    def add(self, job: Job, audio: Path | None = None) -> None:
        """Keep `job` from now on. audio: the recording, which is moved here and set in the request.

        Raises StoreFull if there is no room for the recording, OSError if the disk does not take it. The job is not
        kept then, and the recording stays where it is.
        """
        size = BLOCK_BYTES + (audio.stat().st_size if audio else 0)
        with self._lock:
            self._make_room(size)
            folder = self.folder / job.id
            try:
                folder.mkdir()
                if audio is not None:
                    job.request = dataclasses.replace(job.request, audio=folder / INPUT)
                self._write(job, job.state)
                if audio is not None:
                    shutil.move(audio, folder / INPUT)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._jobs[job.id] = job
            self._set_size(job, size)

    def write_result(self, job: Job, result: Result) -> tuple[SoundInfo, ...]:
        """Write the sounds of `result`. Raises StoreFull if they do not fit, OSError if they cannot be written."""
        sounds = result.sounds
        size = sum(sound.waveform.nbytes + BLOCK_BYTES for sound in sounds)
        with self._lock:
            if job.id not in self._jobs:
                return ()
            self._make_room(size, without=job)
            self._set_size(job, self._sizes[job.id] + size)
        for index, sound in enumerate(sounds):
            path = self.folder / job.id / _file(index)
            write_audio(path, sound.waveform, sound.sample_rate, sound.subtype, sound.tags)
        return tuple(SoundInfo.of(sound) for sound in sounds)

    def write_final_state(self, job: Job) -> None:
        """Write the state of a finished job, and remove its recording and unused files.

        What the disk refuses is logged, and tried again by `sweep`.
        """
        with self._lock:
            if job.id not in self._jobs:
                shutil.rmtree(self.folder / job.id, ignore_errors=True)
                return
            self._finished.setdefault(job.id, job)
            try:
                self._write_finished(job)
            except OSError as error:
                if job.id not in self._unwritten:
                    logger.error("the state of job %s cannot be written now: %s", job.id, error)
                self._unwritten[job.id] = job
            else:
                self._unwritten.pop(job.id, None)

    def remove(self, job: Job) -> None:
        """Remove the job and its files. Raises OSError, and keeps it, if the disk refuses."""
        with self._lock:
            if job.id in self._jobs:
                # The record first: the rest of a folder without one is removed at the next start.
                (self.folder / job.id / RECORD).unlink(missing_ok=True)
                shutil.rmtree(self.folder / job.id, ignore_errors=True)
                self._set_size(job, 0)
                for jobs in (self._jobs, self._finished, self._unwritten, self._sizes):
                    jobs.pop(job.id, None)

    def sweep(self) -> None:
        """Remove finished jobs that have been kept long enough, and the oldest beyond the budget. Raises OSError."""
        with self._lock:
            for job in list(self._unwritten.values()):
                self.write_final_state(job)
            self._make_room(0)

    def _make_room(self, size: int, without: Job | None = None) -> None:
        """Remove finished jobs, but `without`, until `size` bytes more fit. Raises StoreFull if that is not enough.

        It looks at no jobs but those that it removes, so it takes as long among few as among many.
        """
        oldest = time.time() - self._keep_s
        while job := next((job for job in self._finished.values() if job is not without), None):
            finished = job.state.finished or job.created
            if finished >= oldest and self._total + size <= self._budget and len(self._jobs) < MAX_JOBS:
                return
            self.remove(job)
        if self._total + size > self._budget:
            raise StoreFull(
                f"{size} bytes do not fit: {self._total} of {self._budget} are taken by jobs that run or wait"
            )

    def _set_size(self, job: Job, size: int) -> None:
        self._total += size - self._sizes.get(job.id, 0)
        self._sizes[job.id] = size

    # ---- Files

    def _write(self, job: Job, state: State) -> None:
        values = {
            "version": FORMAT_VERSION,
            "created": job.created,
            "request": job.request.to_dict(),
            "state": dataclasses.asdict(state),
        }
        with atomic_path(self.folder / job.id / RECORD) as temporary:
            temporary.write_text(json.dumps(values), "utf-8")

    def _write_finished(self, job: Job) -> None:
        folder = self.folder / job.id
        self._write(job, job.state)
        (folder / INPUT).unlink(missing_ok=True)
        valid = {_file(index) for index in range(len(job.state.sounds))}
        for path in folder.glob("*.wav"):  # of a job that was cancelled while they were written
            if path.name not in valid:
                path.unlink(missing_ok=True)
        self._set_size(job, _size(folder))

    def _load(self) -> None:
        """Read the jobs of an earlier server: finished ones stay as they are, the others have failed."""
        for stale in self.folder.glob(f"{UPLOAD}*"):
            stale.unlink(missing_ok=True)
        folders = [folder for folder in self.folder.iterdir() if re.fullmatch("[0-9a-f]{32}", folder.name)]
        found = [job for job in map(self._loaded, filter(Path.is_dir, folders)) if job is not None]
        self._jobs = {job.id: job for job in sorted(found, key=lambda job: job.created)}
        finished = [job for job in found if job.is_finished]
        self._finished.update((job.id, job) for job in sorted(finished, key=lambda job: job.state.finished or 0.0))
        for job in self._jobs.values():
            if not job.is_finished:
                job.finish(FAILED, error=STOPPED_MESSAGE, reason=STOPPED, sounds=())
                self.write_final_state(job)
        try:
            self.sweep()
        except OSError as error:
            logger.error("old jobs cannot be removed now: %s", error)

    def _loaded(self, folder: Path) -> Job | None:
        """The job in `folder`. One that cannot be read is left as it is for a later start, unless it has no record."""
        try:
            names = os.listdir(folder)
            if RECORD not in names:  # `remove` was stopped in the middle, or `add`
                shutil.rmtree(folder, ignore_errors=True)
                return None
            for stale in names:
                if stale.startswith("."):
                    (folder / stale).unlink(missing_ok=True)
            job = _read(folder)
            self._set_size(job, _size(folder))
            return job
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("the job %s is set aside, it cannot be read: %s: %s", folder, type(error).__name__, error)
            return None


def _file(index: int) -> str:
    return f"candidate-{index}.wav" if index else "sound.wav"


def _read(folder: Path) -> Job:
    """The job in `folder`. Version 0.1.0 wrote no version number, and "work" in place of "request"."""
    values = json.loads((folder / RECORD).read_text("utf-8"))
    version = values.get("version", 1)
    request = Request.from_dict(values["work" if version == 1 else "request"], version)
    job = Job(request, kept=True, timeout_s=0, id=folder.name)
    state = _state(values["state"])
    if state.status in FINISHED:
        for index, _ in enumerate(state.sounds):
            (folder / _file(index)).stat()
    job.restore(state, float(values["created"]))
    return job


def _state(values: dict[str, Any]) -> State:
    return State(**values | {"sounds": tuple(SoundInfo(**sound) for sound in values["sounds"])})


def _size(folder: Path) -> int:
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in sizes)
