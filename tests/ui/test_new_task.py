"""A task that is added to the registry has a tab with a field for each of its parameters, and can be run from there."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest

from ppaudioldm.generation.clip import Clip
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Parameter, Task, Use
from ppaudioldm.ui.form import form_of, request_of
from ppaudioldm.ui.page import Page
from tests.serving.examples import PATIENCE, RATE
from tests.ui.examples import FORM, opened

TASK = Task(
    name="dummy",
    title="Dummy",
    action="Do it",
    summary="do something with a recording",
    function="tests.ui.test_new_task:run",
    prompt=Use.OPTIONAL,
    audio=Use.OPTIONAL,
    duration_help="the recording's",
    parameters=(
        Parameter("note", str, None, "what is noted", "--note", "Note", required=True),
        Parameter("amount", float, 0.5, "how much", "--amount", "Amount", above=0, maximum=2),
        Parameter("pitch", float, None, "how high", "--pitch", "Pitch", above=0, unit="Hz"),
        Parameter("reversed", bool, False, "whether it is backwards", "--reversed", "Reversed"),
        Parameter("spans", tuple, (), "seconds to change", "--span", "Span", unit="seconds"),
    ),
)
VALUES = {"note": "C", "amount": 1.5, "pitch": "440", "reversed": True, "spans_from": "0.25", "spans_to": ""}
PARAMETERS = {"note": "C", "amount": 1.5, "pitch": 440.0, "reversed": True, "spans": ((0.25, None),)}
calls: list[dict] = []


def run(pipeline, **keywords) -> Clip:
    calls.append(keywords)
    return Clip(np.full((1, 800), 0.1, np.float32), RATE, ("",), (keywords["seed"],))


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "dummy", TASK)
    with opened(tmp_path) as site:
        yield site


def test_its_tab(site):
    page = Page(site.actions, all_voices())
    tab = page._tabs["dummy"]
    kinds = {name: type(component) for name, component in tab.fields.items()}
    assert kinds == {
        "recording": gr.Audio,
        "note": gr.Textbox,
        "spans_from": gr.Textbox,
        "spans_to": gr.Textbox,
        "prompt": gr.Textbox,
        "duration": gr.Textbox,
        "amount": gr.Slider,
        "pitch": gr.Textbox,
        "reversed": gr.Checkbox,
    }
    amount = tab.fields["amount"]
    assert (amount.minimum, amount.maximum, amount.value, amount.step) == (0.01, 2, 0.5, 0.01)
    assert tab.fields["pitch"].label == "Pitch, Hz" and tab.fields["spans_from"].label == "Span from, seconds"
    assert tab.fields["recording"].label == "Recording (optional)"
    assert tab.waveform is not None and tab.ends == ("spans_from", "spans_to")
    assert tab.button.value == "Do it"
    assert page._outline(tab, str(site.uploaded()))[tab.fields["spans_from"]] == "0.4"


def test_it_runs(site):
    actions = site.actions
    job = actions.submit(TASK, {**FORM, **VALUES, "duration": "", "recording": str(site.uploaded())})
    assert job.wait(PATIENCE) and job.state.status == "succeeded", job.state
    used = calls.pop()
    assert {name: used[name] for name in PARAMETERS} == PARAMETERS
    assert used["prompt"] == "a bell" and used["audio"] is not None
    task, values, left_out = actions.settings_of(job.id)
    assert task is TASK and left_out == "" and {name: values[name] for name in VALUES} == VALUES
    assert "Dummy" in actions.history(1)[0]


def test_there_and_back(site):
    request = request_of(TASK, {**FORM, **VALUES, "seed": "7", "duration": "2.5"}, site.service)
    assert request.parameters == PARAMETERS and request.options.duration == 2.5
    assert request_of(TASK, form_of(request), site.service) == request


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"note": " "}, "the note is empty"),
        ({"amount": 3}, "amount is 3.0, allowed: above 0, at most 2"),
        ({"pitch": "high"}, "pitch is 'high', allowed: a number"),
    ],
)
def test_mistakes(site, changes, message):
    with pytest.raises(ValueError, match=message):
        site.actions.submit(TASK, {**FORM, **VALUES, "duration": "", **changes})
