"""Jobs, their queue, batches, limits and ends, without HTTP."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import Options
from ppaudioldm.serving.elevenlabs import guidance_scale
from ppaudioldm.serving.job import Job
from ppaudioldm.serving.models import Model, ModelNotFound, Models
from ppaudioldm.serving.queue import JobQueue, QueueClosed, QueueFull, batch_size
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import Service, StoreBroken
from ppaudioldm.serving.settings import Limits, Settings
from ppaudioldm.serving.store import Store
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.imitation import PATIENCE, ImitationPipeline
from tests.serving.examples import DURATION, new_request, service_of, sound_of
from tests.support import CONSISTENCYTTA


def done(job: Job) -> str:
    assert job.wait(PATIENCE)
    return job.state.status


# ---- One job


def test_a_job_succeeds_and_is_kept(tmp_path):
    with service_of(tmp_path) as service:
        job = service.submit(new_request(seed=5))
        states = list(job.states())
        assert [states[-1].status, states[-1].error] == ["succeeded", None]
        assert states[-1].started >= job.created and states[-1].finished >= states[-1].started
        (info,) = states[-1].sounds
        assert (info.seed, info.samples, info.sample_rate, info.channels) == (5, 8000, 16000, 1)
        sound = service.sound(job)
        np.testing.assert_array_equal(sound.waveform, sound_of(5))
        assert service.find(job.id) is job and service.history() == [job]
        with pytest.raises(LookupError, match="sound 1 does not exist, the job has 1"):
            service.sound(job, 1)
        service.remove(job)
        assert service.find(job.id) is None and service.store.size == 0
        with pytest.raises(LookupError):
            service.sound(job)


def test_a_job_that_is_not_kept_leaves_nothing_on_disk(tmp_path):
    with service_of(tmp_path) as service:
        job = service.submit(new_request(seed=5), kept=False)
        assert done(job) == "succeeded"
        np.testing.assert_array_equal(service.sound(job).waveform, sound_of(5))
        assert service.find(job.id) is None and service.store.size == 0


def test_watchers_are_notified_of_every_step(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        job = service.submit(new_request())
        seen = []
        end = job.watch(lambda: seen.append(job.state.progress))
        pipeline.release()
        assert done(job) == "succeeded"
        assert [at.done for at in seen if at] == [1, 2, 3]
        end()


def test_candidates(tmp_path):
    with service_of(tmp_path) as service:
        for kept in (True, False):
            job = service.submit(new_request(seed=5, num_waveforms_per_prompt=3, keep_candidates=True), kept=kept)
            assert done(job) == "succeeded"
            assert [info.seed for info in job.state.sounds] == [5, 5, 6, 7]
            np.testing.assert_array_equal(service.sound(job, 3).waveform, sound_of(7))


def test_a_candidate_that_is_not_finite_does_not_lose_the_others(tmp_path):
    with service_of(tmp_path) as service:
        for kept in (True, False):
            request = new_request("a gap", seed=5, num_waveforms_per_prompt=3, keep_candidates=True)
            job = service.submit(request, kept=kept)
            assert done(job) == "succeeded"
            assert [info.seed for info in job.state.sounds] == [5, 5, 7]
            np.testing.assert_array_equal(service.sound(job, 2).waveform, sound_of(7))


# ---- Batches


def test_jobs_with_equal_settings_run_as_a_batch_and_sound_as_alone(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, batch_size=4) as service:
        first = service.submit(new_request("first", 0))
        pipeline.step_began()  # so that the others wait together
        jobs = [service.submit(new_request(f"sound {i}", i)) for i in range(1, 6)]
        other = service.submit(new_request("longer", 9, num_inference_steps=7))
        last = service.submit(new_request("sound 6", 6))
        pipeline.release()
        assert {done(job) for job in (first, *jobs, other, last)} == {"succeeded"}
        assert pipeline.batches == [
            ["first"],
            ["sound 1", "sound 2", "sound 3", "sound 4"],
            ["sound 5", "sound 6"],
            ["longer"],
        ]
        for i, job in enumerate([first, *jobs, last]):
            np.testing.assert_array_equal(service.sound(job).waveform, sound_of(i))


@pytest.mark.parametrize(("waiting", "most", "size"), [(1, 4, 1), (3, 4, 2), (9, 4, 4), (5, 5, 4), (3, 0, 1)])
def test_batch_sizes_are_powers_of_two(waiting, most, size):
    assert batch_size(waiting, most) == size


def test_candidates_count_in_a_batch(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, batch_size=4) as service:
        service.submit(new_request("first"))
        pipeline.step_began()
        jobs = [service.submit(new_request(f"{i}", num_waveforms_per_prompt=2)) for i in range(3)]
        pipeline.release()
        assert {done(job) for job in jobs} == {"succeeded"}
        assert pipeline.batches == [["first"], ["0", "1"], ["2"]]


def test_a_failing_job_does_not_fail_the_rest_of_its_batch(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        service.submit(new_request("first"))
        pipeline.step_began()
        good, bad, other = (service.submit(new_request(prompt)) for prompt in ("good", "impossible", "other"))
        pipeline.release()
        assert [done(job) for job in (good, bad, other)] == ["succeeded", "failed", "succeeded"]
        assert (bad.state.error, bad.state.reason) == ("it is impossible", "invalid")


def test_an_error_of_the_server_is_not_shown_to_clients(tmp_path, caplog):
    with service_of(tmp_path) as service:
        job = service.submit(new_request("broken"))
        assert done(job) == "failed" and job.state.reason == "broken"
        assert job.state.error == "the server has an error, see its log"
        assert "out of memory at 0x7f" in caplog.text
        assert done(service.submit(new_request("good"))) == "succeeded"


@pytest.mark.parametrize("kept", [True, False])
def test_a_waveform_that_is_not_finite_is_an_error_of_the_server(tmp_path, kept):
    with service_of(tmp_path) as service:
        job = service.submit(new_request("nan"), kept=kept)
        assert done(job) == "failed" and job.state.reason == "broken"
        assert done(service.submit(new_request("good"), kept=kept)) == "succeeded"


def test_a_disk_that_fails(tmp_path, monkeypatch, caplog):
    with service_of(tmp_path) as service:
        monkeypatch.setattr("ppaudioldm.serving.store.write_audio", failing)
        job = service.submit(new_request())
        assert done(job) == "failed" and job.state.error == "the server has no room for the result"
        monkeypatch.undo()
        assert done(service.submit(new_request())) == "succeeded"


def failing(*_: object) -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize("how", ["cancel", "remove"])
def test_a_job_that_ends_while_its_sound_is_written(tmp_path, monkeypatch, how):
    with service_of(tmp_path) as service:

        def write(path, *arguments):
            getattr(service, how)(service.running[0])
            return write_audio(path, *arguments)

        monkeypatch.setattr("ppaudioldm.serving.store.write_audio", write)
        job = service.submit(new_request())
        assert done(job) == "cancelled"
        monkeypatch.undo()
        assert done(service.submit(new_request(), kept=False)) == "succeeded"  # the worker is done with the first
        left = [path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
        assert left == (["job.json"] if how == "cancel" else [])


# ---- Jobs that end before they have run


def test_cancelled_while_it_runs(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        job = service.submit(new_request())
        pipeline.step_began()
        assert service.cancel(job) and not service.cancel(job)
        assert job.state.status == "cancelled"
        pipeline.release(1)  # the step under way is the last
        following = service.submit(new_request("next"))
        pipeline.step_began()
        pipeline.release()
        assert done(following) == "succeeded"
        assert pipeline.batches == [["a dog barks"], ["next"]]
        with pytest.raises(LookupError):
            service.sound(job)


def test_a_cancelled_job_does_not_stop_the_rest_of_its_batch(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        service.submit(new_request("first"))
        pipeline.step_began()
        kept, gone = service.submit(new_request("kept", 3)), service.submit(new_request("gone", 4))
        pipeline.release(3)
        pipeline.step_began()
        pipeline.step_began()
        pipeline.step_began()  # of the batch of two
        service.cancel(gone)
        pipeline.release()
        assert done(kept) == "succeeded" and gone.state.status == "cancelled"
        np.testing.assert_array_equal(service.sound(kept).waveform, sound_of(3))


def test_a_full_queue_has_room_after_a_job_is_cancelled(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, queue_size=2) as service:
        service.submit(new_request("runs"))
        pipeline.step_began()
        waits, leaves = service.submit(new_request("waits")), service.submit(new_request("leaves"), kept=False)
        assert [service.queue.position(job) for job in (waits, leaves)] == [0, 1]
        for kept in (True, False):
            with pytest.raises(QueueFull):
                service.submit(new_request("too many"), kept=kept)
        assert len(service.history()) == 2 and service.seconds_until_room() >= 1
        service.cancel(leaves)
        assert service.queue.position(leaves) is None
        comes = service.submit(new_request("comes"))
        pipeline.release()
        assert [done(waits), done(comes)] == ["succeeded", "succeeded"]


def test_concurrent_jobs_cannot_share_the_last_place(tmp_path):
    queue = JobQueue(1, 1)
    jobs = [Job(new_request(), kept=False, timeout_s=100) for _ in range(8)]
    full = []

    def put(job: Job) -> None:
        try:
            queue.put(job)
        except QueueFull:
            full.append(job)

    threads = [threading.Thread(target=put, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(full) == 7 and len(queue) == 1


def test_the_time_limit(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, limits=Limits(timeout_s=1e-6)) as service:
        job = service.submit(new_request())
        assert done(job) == "failed" and job.state.reason == "too_late"
        assert job.state.error == "it was not finished within 1e-06 seconds"
        assert pipeline.batches == []


def test_the_time_limit_of_a_waiting_job_ends_while_another_runs(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        service.submit(new_request("runs"))
        pipeline.step_began()
        waits = service.submit(new_request("waits"))
        waits._deadline = 0.0
        pipeline.release(1)
        assert done(waits) == "failed" and waits.state.reason == "too_late"
        pipeline.release()


# ---- The end of the server


def test_stopping_finishes_running_jobs_and_ends_waiting_ones(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, grace_s=PATIENCE) as service:
        runs = service.submit(new_request("runs"))
        pipeline.step_began()
        waits = service.submit(new_request("waits", num_inference_steps=7))
        assert service.is_ready
        service.close()
        assert not service.is_ready
        assert (done(waits), waits.state.reason) == ("failed", "stopped")
        with pytest.raises(QueueClosed):
            service.submit(new_request("late"))
        pipeline.release()
        service.stop()
        assert runs.state.status == "succeeded"


def test_stopping_ends_a_job_that_takes_longer_than_the_grace(tmp_path):
    pipeline = ImitationPipeline()
    pipeline.hold()
    with service_of(tmp_path, pipeline, grace_s=0.0) as service:
        runs = service.submit(new_request("runs"))
        pipeline.step_began()
        service.close()
        service.stop_running()
        pipeline.release(1)
        service.stop()
        assert (runs.state.status, runs.state.reason) == ("failed", "stopped")


class Preparing(ImitationPipeline):
    """Each generation begins with the preparation of a network, which ends when `prepared` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.prepared = threading.Event(), threading.Event()

    def generate(self, *arguments: Any, **settings: Any) -> Clip:
        self.begun.set()
        assert self.prepared.wait(PATIENCE)
        return super().generate(*arguments, **settings)


