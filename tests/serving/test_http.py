"""The HTTP routes, with an imitation of a pipeline."""

from __future__ import annotations

import io
import json
import socket
import time

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.containers import mp3_frame_bytes
from ppaudioldm.serving.settings import Limits
from tests.imitation import RATE, ImitationPipeline
from tests.serving.examples import answering, finished, new_request, sound_of, until

SOUND = {"text": "a dog barks", "duration_seconds": 0.5}
GENERATION = {"prompt": "a dog barks", "duration": 0.5, "num_inference_steps": 3}


def held() -> ImitationPipeline:
    pipeline = ImitationPipeline()
    pipeline.hold()
    return pipeline


def samples(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


def recording(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound_of(3, seconds), RATE, format="FLAC")
    return buffer.getvalue()


# ---- Generations


def test_a_generation_from_its_request_to_its_sound(tmp_path):
    with answering(tmp_path) as server:
        client = server.client
        answer = client.post("/v1/generations", json={**GENERATION, "seed": 5, "keep_candidates": True})
        assert answer.status_code == 202
        generation = answer.json()
        assert answer.headers["location"] == f"/v1/generations/{generation['id']}"
        assert generation["request"]["prompt"] == "a dog barks" and generation["request"]["seed"] == 5
        done = finished(client, generation)
        assert done["status"] == "succeeded" and done["finished"] >= done["started"] >= done["created"]
        assert [sound["seed"] for sound in done["sounds"]] == [5, 5]
        for sound in done["sounds"]:
            content = client.get(sound["url"])
            assert content.headers["content-type"] == "audio/wav" and content.headers["x-seed"] == "5"
            np.testing.assert_allclose(samples(content.content), sound_of(5), atol=1e-4)
        assert client.get(done["sounds"][0]["url"], params={"format": "mp3"}).headers["content-type"] == "audio/mpeg"
        assert client.get(f"{done['sounds'][0]['url']}?candidate=2").status_code == 404
        assert client.get(f"{done['sounds'][0]['url']}?format=aac").status_code == 422
        assert client.delete(f"/v1/generations/{done['id']}").json()["status"] == "succeeded"
        assert client.get(f"/v1/generations/{done['id']}").status_code == 404


def test_events_of_every_step(tmp_path):
    with answering(tmp_path, held()) as server:
        generation = server.client.post("/v1/generations", json=GENERATION).json()
        url = f"/v1/generations/{generation['id']}"
        assert server.client.get(f"{url}/audio").status_code == 409
        seen = []
        with server.client.stream("GET", f"{url}/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            for line in events.iter_lines():
                if not line.startswith("data: "):
                    continue
                seen.append(json.loads(line.removeprefix("data: ")))
                server.pipeline.release(1)
        assert seen[-1]["status"] == "succeeded" and seen[-1]["sounds"]
        steps = [at["progress"]["done"] for at in seen if at["progress"]]
        assert steps == sorted(steps) and {1, 2, 3} <= set(steps)


def test_delete_cancels_within_a_step(tmp_path):
    with answering(tmp_path, held()) as server:
        generation = server.client.post("/v1/generations", json=GENERATION).json()
        server.pipeline.step_began()
        url = f"/v1/generations/{generation['id']}"
        assert server.client.delete(url).json()["status"] == "cancelled"
        server.pipeline.release(1)
        following = server.client.post("/v1/generations", json=GENERATION).json()
        server.pipeline.step_began()  # of the next one: no second step of the first
        server.pipeline.release()
        assert finished(server.client, following)["status"] == "succeeded"
        assert server.client.get(url).json()["status"] == "cancelled"
        assert server.client.get(f"{url}/audio").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prompt": None}, "prompt is missing, which generate needs"),
        ({"duration": 0}, "duration: Input should be greater than or equal to 0.3"),
        ({"duration": 99}, "duration is 99, allowed on this server: up to 60"),
        ({"sampler": "euler"}, "sampler: Input should be 'ddim', 'plms', 'ddpm', 'dpm++', 'lcm' or 'consistency'"),
        ({"num_inference_steps": 201}, "num_inference_steps is 201, allowed on this server: up to 200"),
        ({"num_waveforms_per_prompt": 9}, "num_waveforms_per_prompt is 9, allowed on this server: up to 8"),
        ({"audio": "/etc/passwd"}, "audio: Extra inputs are not permitted"),
        ({"checkpoint": "/etc"}, "checkpoint: Extra inputs are not permitted"),
        ({"task": "vary"}, "audio is missing, which vary needs"),
        ({"guidance_interval": "0.8:0.2"}, "guidance_interval is (0.8, 0.2), allowed"),
        ({"seed": 2**63}, "seed: Input should be less than or equal to"),
        (
            {"prompt_schedule": [[0.2, "x"]]},
            "prompt_schedule has 'x' at 0.2 seconds, but the prompt holds from",
        ),
        ({"prompt_schedule": [[99, "x"]]}, "prompt_schedule has 'x' at 99 seconds, allowed: up to "),
        ({"prompt_schedule": ["x"]}, "prompt_schedule: 'x' is not a prompt with its time, allowed: SECONDS:PROMPT"),
        ({"prompt_schedule": [[1, 2]]}, "prompt_schedule.0.1: Input should be a valid string"),
        (
            {"duration": 2, "prompt_schedule": [[1, "x" * 5001]]},
            "prompt_schedule has 5001 characters, allowed on this server: up to",
        ),
        ({"task": "loop", "prompt_schedule": [[0.4, "x"]], "duration": 2}, "only the task generate takes prompts over"),
    ],
)
def test_errors_are_one_line(tmp_path, wrong, message):
    with answering(tmp_path) as server:
        answer = server.client.post("/v1/generations", json={**GENERATION, **wrong})
        assert (answer.status_code, list(answer.json())) == (422, ["detail", "message"])
        assert message in answer.json()["detail"] and "\n" not in answer.json()["detail"]
        assert server.service.history() == []


