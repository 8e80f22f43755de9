"""The settings in the tags of a sound file fill the form of the page."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.generation.provenance import SETTINGS
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.ui.page import Page
from tests.serving.examples import RATE, sound_of
from tests.ui.examples import opened

GOOD = {
    "version": 1,
    "task": "generate",
    "prompt": "a dog",
    "seed": 2**60,
    "checkpoint": "fake",
    "options": {"duration": 0.75, "num_inference_steps": 25, "negative_prompt": "music", "guidance_scale": 3.5},
    "loudness": -20,
}


@pytest.fixture
def site(tmp_path):
    with opened(tmp_path) as site:
        yield site


@pytest.fixture
def page(site):
    return Page(site.actions, all_voices())


def sent(site, **changes: object) -> str:
    path = site.uploads / "sent" / "clip.flac"
    return str(write_audio(path, sound_of(1), RATE, tags={SETTINGS: json.dumps({**GOOD, **changes})}))


def taken(page: Page, path: str | None) -> dict:
    return page._guarded(page._like)(path, *[None] * 9)


def test_they_fill_the_form(site, page):
    updates = taken(page, sent(site))
    fields = {**page._settings, **page._tabs["generate"].fields}
    values = {name: updates[component] for name, component in fields.items() if component in updates}
    assert (
        values.items()
        >= {
            "prompt": "a dog",
            "seed": str(2**60),
            "duration": 0.75,
            "num_inference_steps": 25,
            "negative_prompt": "music",
            "loudness": "-20",
        }.items()
    )
    assert updates[page._tab_bar] == gr.update(selected="generate") and updates[page._notice] == ""
    job = page._actions.submit(page._tabs["generate"].task, values)
    assert job.request.seed == 2**60 and job.request.options.negative_prompt == "music"


def test_what_is_missing_is_said(site, page):
    ranges = {"ranges": [[0.1, 0.2], [0.4, None]]}
    updates = taken(page, sent(site, task="inpaint", recording=True, parameters=ranges, checkpoint="audioldm2-full"))
    notice = updates[page._notice]
    assert "choose it again" in notice and "the first of the 2 ranges" in notice
    assert "made with audioldm2-full, which this server does not have" in notice
    assert updates[page._tab_bar] == gr.update(selected="inpaint")


def test_what_is_no_such_file(site, page):
    plain = str(site.uploaded())
    for path, message in (
        (plain, "recording.wav has no settings in its tags"),
        (sent(site, checkpoint="/etc/x"), "allowed: a name, and no path"),
        (None, "there is no file"),
        ("/etc/passwd", "choose it again"),
    ):
        notice = taken(page, path)[page._notice]
        assert message.lower() in notice.lower() and 'role="alert"' in notice and str(Path(site.uploads)) not in notice
