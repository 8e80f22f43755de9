"""The OpenAPI document is kept: what it allows is answered as it says, and what it does not is refused.

schemathesis asks some hundred times here, of a pipeline that takes no time. `make schema` has it ask thousands of
times, of the smallest checkpoint: that takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from ppaudioldm.serving.settings import Limits
from tests.imitation import ImitationPipeline
from tests.serving.examples import answering
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


def test_methods_that_are_not_allowed(tmp_path):
    with answering(tmp_path) as server:
        for path, methods in (("/v1/generations/x", "DELETE, GET"), ("/v1/audio/speech", "POST"), ("/healthz", "GET")):
            answer = server.client.put(path)
            assert answer.status_code == 405 and answer.headers["allow"] == methods


def test_what_is_asked_is_answered_as_documented(tmp_path, request):
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