def test_unknown_models_and_generations(tmp_path):
    with answering(tmp_path) as server:
        answer = server.client.post("/v1/generations", json={**GENERATION, "model": "../../etc/passwd"})
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "unknown model '../../etc/passwd', choose from fake",
        )
        for name in ("x", "..%2f..%2fetc%2fpasswd", ".lock", "%00"):
            assert server.client.get(f"/v1/generations/{name}").status_code == 404
            assert server.client.get(f"/v1/generations/{name}/audio").status_code == 404
            assert server.client.delete(f"/v1/generations/{name}").status_code == 404


@pytest.mark.parametrize(
    ("function", "detail"),
    [
        ("ppaudioldm.serving.store.atomic_path", "the job cannot be kept: No space left on device"),
        ("ppaudioldm.serving.generations.shutil.copyfileobj", "the recording cannot be kept: No space left on device"),
        ("starlette.requests.Request.form", "the recording cannot be received: No space left on device"),
    ],
)
def test_a_full_disk_takes_no_job(tmp_path, monkeypatch, function, detail):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with answering(tmp_path) as server:
        with monkeypatch.context() as patch:
            patch.setattr(function, full)
            answer = server.client.post(
                "/v1/generations", data={"task": "vary"}, files={"audio": ("a.wav", recording())}
            )
            assert (answer.status_code, answer.json()["detail"]) == (503, detail)
            assert server.client.get("/readyz").status_code == 200
        assert server.service.history() == [] and [path.name for path in tmp_path.iterdir()] == [".lock"]
        id = server.client.post("/v1/generations", json=GENERATION).json()["id"]
        with monkeypatch.context() as patch:
            assert server.service.find(id).wait(100)
            patch.setattr("pathlib.Path.unlink", full)
            assert server.client.delete(f"/v1/generations/{id}").status_code == 503
        assert server.client.delete(f"/v1/generations/{id}").status_code == 200


# ---- Forms


def test_a_form_has_the_fields_of_json(tmp_path):
    with answering(tmp_path, held()) as server:
        server.client.post("/v1/generations", json=GENERATION)
        server.pipeline.step_began()  # so that the other waits
        form = {
            "task": "inpaint",
            "prompt": "a dog",
            "ranges": ["0.2:0.4", "0.6:"],
            "frequencies": "[[500, 2000]]",
            "guidance_interval": "0.1:0.9",
            "num_inference_steps": "3",
            "with_scores": "true",
        }
        answer = server.client.post("/v1/generations", data=form, files={"audio": ("../../x.wav", recording())})
        assert answer.status_code == 202, answer.text
        request = answer.json()["request"]
        assert request["ranges"] == [[0.2, 0.4], [0.6, None]] and request["frequencies"] == [[500, 2000]]
        assert request["options"]["guidance_interval"] == [0.1, 0.9] and request["with_scores"] is True
        job = server.service.history()[0]
        assert job.request.audio == tmp_path / job.id / "input"
        assert samples(job.request.audio.read_bytes()).shape == (RATE,)


