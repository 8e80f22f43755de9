"""The same over stdin and stdout, and over HTTP, where the server's guard and keys hold."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from ppaudioldm.assistants.calls import Calls
from ppaudioldm.assistants.mount import with_assistants
from ppaudioldm.assistants.protocol import protocol_server
from ppaudioldm.assistants.sounds import SoundFolder
from ppaudioldm.assistants.standard_streams import TOO_LONG, lines_of
from ppaudioldm.serving.app import create_app
from ppaudioldm.serving.settings import Limits
from ppaudioldm.serving.voices import all_voices
from tests.assistants.examples import BELL, line_of, with_client
from tests.imitation import PATIENCE
from tests.serving.examples import answering, until

KEY = "a-key"


HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
ENVIRONMENT = {**os.environ, "PPAUDIOLDM_ENGINE": "eager", "OMP_NUM_THREADS": "1"}


# ---- stdin and stdout


def test_the_command_over_standard_streams(tmp_path, caplog):
    """Without networks, which are read at the first sound."""
    command = ["-m", "ppaudioldm.cli", "mcp", "-c", "tiny", "--output", str(tmp_path / "sounds"), "--max-steps", "20"]
    command += ["--speech-checkpoint", "none"]
    transport = StdioServerParameters(command=sys.executable, args=command, env=ENVIRONMENT)

    async def use(client):
        return [
            await client.list_tools(),
            await client.call_tool("list_checkpoints", {}),
            await client.call_tool("generate_sound", {"prompt": "a bell", "num_inference_steps": 21}),
            await client.call_tool("edit_sound", {"task": "vary", "audio": "/etc/passwd"}),
            await client.call_tool("speak", {"text": "hello"}),
        ]

    tools, checkpoints, steps, elsewhere, speech = with_client(transport, use)
    assert caplog.text == ""  # the client logs a line of stdout that is no message
    assert len(tools.tools) == 4
    (tiny,) = checkpoints.structured_content["checkpoints"]
    assert tiny["name"] == "tiny" and "a big bell" in tiny["known_prompts"]
    assert line_of(steps) == "num_inference_steps is 21, allowed on this server: up to 20"
    assert line_of(elsewhere).endswith("is no sound of the output folder: there is none yet")
    assert line_of(speech).startswith("tiny does not speak: start the server with a checkpoint that does")


def test_stdout_holds_the_protocol_only(tmp_path):
    """A line that is no message is passed over; what the pipeline prints goes to stderr; it ends with stdin."""
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "generate_sound", "arguments": BELL}},
    ]
    process = start(tmp_path)
    for line in ("no message", "{}", *map(json.dumps, messages)):
        process.stdin.write(f"{line}\n")
    process.stdin.flush()
    answers = []
    while not any(answer.get("id") == 2 for answer in answers):
        answers.append(json.loads(process.stdout.readline()))
    rest, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and rest == "" and "printed by the pipeline" in errors
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert answers[-1]["result"]["structuredContent"]["name"] == "a_bell-3.wav"
    assert [path.name for path in (tmp_path / "sounds").iterdir()] == ["a_bell-3.wav"]


def test_a_signal_ends_it_while_it_waits_for_a_line(tmp_path):
    process = start(tmp_path)
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}) + "\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def start(folder) -> subprocess.Popen:
    """A process whose pipeline generates noise, and prints."""
    command = [sys.executable, "-m", "tests.assistants.noise_over_streams", str(folder)]
    return subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def test_lines_are_bounded():
    reading, writing = os.pipe()
    os.write(writing, b"a\n\nbcd" + b"x" * 200 + b"\n" + "é\n".encode() + b"last")
    os.close(writing)
    assert list(lines_of(reading, 100)) == ["a", "", TOO_LONG, "é", "last"]
    os.close(reading)


# ---- HTTP


@pytest.fixture
def site(tmp_path):
    """A server with a key."""

    def app_of(service):
        calls = Calls(service, SoundFolder(tmp_path / "sounds", service.settings.disk_bytes), all_voices())
        return with_assistants(create_app(service), protocol_server(calls), service.settings.limits)

    limits = Limits(body_bytes=100_000, json_body_bytes=10_000)
    with answering(tmp_path / "jobs", app_of=app_of, api_keys=(KEY,), limits=limits) as found:
        yield found


def with_http_client(site, use, **options):
    async def run():
        with anyio.fail_after(PATIENCE):
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE) as http:
                url = f"{str(site.client.base_url).rstrip('/')}/mcp"
                async with Client(streamable_http_client(url, http_client=http), **options) as client:
                    return await use(client)

    return anyio.run(run)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_over_http(site, tmp_path, mode):
    seen = []

    async def use(client):
        async def progress(done, total, message):
            seen.append(done)
            site.pipeline.release()

        site.pipeline.hold()
        tools = await client.list_tools()
        result = await client.call_tool("generate_sound", BELL, progress_callback=progress)
        return [tool.name for tool in tools.tools], result

    names, result = with_http_client(site, use, mode=mode)
    assert names == ["generate_sound", "speak", "edit_sound", "list_checkpoints"]
    assert base64.b64decode(result.content[2].data) == (tmp_path / "sounds" / "a_bell-3.wav").read_bytes()
    assert seen == sorted(set(seen)) and seen


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_call_over_http_is_cancelled(site, tmp_path, mode):
    site.pipeline.steps = 50
    site.pipeline.hold()

    async def use(client):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate_sound", BELL)
            await anyio.to_thread.run_sync(site.pipeline.step_began)
            tasks.cancel_scope.cancel()
        await client.list_tools()  # the connection goes on

    with_http_client(site, use, mode=mode)
    site.pipeline.release(1)
    until(lambda: not site.service.running)
    assert not site.pipeline.entered.acquire(blocking=False) and list((tmp_path / "sounds").iterdir()) == []


def post(site, headers=None, content=b"{}") -> httpx.Response:
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream", "xi-api-key": KEY}
    return site.client.post("/mcp", content=content, headers={**sent, **(headers or {})})


def test_the_guard_the_keys_and_the_limits_of_the_server_hold(site):
    assert post(site, {"xi-api-key": ""}).status_code == 401
    assert post(site, {"origin": "http://evil.example"}).status_code == 403
    assert post(site, {"sec-fetch-site": "cross-site"}).status_code == 403
    assert post(site, content=b"x" * 150_000).status_code == 413
    assert 400 <= post(site, content=b"x" * 140_000).status_code < 405  # as large as a recording in base64
    refused = site.client.get("/mcp", headers={"xi-api-key": KEY, "accept": "text/event-stream"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, DELETE")


def test_a_foreign_host_is_refused_where_there_is_no_key(tmp_path):
    def app_of(service):
        calls = Calls(service, SoundFolder(tmp_path / "sounds", 1000), all_voices())
        return with_assistants(create_app(service), protocol_server(calls), service.settings.limits)

    with answering(tmp_path / "jobs", app_of=app_of) as site:
        assert post(site, {"host": "evil.example"}).status_code == 403
        assert 400 <= post(site).status_code < 403
