"""Every setting and task is offered by all four surfaces: command line, lists, HTTP and page, which derive them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable

import pytest
from fastapi.testclient import TestClient

from ppaudioldm import cli
from ppaudioldm.generation.options import Options, Setting
from ppaudioldm.lists import columns
from ppaudioldm.serving import generation_fields
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Parameter, Task, Use
from ppaudioldm.ui import field
from ppaudioldm.ui.page import Page
from tests.ui.examples import OpenPage, opened


def commands() -> dict[str, argparse.ArgumentParser]:
    """Name -> parser of every command."""
    actions = cli._parser()._actions
    return next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))


def on_the_command_line() -> set[str]:
    return {action.dest for action in commands()["generate"]._actions}


def in_lists() -> set[str]:
    return {keyword for keyword, _ in columns.columns().values()}


def over_http() -> set[str]:
    return set(generation_fields.request_model().model_fields)


def on_the_page(site: OpenPage) -> set[str]:
    page = Page(site.actions, all_voices())
    components = [*page._settings, *page._tabs["generate"].fields]
    return {name.removesuffix("_from").removesuffix("_to") for name in components}


@pytest.fixture
def surfaces(tmp_path):
    """Name -> the settings that it offers, and those that it leaves out on purpose."""
    with opened(tmp_path) as site:
        yield {
            "command line": (on_the_command_line, ()),
            "list columns": (in_lists, columns.LEFT_OUT),
            "HTTP": (over_http, generation_fields.LEFT_OUT),
            "page": (lambda: on_the_page(site), tuple(field.LEFT_OUT)),
        }


Surfaces = dict[str, tuple[Callable[[], set[str]], tuple[str, ...]]]


def missing(surfaces: Surfaces, names: Iterable[str]) -> list[tuple[str, str]]:
    """(surface, name) of every setting of `names` that a surface neither offers nor leaves out on purpose."""
    names = list(names)
    covered = {surface: {*offered(), *left_out} for surface, (offered, left_out) in surfaces.items()}
    return [(surface, name) for surface, known in covered.items() for name in names if name not in known]


def setting_names() -> list[str]:
    return [item.name for item in dataclasses.fields(Options)]


def test_every_setting_is_offered_or_left_out_on_purpose(surfaces):
    assert missing(surfaces, setting_names()) == []
    for offered, left_out in surfaces.values():
        assert set(left_out) <= set(setting_names()) - offered()


def test_a_setting_that_is_nowhere_is_found(surfaces):
    names = [*setting_names(), "dummy"]
    assert missing(surfaces, names) == [(surface, "dummy") for surface in surfaces]


def test_a_new_setting_appears_everywhere(surfaces, monkeypatch):
    setting = Setting("how much of a dummy it is", float, minimum=0, maximum=9, flags=("--dummy",))

    @dataclasses.dataclass(frozen=True)
    class Scratch:
        dummy: float = dataclasses.field(default=1.0, metadata={"setting": setting})

    monkeypatch.setitem(Options.__dataclass_fields__, "dummy", Scratch.__dataclass_fields__["dummy"])
    monkeypatch.setattr(Options, "dummy", 1.0, raising=False)
    assert setting_names()[-1] == "dummy"
    assert missing(surfaces, setting_names()) == []
    assert commands()["generate"].parse_args(["a bell", "--dummy", "3"]).dummy == 3


def test_a_new_task_appears_everywhere(tmp_path, monkeypatch):
    task = Task(
        name="dummy",
        title="Dummy",
        action="Do it",
        summary="do nothing",
        function="tests.test_surfaces:nothing",
        audio=Use.REQUIRED,
        parameters=(Parameter("amount", float, 0.5, "how much", "--amount", "Amount", minimum=0, maximum=1),),
    )
    monkeypatch.setitem(TASKS, "dummy", task)
    parsed = commands()["dummy"].parse_args(["a bell", "--audio", "a.wav", "--amount", "0.25"])
    assert (parsed.prompt, parsed.audio, parsed.amount) == ("a bell", "a.wav", 0.25)
    with opened(tmp_path) as site:
        document = TestClient(site.app, "http://localhost").get("/openapi.json").json()
        page = Page(site.actions, all_voices())
    body = document["paths"]["/v1/generations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "dummy" in body["properties"]["task"]["enum"] and body["properties"]["amount"]["maximum"] == 1
    assert set(page._tabs["dummy"].fields) == {"recording", "prompt", "duration", "amount"}
    assert page._tabs["dummy"].button.value == "Do it"