@pytest.mark.parametrize("prompt", ["rain", None])
def test_prompts_over_time_in_json_and_forms(tmp_path, prompt):
    cues = [[0.5, "birds"], [1.0, "a dog | far"]]
    every = cues if prompt else [[0, "rain"], *cues]
    texts = [f"{seconds}:{text}" for seconds, text in every]
    fields = {"duration": "2"} | ({"prompt": prompt} if prompt else {})
    with answering(tmp_path) as server:
        answers = [server.client.post("/v1/generations", json={**fields, "duration": 2, "prompt_schedule": every})]
        for value in (texts, "|".join(texts), json.dumps(every)):
            parts = [(name, (None, text)) for name, text in fields.items()]
            parts += [("prompt_schedule", (None, text)) for text in ([value] if isinstance(value, str) else value)]
            answers.append(server.client.post("/v1/generations", files=parts))
        for answer in answers:
            assert answer.status_code == 202, answer.text
            request = answer.json()["request"]
            assert (request["prompt"], request["options"]["prompt_schedule"]) == ("rain", cues)


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        ({"audio": ("a.wav", b"RIFF but not really")}, 422, "audio: the recording is not a sound file"),
        ({"audio": ("a.wav", b"")}, 422, "audio: the recording is not a sound file"),
        ({"audio": ("a.wav", recording(3))}, 422, "audio: the recording lasts 3.0 seconds, allowed on this server"),
        ({"other": ("a.wav", recording())}, 422, "other: a file is only allowed as audio"),
        ([("audio", ("a.wav", recording())), ("audio", ("b.wav", recording()))], 400, "Too many files"),
    ],
)
def test_files_that_are_not_recordings(tmp_path, files, status, message):
    with answering(tmp_path, limits=Limits(duration_s=2)) as server:
        answer = server.client.post("/v1/generations", data={"task": "vary"}, files=files)
        assert answer.status_code == status and message in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("kind", ["flac from a pipe", "mp3 without a stated length"])
def test_a_recording_whose_length_is_only_known_when_it_is_decoded(tmp_path, kind):
    def upload(seconds: float) -> bytes:
        if kind == "flac from a pipe":
            content = bytearray(recording(seconds))
            content[21] &= 0xF0
            content[22:26] = bytes(4)
            return bytes(content)
        buffer = io.BytesIO()
        soundfile.write(buffer, sound_of(3, seconds), RATE, format="MP3")
        content = bytearray(buffer.getvalue())
        return bytes(content[mp3_frame_bytes(content[:4]) :])

    with answering(tmp_path, limits=Limits(duration_s=2)) as server:
        for seconds, status in ((1.5, 202), (4, 422)):
            answer = server.client.post(
                "/v1/generations", data={"task": "vary"}, files={"audio": ("a", upload(seconds))}
            )
            assert answer.status_code == status, answer.text
        assert "lasts 2." in answer.json()["detail"] and "allowed on this server: up to 2" in answer.json()["detail"]


def test_other_content_types(tmp_path):
    with answering(tmp_path) as server:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = server.client.post("/v1/generations", content=b"{}", headers={"content-type": kind})
            assert answer.status_code == 415 and "allowed: application/json" in answer.json()["detail"]
        answer = server.client.post(
            "/v1/generations", content=b"{", headers={"content-type": "application/json; charset=utf-8"}
        )
        assert answer.status_code == 422 and "Invalid JSON" in answer.json()["detail"]


# ---- A queue that is full, clients that go, a server that stops


def test_429_when_the_queue_is_full(tmp_path):
    with answering(tmp_path, held(), queue_size=1) as server:
        server.client.post("/v1/generations", json=GENERATION)
        server.pipeline.step_began()
        assert server.client.post("/v1/generations", json=GENERATION).json()["position"] == 0
        for path, body in (("/v1/generations", GENERATION), ("/v1/sound-generation", SOUND)):
            answer = server.client.post(path, json=body)
            assert answer.status_code == 429 and "queue is full" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) >= 1


def test_a_client_that_disconnects_frees_its_place(tmp_path):
    with answering(tmp_path, held(), queue_size=1) as server:
        body = json.dumps(SOUND).encode()
        head = b"POST /v1/sound-generation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        content = head + b"content-length: %d\r\n\r\n" % len(body) + body
        runs = socket.create_connection(server.address)
        runs.sendall(content)
        server.pipeline.step_began()
        running = server.service.running[0]
        waits = socket.create_connection(server.address)
        waits.sendall(content)
        until(lambda: len(server.service.queue) == 1)
        waiting = server.service.queue._jobs[0]
        waits.close()
        assert waiting.wait(60) and waiting.state.status == "cancelled"
        assert len(server.service.queue) == 0
        runs.close()
        assert running.wait(60) and running.state.status == "cancelled"
        server.pipeline.release(1)
        answer = server.client.post("/v1/generations", json=GENERATION)
        assert answer.status_code == 202
        server.pipeline.step_began()
        server.pipeline.release()
        assert finished(server.client, answer.json())["status"] == "succeeded"