def test_a_warm_up_ends_when_the_server_stops(tmp_path):
    """At its next step, without waiting for the grace."""
    pipeline = ImitationPipeline()
    pipeline.hold()
    service = Service(Models([Model("fake", pipeline)]), Settings(tmp_path, grace_s=PATIENCE))
    service.start()
    pipeline.step_began()
    service.close()
    pipeline.release(1)
    begin = time.monotonic()
    service.stop()
    assert time.monotonic() - begin < PATIENCE / 4
    assert not service.is_abandoned and not service.is_ready and service.failure == ""
    assert not pipeline.entered.acquire(blocking=False)  # no step after that


@pytest.mark.parametrize("second_signal", [False, True])
def test_a_warm_up_that_prepares_a_network_is_left_after_the_grace(tmp_path, second_signal, monkeypatch):
    monkeypatch.setattr("ppaudioldm.serving.service.STEP_S", 0.2)
    pipeline = Preparing()
    service = Service(Models([Model("fake", pipeline)]), Settings(tmp_path, grace_s=PATIENCE if second_signal else 0.2))
    service.start()
    assert pipeline.begun.wait(PATIENCE)
    service.close()
    if second_signal:
        service.end_grace()
    begin = time.monotonic()
    service.stop()
    assert time.monotonic() - begin < PATIENCE / 4 and service.is_abandoned
    Store(tmp_path, 1.0, 1000).close()  # the folder is free for the next server
    pipeline.prepared.set()
    service._worker.join(PATIENCE)
    assert not service.is_ready


