"""What is kept of jobs on disk: a folder each, for a time, within a budget, whatever kills the server.

job.json says what was to be made and what became of it; sound.wav, and candidate-1.wav, ... beside it, are what was
made; input is the recording, as long as it is needed. Each file appears complete or not at all.
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
from ppaudioldm.serving.work import Made, Sound, Work
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.lock import FolderLock

logger = logging.getLogger(__name__)

RECORD, INPUT = "job.json", "input"
UPLOAD = ".upload-"  # begins the name of a recording that is on its way into the folder
BLOCK = 4096  # bytes: what a small file takes on disk
MAX_JOBS = 10_000  # that are kept, however small they are
WAS_STOPPED = "the server was stopped before it was made"


class StoreFull(Exception):
    """What is to be kept does not fit into the budget."""


class Store:
    """In `folder`, which it makes; keep: seconds that finished jobs stay; budget: bytes of all of them.

    Raises ValueError if another server has the folder.
    """

    def __init__(self, folder: Path, keep: float, budget: int) -> None:
        self.folder, self._keep, self._budget = folder, keep, budget
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}  # the oldest first
        self._sizes: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._folder_lock = FolderLock(
            folder, f"another server keeps its jobs in {folder}: choose another folder with --data"
        )
        self._load()

    def close(self) -> None:
        self._folder_lock.release()

    # ---- Asking

    def find(self, job_id: str) -> Job | None:
        """The job of that name, whoever asks."""
        return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """All of them, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    def sound(self, job: Job, index: int = 0) -> Sound:
        """Number `index` of the sounds that the job made. Raises LookupError if there is none, or no more."""
        state = job.state
        if not 0 <= index < len(state.sounds):
            raise LookupError(f"sound {index} is not there, the job has {len(state.sounds)}")
        info, path = state.sounds[index], self.folder / job.id / _file(index)
        try:
            found = open_recording(path)
        except (OSError, ValueError) as error:
            raise LookupError(f"sound {index} is not there any more") from error
        samples = found.samples[:, 0] if info.channels == 1 else found.samples
        return Sound(samples, found.sample_rate, info.seed, info.score, found.subtype)

    # ---- Changing

    def add(self, job: Job, audio: Path | None = None) -> None:
        """Keep `job` from now on. audio: a recording, which is moved here and becomes the work's.

        Raises StoreFull if there is no room for the recording.
        """
        size = BLOCK + (audio.stat().st_size if audio else 0)
        with self._lock:
            self._make_room(size)
            folder = self.folder / job.id
            folder.mkdir()
            if audio is not None:
                shutil.move(audio, folder / INPUT)
                job.work = dataclasses.replace(job.work, audio=folder / INPUT)
            self._jobs[job.id], self._sizes[job.id] = job, size
            self._write(job, job.state)

    def keep(self, job: Job, made: Made) -> tuple[SoundInfo, ...]:
        """Write what was made of it. Raises StoreFull if that does not fit, OSError if it cannot be written."""
        sounds = (made.sound, *made.candidates)
        size = sum(sound.waveform.nbytes + BLOCK for sound in sounds)
        with self._lock:
            if job.id not in self._jobs:
                return ()
            self._make_room(size, without=job)
            self._sizes[job.id] += size
        for index, sound in enumerate(sounds):
            path = self.folder / job.id / _file(index)
            write_audio(path, sound.waveform, sound.sample_rate, sound.subtype)
        return tuple(SoundInfo.of(sound) for sound in sounds)

    def finished(self, job: Job) -> None:
        """Write what became of it; its recording is not needed any more."""
        folder = self.folder / job.id
        with self._lock:
            if job.id not in self._jobs:
                shutil.rmtree(folder, ignore_errors=True)
                return
            self._write(job, job.state)
            (folder / INPUT).unlink(missing_ok=True)
            wanted = {_file(index) for index in range(len(job.state.sounds))}
            for path in folder.glob("*.wav"):  # of one that was cancelled while they were written
                if path.name not in wanted:
                    path.unlink(missing_ok=True)
            self._sizes[job.id] = _size(folder)

    def remove(self, job: Job) -> None:
        """Forget it, and all that was kept of it."""
        with self._lock:
            if self._jobs.pop(job.id, None) is not None:
                del self._sizes[job.id]
                # The record first: what is left of a folder without one is removed at the next start.
                (self.folder / job.id / RECORD).unlink(missing_ok=True)
                shutil.rmtree(self.folder / job.id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove finished jobs that were kept long enough, and the oldest beyond the budget."""
        with self._lock:
            self._make_room(0)

    def _make_room(self, size: int, without: Job | None = None) -> None:
        """Raises StoreFull if what cannot be removed leaves no room for `size` bytes more."""
        before = time.time() - self._keep
        done = [job for job in self._jobs.values() if job.is_finished and job is not without]
        for job in done:
            finished = job.state.finished or job.created
            if finished < before or self.size + size > self._budget or len(self._jobs) >= MAX_JOBS:
                self.remove(job)
        if self.size + size > self._budget:
            raise StoreFull(
                f"{size} bytes do not fit: {self.size} of {self._budget} are taken by jobs that run or wait"
            )

    # ---- Files

    def _write(self, job: Job, state: State) -> None:
        values = {"created": job.created, "work": job.work.to_dict(), "state": dataclasses.asdict(state)}
        with atomic_path(self.folder / job.id / RECORD) as temporary:
            temporary.write_text(json.dumps(values), "utf-8")

    def _load(self) -> None:
        """What an earlier server left: finished jobs are there again, the others have failed."""
        for stale in self.folder.glob(f"{UPLOAD}*"):
            stale.unlink(missing_ok=True)
        found = []
        for folder in self.folder.iterdir():
            if not re.fullmatch("[0-9a-f]{32}", folder.name) or not folder.is_dir():
                continue
            try:
                found.append(_read(folder))
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("%s is no job that can be read, and is removed: %s", folder, error)
                shutil.rmtree(folder, ignore_errors=True)
        for job in sorted(found, key=lambda job: job.created):
            self._jobs[job.id] = job
            for stale in (self.folder / job.id).glob(".*"):
                stale.unlink(missing_ok=True)
            self._sizes[job.id] = _size(self.folder / job.id)
            if not job.is_finished:
                job.finish(FAILED, error=WAS_STOPPED, reason=STOPPED, sounds=())
                self.finished(job)
        self.sweep()


def _file(index: int) -> str:
    return f"candidate-{index}.wav" if index else "sound.wav"


def _read(folder: Path) -> Job:
    values = json.loads((folder / RECORD).read_text("utf-8"))
    job = Job(Work.from_dict(values["work"]), kept=True, seconds=0, id=folder.name)
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
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)
