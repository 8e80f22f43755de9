"""Jobs on disk: how long they are kept, within which budget, and after the server was killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm.generation.options import Options
from ppaudioldm.serving.job import Job
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.result import Result, Sound
from ppaudioldm.serving.store import Store, StoreFull
from tests.serving.examples import RATE, new_request, sound_of

BUDGET = 1 << 20


def store_in(folder: Path, keep_s: float = 1000.0, budget: int = BUDGET) -> Store:
    return Store(folder, keep_s, budget)


def new_job(seed: int = 1, **settings) -> Job:
    return Job(new_request(seed=seed, **settings), kept=True, timeout_s=100)


def result_of(seed: int = 1, duration: float = 0.5) -> Result:
    return Result(Sound(sound_of(seed, duration), RATE, seed, 0.25))


def succeed(store: Store, job: Job, result: Result) -> None:
    job.start()
    job.finish("succeeded", sounds=store.write_result(job, result))
    store.write_final_state(job)


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def test_jobs_are_the_same_after_a_restart(tmp_path):
    store = store_in(tmp_path)
    job = new_job(
        7, task="inpaint", loudness=-20.0, parameters={"ranges": ((0.0, None),)}, guidance_interval=(0.2, 0.8)
    )
    store.add(job)
    result = Result(result_of(7).sound, candidates=(result_of(7).sound, result_of(8).sound))
    succeed(store, job, result)
    assert files(tmp_path / job.id) == ["candidate-1.wav", "candidate-2.wav", "job.json", "sound.wav"]
    size = store.size
    store.close()
    again = store_in(tmp_path)
    (found,) = again.jobs()
    assert (found.id, found.request, found.state, found.created) == (job.id, job.request, job.state, job.created)
    assert again.size == size
    sound = again.sound(found, 2)
    np.testing.assert_array_equal(sound.waveform, sound_of(8))
    assert (sound.seed, sound.score, sound.sample_rate) == (8, 0.25, RATE)


def test_unfinished_jobs_have_failed_after_a_restart(tmp_path):
    store = store_in(tmp_path)
    waits, runs, writes = new_job(1), new_job(2), new_job(3)
    for job in (waits, runs, writes):
        store.add(job)
    runs.start()
    writes.start()
    store.write_result(writes, result_of(3))  # killed before its state was written
    (tmp_path / writes.id / ".sound-1a2b.wav").write_bytes(b"half")
    store.close()
    again = store_in(tmp_path)
    assert {job.state.status for job in again.jobs()} == {"failed"}
    assert {job.state.error for job in again.jobs()} == {"the server was stopped before it was finished"}
    assert {job.state.reason for job in again.jobs()} == {"stopped"}
    assert files(tmp_path / writes.id) == ["job.json"]
    again.close()
    third = store_in(tmp_path)  # the state is the same each time
    assert [job.state for job in third.jobs()] == [job.state for job in again.jobs()]


def test_folders_that_are_not_jobs(tmp_path, caplog):
    broken, empty, foreign, lost = (tmp_path / name for name in ("a" * 32, "b" * 32, "mine", "c" * 32))
    for folder in (broken, empty, foreign, lost):
        folder.mkdir()
    (broken / "job.json").write_text('{"work": {"task"')
    (foreign / "letter.txt").write_text("dear")
    (tmp_path / ".upload-12").write_bytes(b"half a recording")
    store = store_in(tmp_path)
    job = new_job()
    store.add(job)
    succeed(store, job, result_of())
    store.close()
    again = store_in(tmp_path)
    assert again.jobs()[0].id == job.id and "set aside" in caplog.text
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", "mine", broken.name, job.id])
    assert (foreign / "letter.txt").read_text() == "dear"


# ---- Records that cannot be read


def raising(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def finished_in(folder: Path, seed: int = 1) -> Job:
    """A job that succeeded in a store that was closed."""
    store, job = store_in(folder), new_job(seed)
    store.add(job)
    succeed(store, job, result_of(seed))
    store.close()
    return job


@pytest.mark.parametrize("function", ["pathlib.Path.read_text", "ppaudioldm.serving.store._size"])
def test_a_disk_that_fails_for_a_moment_removes_nothing(tmp_path, monkeypatch, caplog, function):
    job = finished_in(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(function, raising(OSError(errno.EIO, "Input/output error")))
        store = store_in(tmp_path)
    assert store.jobs() == [] and f"{job.id} is set aside, it cannot be read: OSError" in caplog.text
    store.sweep()
    store.close()
    (found,) = store_in(tmp_path).jobs()
    assert (found.id, found.state) == (job.id, job.state)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[" * 100_000, b"\xff", b'{"version": 2}', b'{"version": 2, "created": 1']
)
def test_a_record_that_is_none_is_set_aside(tmp_path, caplog, content):
    job = finished_in(tmp_path)
    (tmp_path / job.id / "job.json").write_bytes(content)
    store = store_in(tmp_path)
    store.sweep()
    assert store.jobs() == [] and f"{job.id} is set aside" in caplog.text
    assert files(tmp_path / job.id) == ["job.json", "sound.wav"]


# ---- A disk that takes nothing


@pytest.mark.parametrize(
    "function", ["ppaudioldm.serving.store.atomic_path", "pathlib.Path.mkdir", "shutil.move", "os.replace"]
)
def test_a_job_that_the_disk_does_not_take_is_not_kept(tmp_path, monkeypatch, function):
    store = store_in(tmp_path / "jobs")
    recording = tmp_path / "dog.wav"
    recording.write_bytes(bytes(1000))
    with monkeypatch.context() as patch:
        patch.setattr(function, raising(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            store.add(new_job(task="vary"), recording)
    assert store.jobs() == [] and store.size == 0 and files(tmp_path / "jobs") == []
    assert recording.exists()
    store.add(new_job(task="vary"), recording)


def test_a_state_that_the_disk_does_not_take_is_written_later(tmp_path, monkeypatch, caplog):
    store, job = store_in(tmp_path), new_job()
    store.add(job)
    with monkeypatch.context() as patch:
        patch.setattr("ppaudioldm.serving.store.atomic_path", raising(OSError(errno.EROFS, "Read-only file system")))
        succeed(store, job, result_of())
        store.sweep()
        assert caplog.text.count("cannot be written now: [Errno 30] Read-only file system") == 1
        with monkeypatch.context() as refusing, pytest.raises(OSError, match="Read-only"):
            refusing.setattr("pathlib.Path.unlink", raising(OSError(errno.EROFS, "Read-only file system")))
            store.remove(job)
    assert store.jobs() == [job]
    store.sweep()
    store.close()
    (found,) = store_in(tmp_path).jobs()
    assert found.state == job.state and found.state.status == "succeeded"


# ---- Many jobs


def test_keeping_house_looks_at_no_job_that_stays(tmp_path, monkeypatch):
    """So it takes as long with many as with few."""
    store = store_in(tmp_path)
    for seed in range(20):
        job = new_job(seed)
        store.add(job)
        job.finish("failed", error="it is impossible", reason="invalid")
        store.write_final_state(job)
    looked_at = []
    state = Job.state
    monkeypatch.setattr(Job, "state", property(lambda job: looked_at.append(job.id) or state.fget(job)))
    monkeypatch.setattr(
        Job, "is_finished", property(lambda job: looked_at.append(job.id) or state.fget(job).is_finished)
    )
    store.sweep()
    new = new_job()
    store.add(new)
    assert store.size == 21 * 4096
    assert len(set(looked_at) - {new.id}) == 1  # the oldest
    assert [job.id for job in store.jobs(2)] == [new.id, job.id]


def test_only_jobs_are_found(tmp_path):
    (tmp_path / "secret").mkdir()
    store = store_in(tmp_path / "jobs")
    assert [store.find(name) for name in ("../secret", "..", "", ".lock", "/etc")] == [None] * 5


def test_two_servers_do_not_share_a_folder(tmp_path):
    store = store_in(tmp_path)
    with pytest.raises(ValueError, match="another server keeps its jobs in"):
        store_in(tmp_path)
    store.close()
    store_in(tmp_path)


def test_finished_jobs_stay_for_their_time(tmp_path):
    store = store_in(tmp_path, keep_s=1000)
    old, new, waits = new_job(1), new_job(2), new_job(3)
    for job in (old, new, waits):
        store.add(job)
    succeed(store, old, result_of())
    succeed(store, new, result_of())
    old._state = replace(old.state, finished=time.time() - 1001)
    waits.created -= 5000
    store.sweep()
    assert store.jobs() == [waits, new] and not (tmp_path / old.id).exists()


def test_the_oldest_make_room(tmp_path):
    store = store_in(tmp_path, budget=150_000)  # of 32 kB and two blocks each
    jobs = [new_job(seed) for seed in range(5)]
    for job in jobs:
        store.add(job)
        succeed(store, job, result_of())
        assert store.size <= 150_000
        on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert on_disk <= store.size
    assert store.jobs() == [jobs[4], jobs[3], jobs[2]]
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", *(job.id for job in jobs[2:])])


def test_jobs_beyond_the_budget(tmp_path):
    store = store_in(tmp_path, budget=100_000)
    recording = tmp_path / "recording"
    recording.write_bytes(bytes(200_000))
    with pytest.raises(StoreFull, match="204096 bytes do not fit: 0 of 100000 are taken"):
        store.add(new_job(), recording)
    assert recording.exists() and store.jobs() == []
    job = new_job()
    store.add(job)
    with pytest.raises(StoreFull):
        store.write_result(job, result_of(duration=5))
    assert files(tmp_path / job.id) == ["job.json"]


def test_a_recording_is_kept_until_the_job_is_finished(tmp_path):
    store = store_in(tmp_path / "jobs")
    recording = tmp_path / "dog.wav"
    soundfile.write(recording, sound_of(1), RATE)
    job = new_job(task="vary")
    store.add(job, recording)
    assert (
        job.request.audio == tmp_path / "jobs" / job.id / "input"
        and job.request.audio.exists()
        and not recording.exists()
    )
    assert json.loads((tmp_path / "jobs" / job.id / "job.json").read_text())["request"]["audio"] is True
    succeed(store, job, result_of())
    assert not job.request.audio.exists()


def test_cancelled_while_it_was_written(tmp_path):
    store = store_in(tmp_path)
    job = new_job()
    store.add(job)
    store.write_result(job, result_of())
    job.finish("cancelled")
    store.write_final_state(job)
    assert files(tmp_path / job.id) == ["job.json"] and store.size == 4096
    removed = new_job()
    store.add(removed)
    store.remove(removed)
    assert store.write_result(removed, result_of()) == () and not (tmp_path / removed.id).exists()


def test_a_recording_that_was_edited_keeps_its_depth(tmp_path):
    store = store_in(tmp_path)
    job = new_job()
    store.add(job)
    stereo = np.stack([sound_of(1), sound_of(2)], 1)
    whole = np.rint(stereo * 2**23) / 2**23
    succeed(store, job, Result(Sound(whole, 44100, 1, subtype="pcm24")))
    sound = store.sound(job)
    assert (sound.subtype, sound.sample_rate, sound.waveform.shape) == ("pcm24", 44100, (8000, 2))
    np.testing.assert_array_equal(sound.waveform, whole)


# ---- Jobs of earlier versions

OF_0_1_0 = Path(__file__).parent / "jobs_of_0_1_0"
GENERATED, INPAINTED, WAITING = (
    "5e0a3621a17627f801e2b4324a0281fe",
    "7ad6e8d155ba13b692cff4c2164e0aed",
    "9e66bc998280aa41f9f0e291cfbdcc63",
)


def test_a_job_folder_of_version_0_1_0_goes_on(tmp_path, caplog):
    """It was written by that version: two finished jobs, and one that waited when the server was killed."""
    shutil.copytree(OF_0_1_0, tmp_path / "jobs")
    store = store_in(tmp_path / "jobs", keep_s=1e12)
    assert not caplog.text
    jobs = {job.id: job for job in store.jobs()}
    generated = jobs[GENERATED]
    # These are the defaults of that version, which had the same for every checkpoint.
    defaults = {"sampler": "dpm++", "guidance_scale": 3.5, "num_waveforms_per_prompt": 1}
    options = Options(duration=0.3, num_inference_steps=1, guidance_interval=(0.0, 0.5), **defaults)
    assert generated.request == Request("tiny", "generate", "a bell", options, 7, {}, loudness=-23.0)
    assert generated.state.status == "succeeded" and store.sound(generated).waveform.shape == (4800,)
    inpainted = jobs[INPAINTED]
    assert inpainted.request.parameters == {"ranges": ((0.1, 0.2),), "frequencies": ((None, 4000.0),)}
    assert inpainted.request.options.duration is None and store.sound(inpainted).subtype == "pcm16"
    waiting = jobs[WAITING]
    assert waiting.request.options.duration == 0.5 and waiting.request.parameters == {}
    assert (waiting.state.status, waiting.state.reason) == ("failed", "stopped")
    assert files(tmp_path / "jobs" / WAITING) == ["job.json"]
    store.close()
    again = store_in(tmp_path / "jobs", keep_s=1e12)  # of which one is written in today's format
    assert [(job.request, job.state) for job in again.jobs()] == [(job.request, job.state) for job in store.jobs()]


def test_a_job_of_a_later_version_is_left_alone(tmp_path, caplog):
    store = store_in(tmp_path)
    job = new_job()
    store.add(job)
    store.close()
    record = tmp_path / job.id / "job.json"
    values = json.loads(record.read_text())
    assert values["version"] == 2
    record.write_text(json.dumps(values | {"version": 3}))
    assert store_in(tmp_path).jobs() == [] and record.exists()
    assert "its format has version 3, known are versions up to 2" in caplog.text