def test_a_job_that_prepares_a_network_fails_after_the_grace(tmp_path, monkeypatch):
    monkeypatch.setattr("ppaudioldm.serving.service.STEP_S", 0.2)
    pipeline = Preparing()
    with service_of(tmp_path, pipeline, grace_s=0.0) as service:
        job = service.submit(new_request())
        assert pipeline.begun.wait(PATIENCE)
        service.stop()
        assert (job.state.status, job.state.reason) == ("failed", "stopped") and service.is_abandoned
        pipeline.prepared.set()
        service._worker.join(PATIENCE)
        assert job.state.reason == "stopped"


def test_models_that_cannot_run(tmp_path):
    class Broken(ImitationPipeline):
        def generate(self, *_, **__):
            raise MemoryError("all of it")

    service = Service(Models([Model("broken", Broken())]), Settings(tmp_path))
    died = threading.Event()
    service.hooks.failure.add(died.set)
    service.start()
    assert died.wait(PATIENCE)
    assert service.failure == "the models cannot run: MemoryError: all of it" and not service.is_ready
    with pytest.raises(QueueClosed):
        service.submit(new_request())
    service.stop()


# ---- The worker goes on, or the server refuses


@pytest.mark.parametrize("broken", ["store.sweep", "queue.expired", "store.write_final_state"])
def test_the_worker_survives_its_housekeeping(tmp_path, monkeypatch, caplog, broken):
    with service_of(tmp_path) as service:
        owner, name = broken.split(".")
        with monkeypatch.context() as patch:
            patch.setattr(getattr(service, owner), name, raising(RuntimeError("a fault")))
            assert done(service.submit(new_request())) == "succeeded"
            assert done(service.submit(new_request())) == "succeeded"
        assert done(service.submit(new_request())) == "succeeded" and service.is_ready
        assert "a fault" in caplog.text


