"""The server is killed, or stopped, while jobs run, and started again."""

from __future__ import annotations

import io
import json
import signal
import sys
from pathlib import Path

import httpx
import pytest
import soundfile

from tests.serving.examples import PATIENCE, Server, finished, serving

SHORT = {"prompt": "a dog barks", "duration": 0.5, "num_inference_steps": 1, "seed": 4}
LONG = {"prompt": "rain", "duration": 0.5, "num_inference_steps": 200, "seed": 5}
WARM = ("--max-duration", "0.5")  # it is warm sooner


def started(client: httpx.Client, request: dict) -> str:
    """The id of a generation that has begun to run."""
    generation = client.post("/v1/generations", json=request).json()
    with client.stream("GET", f"/v1/generations/{generation['id']}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data: ") and (json.loads(line[6:])["progress"] or {}).get("stage") == "denoise":
                break
    return generation["id"]


def check_files(data: Path) -> None:
    """Every file on disk is whole, and belongs to a job whose record names it."""
    for folder in (data / "jobs").iterdir():
        if folder.name == ".lock":
            continue
        record = json.loads((folder / "job.json").read_text())
        for path in folder.iterdir():
            assert path.name in ("job.json", "sound.wav", "input"), path
        if (folder / "sound.wav").exists():
            assert soundfile.info(folder / "sound.wav").frames == record["state"]["sounds"][0]["samples"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_and_started_again(tmp_path):
    server = Server(tmp_path, *WARM)
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        done = finished(client, client.post("/v1/generations", json=SHORT).json())
        sound = client.get(done["sounds"][0]["url"]).content
        running = started(client, LONG)
        waiting = client.post("/v1/generations", json={**LONG, "num_inference_steps": 100}).json()["id"]
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with serving(tmp_path, *WARM) as again, httpx.Client(base_url=again.url, timeout=PATIENCE) as client:
        assert client.get(f"/v1/generations/{done['id']}").json() == done
        assert client.get(done["sounds"][0]["url"]).content == sound
        assert len(soundfile.read(io.BytesIO(sound))[0]) == 8000
        for lost in (running, waiting):
            generation = client.get(f"/v1/generations/{lost}").json()
            assert (generation["status"], generation["reason"]) == ("failed", "stopped")
            assert generation["error"] == "the server was stopped before it was finished"
            assert client.get(f"/v1/generations/{lost}/audio").status_code == 409
        check_files(tmp_path)
        assert finished(client, client.post("/v1/generations", json=SHORT).json())["status"] == "succeeded"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
@pytest.mark.parametrize("grace", ["60s", "0s"])
def test_stopped_while_it_works(tmp_path, grace):
    request = {**LONG, "num_inference_steps": 20} if grace == "60s" else LONG
    with (
        serving(tmp_path, "--grace", grace, *WARM) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE) as client,
    ):
        running = started(client, request)
        waiting = client.post("/v1/generations", json=SHORT).json()["id"]
        assert server.stop(signal.SIGTERM) == 0
    check_files(tmp_path)
    with serving(tmp_path, *WARM) as again, httpx.Client(base_url=again.url, timeout=PATIENCE) as client:
        first, second = (client.get(f"/v1/generations/{job}").json() for job in (running, waiting))
        assert first["status"] == ("succeeded" if grace == "60s" else "failed")
        assert (second["status"], second["reason"]) == ("failed", "stopped")
        if grace == "60s":
            assert client.get(first["sounds"][0]["url"]).status_code == 200
