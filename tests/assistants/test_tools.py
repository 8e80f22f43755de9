"""The arguments of the tools, and the lines for wrong ones."""

from __future__ import annotations

import pytest

from ppaudioldm import cli
from ppaudioldm.assistants.tools import all_tools, call_of, input_schema
from ppaudioldm.commands.arguments import keyword_flags
from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.generation.options import settings
from ppaudioldm.serving.generation_fields import LEFT_OUT, request_model
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Parameter, Task, Use
from tests.serving.examples import service_of


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with service_of(tmp_path_factory.mktemp("jobs")) as started:
        yield started


def call(service, name: str, /, **arguments):
    return call_of(all_tools()[name], arguments, service, all_voices())


def properties(name: str) -> dict:
    return input_schema(all_tools()[name], all_voices())["properties"]


def test_every_task_setting_and_parameter_is_offered():
    assert {task for tool in all_tools().values() for task in tool.tasks} == set(TASKS)
    for tool in all_tools().values():
        if tool.tasks:
            own = {parameter.name for task in tool.tasks for parameter in TASKS[task].parameters}
            taken = {name for task in tool.tasks for name in set(settings()) - set(TASKS[task].settings_left_out)}
            assert set(properties(tool.name)) >= (taken - set(LEFT_OUT)) | own
            assert not (set(settings()) - taken) & set(properties(tool.name))
    offered = {name for tool in all_tools() for name in properties(tool)}
    assert set(request_model().model_fields) - offered == {"keep_candidates"}


def test_a_new_task_is_offered(monkeypatch):
    amount = Parameter("amount", float, 0.5, "how much", "--amount", "Amount", minimum=0, maximum=1)
    task = Task("dummy", "Dummy", "Do it", "do nothing", "x:y", audio=Use.REQUIRED, parameters=(amount,))
    monkeypatch.setitem(TASKS, "dummy", task)
    found = properties("edit_sound")
    assert "dummy" in found["task"]["enum"] and found["amount"]["maximum"] == 1
    assert "amount" not in properties("generate_sound")


def test_a_call_becomes_a_request(service):
    found = call(service, "generate_sound", prompt="a bell", duration=2, num_inference_steps=7, format="mp3", seed=None)
    assert (found.request.task, found.request.prompt, found.format) == ("generate", "a bell", "mp3")
    assert (found.request.options.duration, found.request.options.num_inference_steps) == (2, 7)
    assert call(service, "generate_sound", prompt="a bell", task="loop").request.task == "loop"
    found = call(service, "edit_sound", task="inpaint", audio="a.wav", ranges=[[1, 2], [3, None]])
    assert found.request.parameters["ranges"] == [(1, 2), (3, None)] and found.audio == "a.wav"
    cues = [[0.5, "rain"], [1, "birds"]]
    found = call(service, "generate_sound", prompt="a bell", prompt_schedule=cues, duration=2)
    assert found.request.options.prompt_schedule == ((0.5, "rain"), (1.0, "birds"))
    found = call(service, "speak", text="hello", speaker="onyx", speed=2)
    assert found.request.prompt == all_voices()["onyx"].description and found.request.parameters["speed"] == 2


AUDIO = ["--audio", "none.wav"]


@pytest.mark.parametrize(
    ("tool", "arguments", "command"),
    [
        ("generate_sound", {"num_inference_steps": 0}, ["generate", "a bell", "--steps", "0"]),
        ("generate_sound", {"guidance_scale": 1000.5}, ["generate", "a bell", "-w", "1000.5"]),
        ("generate_sound", {"duration": 9000.5}, ["generate", "a bell", "-d", "9000.5"]),
        ("generate_sound", {"eta": 0.5}, ["generate", "a bell", "--eta", "0.5"]),
        ("generate_sound", {"guidance_interval": [0.5, 0.1]}, ["generate", "a bell", "--guidance-interval", "0.5:0.1"]),
        ("generate_sound", {"loudness": 3.5}, ["generate", "a bell", "--loudness", "3.5"]),
        ("edit_sound", {"task": "restyle", "strength": 2.5}, ["restyle", "a bell", *AUDIO, "--strength", "2.5"]),
        ("edit_sound", {"task": "upscale", "cutoff": -4.5}, ["upscale", "a bell", *AUDIO, "--cutoff", "-4.5"]),
        ("speak", {"text": "hello", "speed": 9.5}, ["speak", "hello", "--speed", "9.5"]),
        ("speak", {"text": " "}, ["speak", " "]),
    ],
)
def test_a_wrong_value_gets_the_line_of_the_command_line(service, capsys, tool, arguments, command):
    prompt = {} if tool == "speak" else {"prompt": "a bell"}
    with pytest.raises(ValueError) as raised:
        call(service, tool, **prompt, **arguments).request.checked(service.settings.limits)
    line = str(raised.value)
    for keyword, flag in keyword_flags().items():
        line = line.replace(keyword, flag)
    assert cli.main(command) == 2
    assert capsys.readouterr().err == f"ppaudioldm: error: {line}\n"


@pytest.mark.parametrize(
    ("tool", "arguments", "line"),
    [
        ("generate_sound", {"prompt": 7}, "prompt is 7, allowed: a text that is not empty"),
        ("generate_sound", {"prompt": "a", "duration": "5"}, "duration is '5', allowed: 0.3 to 600 seconds"),
        ("generate_sound", {"prompt": "a", "model": ["x"]}, "model: Input should be a valid string"),
        ("generate_sound", {"prompt": "a", "preset": "best"}, "unknown preset 'best', choose from fast, "),
        ("generate_sound", {"prompt": "a", "seed": -1}, f"seed is -1, allowed: whole numbers from 0 to {MAX_SEED}"),
        ("generate_sound", {"prompt": "a", "path": "/etc"}, "unknown argument 'path' of generate_sound, choose from "),
        ("generate_sound", {"prompt": "a", "strength": 1}, "unknown argument 'strength' of generate_sound"),
        ("generate_sound", {"prompt": "a", "format": "aiff"}, "format is 'aiff', allowed: wav, flac, ogg, mp3"),
        ("generate_sound", {"prompt": "a", "name": 7}, "name is 7, allowed: a text"),
        ("generate_sound", {"prompt": "a", "task": "speak"}, "task is 'speak', allowed: generate, loop"),
        ("edit_sound", {"audio": "a.wav"}, "task is missing, allowed: vary, restyle, "),
        ("edit_sound", {"task": "vary", "audio": "a", "audio_base64": "b"}, "both given, allowed: one of them"),
        ("edit_sound", {"task": "inpaint", "audio": "a", "ranges": [[1]]}, "range is [1], allowed: two numbers"),
        ("generate_sound", {"prompt": "a" * 6000}, "prompt has 6000 characters, allowed on this server: up to 5000"),
        ("edit_sound", {"task": "vary"}, "audio is missing, which vary needs"),
    ],
)
def test_wrong_arguments(service, tool, arguments, line):
    with pytest.raises(ValueError) as raised:
        call(service, tool, **arguments).request.checked(service.settings.limits)
    assert line in str(raised.value) and "\n" not in str(raised.value)