@pytest.mark.parametrize("hook", ["batch", "job_end", "ready"])
def test_the_worker_survives_a_listener_that_fails(tmp_path, caplog, hook):
    service = Service(Models([Model("fake", ImitationPipeline())]), Settings(tmp_path))
    called = []
    getattr(service.hooks, hook).add(raising(RuntimeError("a listener")))
    getattr(service.hooks, hook).add(lambda *_: called.append(hook))  # the first does not silence it
    service.start(warm_up=False)
    jobs = [service.submit(new_request()) for _ in range(2)]
    jobs[0].watch(raising(RuntimeError("a watcher")))
    assert [done(job) for job in jobs] == ["succeeded", "succeeded"]
    service.stop()
    assert called and "a listener failed" in caplog.text and not service.failure


def test_a_worker_that_ends_leaves_no_job_waiting(tmp_path):
    """Only what no worker survives ends it, such as a library that exits."""
    pipeline = ImitationPipeline(errors={"exits": SystemExit(3)})
    pipeline.hold()
    with service_of(tmp_path, pipeline) as service:
        failed = threading.Event()
        service.hooks.failure.add(failed.set)
        first = service.submit(new_request("first"))
        pipeline.step_began()
        exits, waits = service.submit(new_request("exits")), service.submit(new_request("waits", num_inference_steps=7))
        pipeline.release()
        assert [done(job) for job in (first, exits, waits)] == ["succeeded", "failed", "failed"]
        assert (exits.state.reason, waits.state.reason) == ("broken", "stopped")
        assert failed.wait(PATIENCE) and not service.is_ready
        assert service.failure == "the worker of the server ended: SystemExit: 3"
        with pytest.raises(QueueClosed):
            service.submit(new_request())
    assert {job.state.status for job in service.history()} == {"succeeded", "failed"}