def test_a_request_that_takes_too_long(tmp_path):
    with answering(tmp_path, held(), limits=Limits(timeout_s=0.3)) as server:
        answer = server.client.post("/v1/sound-generation", json=SOUND)
        assert (answer.status_code, answer.json()["detail"]) == (504, "it was not finished within 0.3 seconds")
        assert answer.headers["x-should-retry"] == "false"


def test_a_server_that_stops_answers_waiting_clients(tmp_path):
    with answering(tmp_path, held(), grace_s=60.0) as server:
        runs = server.client.post("/v1/generations", json=GENERATION).json()
        server.pipeline.step_began()
        waits = server.client.post("/v1/generations", json={**GENERATION, "num_inference_steps": 2}).json()
        with server.client.stream("GET", f"/v1/generations/{runs['id']}/events") as events:
            lines = events.iter_lines()
            next(lines)
            server.service.hooks.failure()  # as SIGTERM does
            job = server.service.find(waits["id"])
            assert job.wait(60) and job.state.reason == "stopped"
            server.pipeline.release()
            assert any(line == "event: succeeded" for line in lines)
        server.thread.join(60)
        assert server.service.find(runs["id"]).state.status == "succeeded"


# ---- Keys


def test_keys(tmp_path):
    with answering(tmp_path, api_keys=("first", "sécond")) as server:
        client = server.client
        for path in ("/v1/models", "/v1/voices", "/v1/generations/x", "/metrics"):
            for headers in ({}, {"xi-api-key": "other"}, {"authorization": "Bearer"}, {"authorization": "Bearer firs"}):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401 and "key is needed" in answer.json()["detail"]
                assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"xi-api-key": "first"}, {"authorization": "Bearer first"}, {"xi-api-key": "sécond".encode()}):
            assert client.get("/v1/models", headers=headers).status_code == 200
        for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
            assert client.get(path).status_code == 200


# ---- Status


def test_models_for_both_kinds_of_clients(tmp_path):
    with answering(tmp_path) as server:
        (model,) = server.client.get("/v1/models").json()["data"]
        assert (model["id"], model["object"], model["sample_rate"]) == ("fake", "model", 16000)
        assert "generate" in model["tasks"] and "speak" not in model["tasks"]
        (other,) = server.client.get("/v1/models", headers={"xi-api-key": "x"}).json()
        assert (other["model_id"], other["can_do_text_to_speech"]) == ("fake", False)


def test_without_a_checkpoint_that_speaks(tmp_path):
    with answering(tmp_path) as server:
        assert server.client.get("/v1/voices").json() == {"voices": []}
        speech = {"input": "Hello", "model": "tts-1", "voice": "alloy"}
        for path, body in (("/v1/text-to-speech/alloy", {"text": "Hello"}), ("/v1/audio/speech", speech)):
            answer = server.client.post(path, json=body)
            assert answer.status_code == 404
            assert answer.json()["detail"].startswith("fake does not speak: start the server with a checkpoint")


def test_metrics(tmp_path):
    with answering(tmp_path, held()) as server:
        job = server.service.submit(new_request())
        server.pipeline.step_began()
        server.service.submit(new_request("waits"))

        def value(name: str) -> float:
            lines = server.client.get("/metrics").text.splitlines()
            return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(name + " ")))

        assert (value("ppaudioldm_queue_length"), value("ppaudioldm_running"), value("ppaudioldm_ready")) == (1, 1, 1)
        server.pipeline.release()
        assert job.wait(60)
        # It is counted, and its size measured, after those that wait for the job have been notified.
        name = 'ppaudioldm_jobs_total{status="succeeded",task="generate"}'
        assert any(value(name) >= 1 or time.sleep(0.05) for _ in range(1000))
        assert value("ppaudioldm_sound_seconds_total") >= 0.5 and value("ppaudioldm_disk_bytes") > 0
        server.client.get("/v1/generations/x")
        counted = 'ppaudioldm_http_requests_total{method="GET",route="/v1/generations/{id}",status="404"}'
        assert value(counted) == 1
        assert 'route="/v1/generations/x"' not in server.client.get("/metrics").text


def test_not_ready_yet(tmp_path):
    from fastapi.testclient import TestClient

    from ppaudioldm.serving.app import create_app
    from tests.serving.examples import Model, Models, Service, Settings

    service = Service(Models([Model("fake", ImitationPipeline())]), Settings(tmp_path))
    with TestClient(create_app(service), "http://localhost") as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
