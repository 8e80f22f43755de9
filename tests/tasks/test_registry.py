"""The registry: what each task needs is checked before anything is opened."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.tasks.registry import TASKS, task_of
from ppaudioldm.tasks.task import Use
from tests.tasks.examples import sound, untrained

SPEAKS = CHECKPOINTS["audioldm2-speech-gigaspeech"].config


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_function_takes_what_its_task_says(task):
    names = inspect.signature(task.resolved_function()).parameters
    keywords = task.keywords("a bell", "a.wav", {parameter.name: parameter.default for parameter in task.parameters})
    assert set(keywords) <= set(names)
    for parameter in task.parameters:
        if not parameter.required and parameter.kind is not tuple:
            assert names[parameter.name].default == parameter.default


@pytest.mark.parametrize(
    ("task", "prompt", "has_audio", "parameters", "message"),
    [
        ("generate", None, False, {}, "prompt is missing, which generate needs"),
        ("generate", " ", False, {}, "prompt is ' ', allowed: a text"),
        ("generate", "a", True, {}, "audio is not what generate needs"),
        ("generate", "a", False, {"strength": 0.5}, "strength is not a parameter of generate"),
        ("vary", None, False, {}, "audio is missing, which vary needs"),
        ("loop", None, False, {}, "no prompt and no audio: loop needs one of them"),
        ("inpaint", None, True, {}, "no ranges and no frequencies: inpaint needs one of them"),
        ("inpaint", None, True, {"ranges": [(0, math.nan)]}, "range is .0, nan., allowed: two numbers"),
        ("inpaint", None, True, {"ranges": [(0, 1)] * 101}, "ranges has 101 pairs, allowed: up to 100"),
        ("inpaint", None, True, {"ranges": "0:1"}, "ranges is '0:1', allowed: a list of pairs"),
        ("restyle", "a", True, {"strength": 0}, "strength is 0, allowed: above 0, at most 1"),
        ("restyle", "a", True, {"strength": True}, "strength is True, allowed"),
        ("restyle", "a", True, {"strength": None}, "strength is None, allowed"),
        ("speak", None, False, {}, "text is missing, allowed: a text"),
        ("speak", None, False, {"text": "a", "speed": 9}, "speed is 9, allowed: 0.25 to 4"),
        ("speak", None, False, {"text": "a", "phonemes": 1}, "phonemes is 1, allowed: true or false"),
        ("upscale", None, True, {"cutoff": -1}, "cutoff is -1, allowed: above 0 Hz"),
    ],
)
def test_what_a_task_cannot_do(task, prompt, has_audio, parameters, message):
    with pytest.raises(ValueError, match=message):
        TASKS[task].checked_parameters(prompt, has_audio, parameters)


def test_defaults():
    assert TASKS["restyle"].checked_parameters("a", True) == {"strength": 0.5}
    ranges = {"ranges": [[0, None]], "frequencies": ()}
    assert TASKS["inpaint"].checked_parameters(None, True, ranges) == {"ranges": ((0, None),), "frequencies": ()}
    assert TASKS["upscale"].checked_parameters(None, True) == {"cutoff": None}


@pytest.mark.parametrize(
    ("task", "config", "prompt", "message"),
    [
        ("speak", UNTRAINED, "a man", "x does not speak, choose from tiny-speech, audioldm2-speech-gigaspeech, "),
        ("vary", SPEAKS, None, "x speaks a text: use the task speak"),
        ("vary", replace(UNTRAINED, audiomae=None), None, "x has no network that encodes a recording, choose from "),
        ("extend", replace(UNTRAINED, audiomae=None), None, "prompt is missing, and x has no network that encodes"),
        ("upscale", CHECKPOINTS["audioldm_16k_crossattn_t5"].config, None, "prompt is missing, which x needs"),
    ],
)
def test_a_checkpoint_that_cannot_do_it(task, config, prompt, message):
    with pytest.raises(ValueError, match=message):
        TASKS[task].check_checkpoint("x", config, prompt, TASKS[task].audio is not Use.UNUSED)


def test_a_checkpoint_without_audiomae_can_follow_a_prompt():
    TASKS["extend"].check_checkpoint("x", replace(UNTRAINED, audiomae=None), "rain", True)


def test_an_unknown_task():
    with pytest.raises(ValueError, match="unknown task 'sing', choose from generate, speak, vary, "):
        task_of("sing")


@pytest.mark.parametrize(
    ("task", "parameters"), [("restyle", {}), ("inpaint", {"ranges": [(0, 0.1)]}), ("upscale", {"cutoff": 3000.0})]
)
def test_a_duration_is_refused_where_the_result_is_as_long_as_the_recording(task, parameters):
    function = TASKS[task].resolved_function()
    with pytest.raises(ValueError, match=f"duration is 1.0, but {task} keeps the length of the recording"):
        function(untrained(), sound(0.5), "rain", duration=1.0, **parameters)