def test_every_listener_is_called(tmp_path):
    service = Service(Models([Model("fake", ImitationPipeline())]), Settings(tmp_path))
    called = []
    for name in ("ready", "close", "batch", "job_end"):
        for number in range(2):
            getattr(service.hooks, name).add(lambda *_, number=number, name=name: called.append((name, number)))
    service.hooks.ready.add(lambda: called.append("ended"))()
    service.start(warm_up=False)
    assert done(service.submit(new_request(), kept=False)) == "succeeded"
    service.stop()
    assert [hook for hook in called if hook[0] != "job_end"] == [
        ("ready", 0),
        ("ready", 1),
        ("batch", 0),
        ("batch", 1),
        ("close", 0),
        ("close", 1),
    ]
    assert ("job_end", 0) in called and ("job_end", 1) in called
    with pytest.raises(AttributeError):
        service.hooks.ready = lambda: None  # type: ignore[misc]


def test_a_job_whose_record_cannot_be_written_is_not_accepted(tmp_path, monkeypatch):
    pipeline = ImitationPipeline()
    with service_of(tmp_path / "jobs", pipeline) as service:
        audio = recorded(tmp_path, 0.5)
        with monkeypatch.context() as patch:
            patch.setattr("ppaudioldm.serving.store.atomic_path", raising(OSError(28, "No space left on device")))
            for path in (None, audio):
                with pytest.raises(StoreBroken, match="the job cannot be kept: No space left on device"):
                    service.submit(new_request(task="vary" if path else "generate"), audio=path)
            assert done(service.submit(new_request(), kept=False)) == "succeeded"
        assert service.history() == [] and len(service.queue) == 0 and audio.exists()
        assert pipeline.batches == [["a dog barks"]]
        assert done(service.submit(new_request())) == "succeeded"


def raising(error: BaseException) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


# ---- Requests that are refused


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "rm -rf"}, "unknown task 'rm -rf', choose from generate, speak, "),
        ({"prompt": " "}, "prompt is ' ', allowed: a text"),
        ({"prompt": None}, "prompt is missing, which generate needs"),
        ({"prompt": "x" * 51}, "prompt has 51 characters, allowed on this server: up to 50"),
        ({"task": "vary"}, "audio is missing, which vary needs"),
        ({"task": "loop", "prompt": None}, "no prompt and no audio"),
        ({"task": "extend", "options": Options(duration=20)}, "audio is missing"),
        ({"options": Options(duration=30)}, "duration is 30, allowed on this server: up to 20"),
        ({"task": "loop", "options": Options(duration=21.0)}, "duration is 21, allowed on this server: up to 20"),
        ({"options": Options(num_inference_steps=11)}, "num_inference_steps is 11, allowed on this server: up to 10"),
        (
            {"options": Options(num_inference_steps=2, num_waveforms_per_prompt=3)},
            "num_waveforms_per_prompt is 3, .* up to 2",
        ),
        ({"seed": -1}, "seed is -1"),
        ({"loudness": 0.0}, "loudness is 0"),
        ({"task": "speak", "parameters": {"text": "a", "speed": 9.0}}, "speed is 9.0, allowed: 0.25 to 4"),
        ({"task": "restyle", "audio": Path("a.wav"), "parameters": {"strength": 0.0}}, "strength is 0.0, allowed"),
        ({"parameters": {"strength": 0.5}}, "strength is not a parameter of generate"),
        ({"task": "speak", "parameters": {"text": "x" * 51}}, "text has 51 characters, allowed on this server"),
    ],
)
def test_requests_that_are_refused(tmp_path, wrong, message):
    limits = Limits(duration_s=20, steps=10, candidates=2, text_characters=50)
    with service_of(tmp_path, limits=limits) as service:
        options = Options(duration=DURATION, num_inference_steps=2)
        with pytest.raises(ValueError, match=message):
            service.submit(replace(Request(prompt="a dog", options=options), **wrong))
        assert service.history() == [] and len(service.queue) == 0


