"""Jobs on disk: a folder each, kept for a time and within a budget, intact whatever ends the server.

job.json holds the request and the state; sound.wav, and beside it candidate-1.wav, ..., are the result; input is the
recording, until the job is finished. Each file appears complete or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from ppaudioldm.audio.recording import open_recording
from ppaudioldm.audio.write import write_audio
from ppaudioldm.serving.job import FAILED, FINISHED, STOPPED, Job, SoundInfo, State
from ppaudioldm.serving.request import FORMAT_VERSION, Request, UnknownFormat
from ppaudioldm.serving.result import Result, Sound
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.lock import FolderLock

logger = logging.getLogger(__name__)

RECORD, INPUT = "job.json", "input"
UPLOAD = ".upload-"  # begins the name of a recording that is being received into the folder
BLOCK_BYTES = 4096  # a small file takes so much on disk
MAX_JOBS = 10_000  # kept at most, however small they are
STOPPED_MESSAGE = "the server was stopped before it was finished"


class StoreFull(Exception):
    """A job does not fit into the budget."""


class Store:
    """The jobs in `folder`, which is created. keep_s: seconds that finished jobs stay. budget_bytes: of all jobs.

    Raises ValueError if another server uses the folder.
    """

    def __init__(self, folder: Path, keep_s: float, budget_bytes: int) -> None:
        self.folder, self._keep_s, self._budget = folder, keep_s, budget_bytes
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}  # the oldest first
        self._sizes: dict[str, int] = {}
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

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    def sound(self, job: Job, index: int = 0) -> Sound:
        """Sound number `index` of the result. Raises LookupError if it does not exist, or no longer exists."""
        state = job.state
        if not 0 <= index < len(state.sounds):
            raise LookupError(f"sound {index} does not exist, the job has {len(state.sounds)}")
        info, path = state.sounds[index], self.folder / job.id / _file(index)
        try:
            recording = open_recording(path)
        except (OSError, ValueError) as error:
            raise LookupError(f"sound {index} no longer exists") from error
        samples = recording.samples[:, 0] if info.channels == 1 else recording.samples
        return Sound(samples, recording.sample_rate, info.seed, info.score, recording.subtype)

    # ---- Changing

    def add(self, job: Job, audio: Path | None = None) -> None:
        """Keep `job` from now on. audio: the recording, which is moved here and set in the request.

        Raises StoreFull if there is no room for the recording.
        """
        size = BLOCK_BYTES + (audio.stat().st_size if audio else 0)
        with self._lock:
            self._make_room(size)
            folder = self.folder / job.id
            folder.mkdir()
            if audio is not None:
                shutil.move(audio, folder / INPUT)
                job.request = dataclasses.replace(job.request, audio=folder / INPUT)
            self._jobs[job.id], self._sizes[job.id] = job, size
            self._write(job, job.state)

    def write_result(self, job: Job, result: Result) -> tuple[SoundInfo, ...]:
        """Write the sounds of `result`. Raises StoreFull if they do not fit, OSError if they cannot be written."""
        sounds = (result.sound, *result.candidates)
        size = sum(sound.waveform.nbytes + BLOCK_BYTES for sound in sounds)
        with self._lock:
            if job.id not in self._jobs:
                return ()
            self._make_room(size, without=job)
            self._sizes[job.id] += size
        for index, sound in enumerate(sounds):
            path = self.folder / job.id / _file(index)
            write_audio(path, sound.waveform, sound.sample_rate, sound.subtype)
        return tuple(SoundInfo.of(sound) for sound in sounds)

    def write_final_state(self, job: Job) -> None:
        """Write the state of a finished job, and remove its recording and unused files."""
        folder = self.folder / job.id
        with self._lock:
            if job.id not in self._jobs:
                shutil.rmtree(folder, ignore_errors=True)
                return
            self._write(job, job.state)
            (folder / INPUT).unlink(missing_ok=True)
            valid = {_file(index) for index in range(len(job.state.sounds))}
            for path in folder.glob("*.wav"):  # of a job that was cancelled while they were written
                if path.name not in valid:
                    path.unlink(missing_ok=True)
            self._sizes[job.id] = _size(folder)

    def remove(self, job: Job) -> None:
        """Remove the job and its files."""
        with self._lock:
            if self._jobs.pop(job.id, None) is not None:
                del self._sizes[job.id]
                # The record first: the rest of a folder without one is removed at the next start.
                (self.folder / job.id / RECORD).unlink(missing_ok=True)
                shutil.rmtree(self.folder / job.id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove finished jobs that have been kept long enough, and the oldest beyond the budget."""
        with self._lock:
            self._make_room(0)

    def _make_room(self, size: int, without: Job | None = None) -> None:
        """Remove finished jobs, but `without`, until `size` bytes more fit. Raises StoreFull if that is not enough."""
        oldest = time.time() - self._keep_s
        done = [job for job in self._jobs.values() if job.is_finished and job is not without]
        for job in done:
            finished = job.state.finished or job.created
            if finished < oldest or self.size + size > self._budget or len(self._jobs) >= MAX_JOBS:
                self.remove(job)
        if self.size + size > self._budget:
            raise StoreFull(
                f"{size} bytes do not fit: {self.size} of {self._budget} are taken by jobs that run or wait"
            )

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

    def _load(self) -> None:
        """Read the jobs of an earlier server: finished ones stay as they are, the others have failed."""
        for stale in self.folder.glob(f"{UPLOAD}*"):
            stale.unlink(missing_ok=True)
        found = []
        for folder in self.folder.iterdir():
            if not re.fullmatch("[0-9a-f]{32}", folder.name) or not folder.is_dir():
                continue
            try:
                found.append(_read(folder))
            except UnknownFormat as error:
                logger.warning("the job %s is not read: %s", folder, error)
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("%s is not a job that can be read, and is removed: %s", folder, error)
                shutil.rmtree(folder, ignore_errors=True)
        for job in sorted(found, key=lambda job: job.created):
            self._jobs[job.id] = job
            for stale in (self.folder / job.id).glob(".*"):
                stale.unlink(missing_ok=True)
            self._sizes[job.id] = _size(self.folder / job.id)
            if not job.is_finished:
                job.finish(FAILED, error=STOPPED_MESSAGE, reason=STOPPED, sounds=())
                self.write_final_state(job)
        self.sweep()


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
