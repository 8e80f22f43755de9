"""The answers are those of the OpenAPI document, whose fields derive from the settings and the registry.

schemathesis asks some hundred times here, of a pipeline that takes no time. `make schema` has it ask thousands of
times, of the smallest checkpoint: that takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import PRESETS, Options, Setting, settings
from ppaudioldm.serving.generation_fields import LEFT_OUT
from ppaudioldm.serving.settings import Limits
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Parameter
from tests.imitation import ImitationPipeline
from tests.serving.examples import answering, finished
from tests.serving.test_http import recording
from tests.tasks.test_speak import TINY_SPEECH

CASES = os.environ.get("PPAUDIOLDM_SCHEMA_CASES")  # for each operation, of the smallest checkpoint
# What it cannot know: which voices there are, in which text is something to say, and which bytes are a recording.
WITHOUT = "positive_data_acceptance,ignored_auth"


def test_the_document(tmp_path):
    with answering(tmp_path) as server:
        document = server.client.get("/openapi.json").json()
        for operations in document["paths"].values():
            for operation in operations.values():
                assert operation["summary"] and operation["responses"]["422"]["content"]
        body = document["paths"]["/v1/generations"]["post"]["requestBody"]["content"]
        assert "audio" in body["multipart/form-data"]["schema"]["properties"]
        assert "audio" not in body["application/json"]["schema"]["properties"]


def fields_of_generations(folder: Path) -> dict[str, Any]:
    with answering(folder) as server:
        document = server.client.get("/openapi.json").json()
    content = document["paths"]["/v1/generations"]["post"]["requestBody"]["content"]
    return content["application/json"]["schema"]["properties"]


def test_every_setting_and_task_is_in_the_document(tmp_path):
    fields = fields_of_generations(tmp_path)
    assert set(fields) >= set(settings()) - set(LEFT_OUT)
    assert not set(LEFT_OUT) & set(fields)
    assert fields["task"]["enum"] == list(TASKS)
    for task in TASKS.values():
        assert set(fields) >= {parameter.name for parameter in task.parameters}


def test_a_new_task_appears_in_the_document(tmp_path, monkeypatch):
    depth = Parameter("depth", float, 0.25, "how deep", "--depth", "Depth", minimum=0.0, maximum=2.0)
    cuts = Parameter("cuts", tuple, (), "where", "--cut", "Cuts")
    task = replace(
        TASKS["vary"], name="dig", function="tests.serving.test_openapi:dig", parameters=(depth, cuts), plan=""
    )
    monkeypatch.setitem(TASKS, "dig", task)
    fields = fields_of_generations(tmp_path / "document")
    assert "dig" in fields["task"]["enum"]
    assert (fields["depth"]["default"], fields["depth"]["minimum"], fields["depth"]["maximum"]) == (0.25, 0, 2)
    assert fields["cuts"]["type"] == "array" and "how deep" in fields["depth"]["description"]
    with answering(tmp_path / "jobs") as server:
        form = {"task": "dig", "depth": "0.5", "cuts": ["1:2", "3:"], "seed": "3", "duration": "0.5"}
        answer = server.client.post("/v1/generations", data=form, files={"audio": ("a.wav", recording())})
        assert answer.status_code == 202, answer.text
        done = finished(server.client, answer.json())
        assert (done["status"], done["error"]) == ("succeeded", None)
        assert (done["request"]["depth"], done["request"]["cuts"]) == (0.5, [[1, 2], [3, None]])
        assert done["sounds"][0]["duration"] == 0.5


def dig(pipeline: ImitationPipeline, audio: Path, prompt: str | None, depth: float, cuts: Any, **settings: Any) -> Clip:
    """The function of the task that the test above adds."""
    assert (depth, cuts, audio.name) == (0.5, ((1.0, 2.0), (3.0, None)), "input")
    return pipeline.generate("dug", **settings)


def test_a_new_setting_appears_in_the_document(tmp_path, monkeypatch):
    setting = Setting("how warm", int, minimum=1, maximum=9, unit="degrees")

    @dataclass(frozen=True)
    class WarmOptions(Options):
        warmth: int = field(default=3, metadata={"setting": setting})

    monkeypatch.setattr("ppaudioldm.generation.options.Options", WarmOptions)
    monkeypatch.setitem(PRESETS, "fast", WarmOptions())
    warmth = fields_of_generations(tmp_path / "document")["warmth"]
    assert warmth["description"] == "how warm, in degrees"
    assert warmth["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 9}
    with answering(tmp_path / "jobs") as server:
        answer = server.client.post("/v1/generations", json={"prompt": "a", "duration": 0.5, "warmth": 7})
        assert answer.json()["request"]["options"]["warmth"] == 7
        answer = server.client.post("/v1/generations", json={"prompt": "a", "warmth": 10})
        assert answer.json()["detail"] == "warmth: Input should be less than or equal to 9"


def test_methods_that_are_not_allowed(tmp_path):
    with answering(tmp_path) as server:
        for path, methods in (("/v1/generations/x", "DELETE, GET"), ("/v1/audio/speech", "POST"), ("/healthz", "GET")):
            answer = server.client.put(path)
            assert answer.status_code == 405 and answer.headers["allow"] == methods


@pytest.mark.slow
def test_answers_are_as_documented(tmp_path, request):
    if CASES:
        run(request.getfixturevalue("server").url, tmp_path, "--max-examples", CASES)
        return
    speaks = ImitationPipeline("speaks", config=TINY_SPEECH)
    with answering(tmp_path / "jobs", ImitationPipeline(), speaks, limits=Limits(duration_s=2)) as server:
        run(str(server.client.base_url), tmp_path, "--max-examples", "5", "--phases", "fuzzing,stateful")


def run(url: str, folder: Path, *arguments: str) -> None:
    """Have schemathesis ask the server at `url`; fails for an answer that is not as it should be."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url.rstrip('/')}/openapi.json"]
    command += ["--checks", "all", "--exclude-checks", WITHOUT, "--seed", "1", "--request-timeout", "600"]
    command += ["--max-response-time", "3600"]  # how fast it is, is no matter here
    command += ["--report", "json", "--report-json-path", str(report), "--continue-on-failure", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert report.exists(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    print(f"{found['test_cases']}, {found['phases']}")
    assert found["complete"] and not found["failures"] and not found["errors"], done.stdout
    assert done.returncode == 0, done.stdout
    assert httpx.get(f"{url.rstrip('/')}/readyz").status_code == 200