@pytest.mark.parametrize(
    ("config", "most", "options", "resolved"),
    [
        (UNTRAINED, 200, {}, (10, "dpm++")),
        (UNTRAINED, 5, {}, (5, "dpm++")),  # as a default duration keeps to its limit
        (UNTRAINED, 200, {"num_inference_steps": 7, "sampler": "ddim"}, (7, "ddim")),
        (CONSISTENCYTTA, 200, {}, (1, "consistency")),
        (CONSISTENCYTTA, 200, {"num_inference_steps": 3}, (3, "consistency")),
    ],
)
def test_steps_and_sampler_are_by_default_the_checkpoints(tmp_path, config, most, options, resolved):
    with service_of(tmp_path, ImitationPipeline(config=config), limits=Limits(steps=most)) as service:
        job = service.submit(Request(prompt="a dog", options=Options(duration=DURATION, **options)))
        assert (job.request.options.num_inference_steps, job.request.options.sampler) == resolved
        assert job.request.options.guidance_scale is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "ddim"}, "sampler is 'ddim', allowed for this checkpoint: consistency"),
        ({"negative_prompt": "hum"}, "negative_prompt is 'hum', but this checkpoint has no unconditional half"),
        ({"reuse": 2}, "reuse is 2, allowed for this checkpoint: 1"),
        ({"num_waveforms_per_prompt": 2}, "num_waveforms_per_prompt is 2, allowed: 1, unscored, as there is no CLAP"),
        ({"guidance_interval": (0.0, 0.5)}, "guidance_interval is"),
    ],
)
def test_what_a_consistency_model_cannot_do_is_refused_before_it_is_queued(tmp_path, options, message):
    with service_of(tmp_path, ImitationPipeline(config=CONSISTENCYTTA)) as service:
        with pytest.raises(ValueError, match=message):
            service.submit(Request(prompt="a dog", options=Options(duration=DURATION, **options)))
        assert service.history() == []


@pytest.mark.parametrize(
    ("influence", "default", "scale"),
    [(None, 2.5, 2.5), (0.3, 4.0, 4.0), (0.0, 4.0, 1.0), (0.6, 3.5, 6.0), (1.0, 2.5, 6.0), (0.15, 3.5, 2.25)],
)
def test_the_default_prompt_influence_is_the_checkpoints_guidance_scale(influence, default, scale):
    assert guidance_scale(influence, default) == pytest.approx(scale)


# ---- The limit of the duration, for every task


def recorded(folder: Path, seconds: float) -> Path:
    return write_audio(folder / "upload.wav", sound_of(1, seconds), 16000)


