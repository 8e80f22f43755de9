"""Tools and resources, asked for by the SDK's own client, in one process."""

from __future__ import annotations

import base64
import io

import anyio
import pytest
import soundfile

from ppaudioldm.assistants import calls, protocol
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.models import Model, Models
from ppaudioldm.serving.store import StoreBroken
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.assistants.examples import BELL, assistant_of, line_of, refusal, with_client
from tests.serving.examples import until
from tests.tasks.test_speak import untrained


@pytest.fixture
def assistant(tmp_path):
    with assistant_of(tmp_path) as opened:
        yield opened


def ask(assistant, tool: str, **arguments):
    return with_client(assistant.server, lambda client: client.call_tool(tool, arguments))


def test_the_tools_are_listed(assistant):
    tools = with_client(assistant.server, lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["generate_sound", "speak", "edit_sound", "list_checkpoints"]
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
    assert tools[0].input_schema["required"] == ["prompt"] and tools[1].input_schema["required"] == ["text"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_sound_is_generated_with_progress(assistant, mode):
    seen = []

    async def use(client):
        async def progress(done, total, message):
            seen.append((done, total, message))

        result = await client.call_tool("generate_sound", BELL, progress_callback=progress)
        return result, await client.list_resources(), await client.read_resource(result.content[1].uri)

    result, listed, read = with_client(assistant.server, use, mode=mode)
    text, link, audio = result.content
    assert text.text.startswith("a_bell-3.wav: 0.50 s, 16 kHz, seed 3, fake (")
    assert (link.name, link.uri, link.mime_type) == ("a_bell-3.wav", "sound:///a_bell-3.wav", "audio/wav")
    assert result.structured_content["name"] == "a_bell-3.wav" and not result.is_error
    file = (assistant.folder.path / "a_bell-3.wav").read_bytes()
    assert base64.b64decode(audio.data) == base64.b64decode(read.contents[0].blob) == file
    assert soundfile.info(io.BytesIO(file)).duration == 0.5
    assert [(found.name, found.size) for found in listed.resources] == [("a_bell-3.wav", len(file))]
    values = [done for done, _, _ in seen]
    assert values == sorted(set(values)) and all(total == 100 for _, total, _ in seen)
    assert assistant.service.history() == []


def test_a_name_and_a_format(assistant):
    result = ask(assistant, "generate_sound", **BELL, name="../my / bell", format="mp3")
    assert result.structured_content["name"] == "my_bell.mp3"
    assert soundfile.info(assistant.folder.path / "my_bell.mp3").format == "MP3"


def test_a_long_sound_is_only_named(assistant, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_CONTENT_BYTES", 10_000)
    result = ask(assistant, "generate_sound", **BELL)
    assert [part.type for part in result.content] == ["text", "resource_link"]
    line = with_client(assistant.server, lambda client: refusal(client.read_resource(result.content[1].uri)))
    size = (assistant.folder.path / "a_bell-3.wav").stat().st_size
    assert size > 16_044 and line.startswith(f"a_bell-3.wav has {size} bytes, allowed to be sent: up to 10000")


def test_variations_are_files_of_their_own(assistant):
    facts = ask(assistant, "generate_sound", **BELL, name="bell", variations=2, stereo=True).structured_content
    assert [(one["name"], one["seed"]) for one in facts["variations"]] == [("bell-1.wav", 3), ("bell-2.wav", 4)]
    assert facts["name"] == "bell-1.wav" and soundfile.info(assistant.folder.path / "bell-2.wav").channels == 2


def test_a_cancelled_call_ends_its_job_and_writes_nothing(assistant):
    assistant.pipeline.steps = 50
    assistant.pipeline.hold()

    async def use(client):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate_sound", BELL)
            await anyio.to_thread.run_sync(assistant.pipeline.step_began)
            tasks.cancel_scope.cancel()

    with_client(assistant.server, use)
    assistant.pipeline.release(1)
    until(lambda: not assistant.service.running)
    assert not assistant.pipeline.entered.acquire(blocking=False) and assistant.folder.files() == []


def test_a_call_beyond_its_time_limit_fails(tmp_path):
    with assistant_of(tmp_path) as assistant:
        object.__setattr__(assistant.service.settings.limits, "timeout_s", 0.05)
        assistant.pipeline.hold()
        assert line_of(ask(assistant, "generate_sound", **BELL)) == "it was not finished within 0.05 seconds"


def test_mistakes_are_one_line_without_a_path(assistant, tmp_path):
    (assistant.folder.path / "broken.wav").write_bytes(b"RIFF of nothing")
    huge = {"audio_base64": "a" * 200}
    object.__setattr__(assistant.service.settings.limits, "body_bytes", 100)
    cases = (
        ("generate_sound", {"prompt": ""}, "prompt is '', allowed: a text that is not empty"),
        ("generate_sound", {**BELL, "duration": 61}, "duration is 61, allowed on this server: up to 60"),
        ("generate_sound", {**BELL, "model": "other"}, "unknown model 'other', choose from fake"),
        ("generate_sound", {**BELL, "prompt": "impossible"}, "it is impossible"),
        ("generate_sound", {**BELL, "prompt": "broken"}, "the server has an error, see its log"),
        ("speak", {"text": "hello"}, "fake does not speak: start the server with a checkpoint that does"),
        ("edit_sound", {"task": "restyle", "prompt": "a bell"}, "audio is missing, which restyle needs"),
        ("generate_sound", {**BELL, "lora": ["/etc/passwd"]}, "lora"),
        ("edit_sound", {"task": "vary", "audio": "broken.wav"}, "audio: "),
        ("edit_sound", {"task": "vary", "audio": f"{tmp_path}/jobs/.lock"}, "is no sound of the output folder"),
        ("edit_sound", {"task": "vary", **huge}, "audio_base64 has 200 characters, allowed: base64 of up to 100 bytes"),
    )

    async def use(client):
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in cases]

    for result, (_, arguments, expected) in zip(with_client(assistant.server, use), cases, strict=True):
        line = line_of(result)
        assert expected in line
        assert str(tmp_path) not in line.replace(repr(arguments.get("audio")), "")
    assert [file.name for file in assistant.folder.files()] == ["broken.wav"]
    assert list(assistant.service.settings.folder.glob(".upload-*")) == []


def test_unknown_tools_resources_and_cursors(assistant):
    async def use(client):
        return [
            await refusal(client.call_tool("run_command", {"command": "ls"})),
            await refusal(client.read_resource("file:///etc/passwd")),
            await refusal(client.list_resources(cursor="-1")),
        ]

    lines = with_client(assistant.server, use)
    assert lines[0].startswith("unknown tool 'run_command', choose from generate_sound, ")
    assert lines[1] == "audio is 'file:///etc/passwd', which is no sound of the output folder: there is none yet"
    assert lines[2] == "cursor is '-1', allowed: that of an earlier answer"


def test_resources_come_in_portions(assistant, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_LISTED", 2)
    for number in range(3):
        assistant.folder.write(b"a", f"sound {number}", "wav")

    async def use(client):
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        return [len(page.resources) for page in (first, second)], second.next_cursor

    assert with_client(assistant.server, use) == ([2, 1], None)


def test_a_full_queue_and_a_full_folder_are_refused(tmp_path, monkeypatch):
    with assistant_of(tmp_path, disk_bytes=20_000) as assistant:
        assert not ask(assistant, "generate_sound", **BELL).is_error
        size = (assistant.folder.path / "a_bell-3.wav").stat().st_size
        assert f"the output folder holds {size} of 20000 bytes" in line_of(ask(assistant, "generate_sound", **BELL))
        assistant.folder.write(b"a" * (20_000 - size), "filled", "wav")
        line = line_of(ask(assistant, "generate_sound", **BELL))
        assert line.startswith("the output folder holds 20000 of 20000 bytes: remove sounds from it")
        (assistant.folder.path / "filled.wav").unlink()
        assistant.service.queue._size = 0
        object.__setattr__(assistant.service.settings, "queue_size", 0)
        assert "the queue is full, try again in" in line_of(ask(assistant, "generate_sound", **BELL))


def test_checkpoints(assistant):
    result = ask(assistant, "list_checkpoints")
    (found,) = result.structured_content["checkpoints"]
    assert found["name"] == "fake" and "generate" in found["tasks"] and found["known_prompts"] == []
    assert "unknown argument" not in result.content[0].text


def test_a_broken_disk_is_one_line(assistant, monkeypatch):
    def refuse(*arguments, **keywords):
        raise StoreBroken("the recording cannot be kept: No space left on device")

    monkeypatch.setattr(calls, "save_upload", refuse)
    (assistant.folder.path / "a.wav").write_bytes(b"x")
    line = line_of(ask(assistant, "edit_sound", task="vary", audio="a.wav"))
    assert line == "the recording cannot be kept: No space left on device"


def test_every_tool_with_networks(tmp_path):
    """Small ones of random weights."""
    sounds = random_checkpoint("small", UNTRAINED, seed=0)
    models = Models([Model("small", AudioLDM(sounds, EagerEngine(sounds))), Model("speech", untrained())])

    async def use(client):
        sound = await client.call_tool("generate_sound", {"prompt": "a bell", "duration": 0.3, "seed": 1})
        content, name = sound.content[2].data, sound.structured_content["name"]
        mended = {"task": "inpaint", "audio": name, "ranges": [[0.1, 0.2]], "prompt": "rain", "name": "mended"}
        sent = {"task": "restyle", "audio_base64": content, "prompt": "rain", "name": "sent", "format": "flac"}
        return [
            sound,
            await client.call_tool("edit_sound", mended),
            await client.call_tool("edit_sound", sent),
            await client.call_tool("speak", {"text": "jˈɛs", "phonemes": True, "name": "yes", "format": "ogg"}),
        ]

    with assistant_of(tmp_path, models=models, default_steps=1) as assistant:
        results = with_client(assistant.server, use)
        assert assistant.service.history() == []  # nothing is kept twice
    names = [result.structured_content["name"] for result in results]
    assert names == ["a_bell-1.wav", "mended.wav", "sent.flac", "yes.ogg"]
    assert [soundfile.info(tmp_path / "sounds" / name).samplerate for name in names] == [16000] * 4
    assert "small has random weights, so this is noise" in results[0].content[0].text
    assert results[3].structured_content["checkpoint"] == "speech"