@pytest.mark.parametrize(
    ("task", "parameters", "seconds", "duration"),
    [
        ("generate", {}, None, 1.0),  # the checkpoint's default is longer
        ("loop", {}, None, 1.0),
        ("loop", {}, 0.5, None),  # as the recording
        ("vary", {}, 0.5, None),
        ("vary", {}, 1.5, 1.0),
        ("extend", {}, 0.5, 1.0),
        ("restyle", {}, 0.5, None),
    ],
)
def test_a_default_duration_keeps_to_the_limit(tmp_path, monkeypatch, task, parameters, seconds, duration):
    monkeypatch.setattr("ppaudioldm.serving.service.run_requests", lambda *_: pytest.fail("it waits"))
    service = Service(Models([Model("fake", ImitationPipeline())]), Settings(tmp_path, limits=Limits(duration_s=1)))
    audio = None if seconds is None else recorded(tmp_path, seconds)
    job = service.submit(Request(task=task, prompt="a dog", parameters=parameters), audio=audio)
    assert job.request.options.duration == duration
    service.store.close()


@pytest.mark.parametrize(
    ("task", "parameters", "duration", "message"),
    [
        ("restyle", {}, None, "duration is 1.5, allowed on this server: up to 1"),
        ("upscale", {}, None, "duration is 1.5, allowed on this server: up to 1"),
        ("inpaint", {"ranges": ((0, 1),)}, None, "duration is 1.5, allowed on this server: up to 1"),
        ("extend", {}, 1.2, "duration is 1.2, allowed on this server: up to 1"),
        ("extend", {}, None, "duration is 1, allowed: more than the recording's 1.5 seconds"),
        ("inpaint", {"ranges": ((9, 10),)}, None, "range is 9:10, allowed: "),
    ],
)
def test_a_result_beyond_the_limit_is_refused(tmp_path, task, parameters, duration, message):
    service = Service(Models([Model("fake", ImitationPipeline())]), Settings(tmp_path, limits=Limits(duration_s=1)))
    request = Request(task=task, prompt="a dog", parameters=parameters, options=Options(duration=duration))
    audio = recorded(tmp_path, 1.5)
    with pytest.raises(ValueError, match=message) as raised:
        service.submit(request, audio=audio)
    assert str(tmp_path) not in str(raised.value)
    assert service.history() == [] and audio.exists()
    service.store.close()


def test_the_model_of_a_task():
    deaf = ImitationPipeline("deaf")
    deaf.config = replace(UNTRAINED, audiomae=None)
    models = Models([Model("deaf", deaf), Model("hears", ImitationPipeline("hears"))])
    assert models.of("generate").name == "deaf" and models.of("vary").name == "hears"
    assert models.of("generate", "hears").name == "hears"
    with pytest.raises(ModelNotFound, match="unknown model '/etc/passwd', choose from deaf, hears"):
        models.of("generate", "/etc/passwd")
    with pytest.raises(ModelNotFound, match="deaf and hears does not speak: .*--speech-checkpoint"):
        models.of("speak")
    with pytest.raises(ModelNotFound, match="deaf does not vary"):
        models.of("vary", "deaf")
    with pytest.raises(ValueError, match="two checkpoints are called 'deaf'"):
        Models([Model("deaf", deaf), Model("deaf", deaf)])


@pytest.mark.parametrize(
    ("owner", "setting"),
    [
        (partial(Settings, Path("jobs")), {"queue_size": 0}),
        (partial(Settings, Path("jobs")), {"batch_size": -1}),
        (Limits, {"steps": 0}),
    ],
)
def test_impossible_settings(owner, setting):
    with pytest.raises(ValueError, match="allowed: more than 0, a whole number"):
        owner(**setting)


@pytest.mark.parametrize(
    ("known_sounds", "prompt"),
    [(None, "a sound"), (KnownSounds((Sound("bell", "A bell", "a big bell"),), frozenset({"bell"})), "a big bell")],
)
def test_a_model_is_warmed_up_with_a_sound_that_it_knows(known_sounds, prompt):
    asked = []
    pipeline = SimpleNamespace(
        checkpoint=SimpleNamespace(name="few", known_sounds=known_sounds),
        config=UNTRAINED,
        default_duration=10.0,
        generate=lambda asked_for, **_: asked.append(asked_for),
    )
    Models([Model("few", pipeline)]).warm_up(1.0)
    assert asked == [prompt]
