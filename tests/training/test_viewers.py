"""What TensorBoard and VisualDL show of a run, read back from their files."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppaudioldm.commands import train as command
from ppaudioldm.training import loop
from ppaudioldm.training.settings import LEFT, RunConfig
from ppaudioldm.training.state import read_log
from tests.training.test_loop import RUN, LineStage

RATE = 16000


class SampledStage(LineStage):
    """The line through points, with a picture and a sound besides the text."""

    def sample(self, samples: Any) -> None:
        super().sample(samples)
        samples.spectrograms([[np.full((20, 8), -5.0), np.zeros((10, 8))]])
        samples.sound("100 %", np.array([0.5, -2.0, 1.0, 0.0], np.float32), RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run with both viewers, stopped after 6 steps and resumed to the end at 12."""
    folder = tmp_path_factory.mktemp("run")
    run = replace(RUN, viewers=("tensorboard", "visualdl"))
    loop.train(SampledStage(), replace(run, steps=6), folder)
    loop.train(SampledStage(), run, folder)
    return folder


def tensorboard_values(folder: Path) -> list[tuple[int, Any]]:
    """(step, value) of all summaries in the event files, whose records are length, checksum, content, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            found += [(event.step, value) for value in event.summary.value]
            content = content[16 + length :]
    return found


def test_tensorboard(folder):
    values = tensorboard_values(folder / "tensorboard")
    logged = [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]
    assert [(step, pytest.approx(v.simple_value, abs=1e-5)) for step, v in values if v.tag == "loss"] == logged
    assert [step for step, value in values if value.tag == "held_out"] == [6, 12]
    pictures = [value.image for _, value in values if value.tag == "spectrograms"]
    assert [(picture.width, picture.height) for picture in pictures] == [(46, 16)] * 2
    sounds = [value.audio for _, value in values if value.tag == "100"]
    assert [(sound.sample_rate, sound.length_frames) for sound in sounds] == [(RATE, 4)] * 2
    assert sum(value.tag.startswith("texts") for _, value in values) == 2


def test_visualdl(folder):
    from visualdl import LogReader

    found: dict[str, list[int]] = {}
    for path in sorted((folder / "visualdl").iterdir()):
        reader = LogReader(file_path=str(path))
        for kind, tags in reader.get_tags().items():
            for tag in tags:
                found.setdefault(f"{kind} {tag}", []).extend(record.id for record in reader.get_data(kind, tag))
    assert found["scalar loss"] == list(range(1, 13)) and found["scalar held_out"] == [6, 12]
    assert found["image spectrograms"] == found["audio 100"] == found["text texts"] == [6, 12]


def test_files_are_as_without_viewers(folder):
    names = {path.name for path in (folder / "samples").iterdir()}
    assert names == {f"line-{step:06d}{end}" for step in (6, 12) for end in (".txt", ".png", "-100 %.wav")}


def test_viewers_that_are_not_there(monkeypatch):
    with pytest.raises(ValueError, match="viewers has 'wandb', choose from tensorboard, visualdl"):
        RunConfig(viewers=("wandb",))
    monkeypatch.setattr("ppaudioldm.training.viewers.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'visualdl', which needs visualdl: pip install 'ppaudioldm\[train\]'"):
        RunConfig(viewers=("visualdl",))


def test_nothing_of_them_is_imported_without_need(tmp_path):
    before = {name for name in sys.modules if name.partition(".")[0] in ("tensorboardX", "visualdl")}
    loop.train(LineStage(), replace(RUN, steps=1), tmp_path)
    after = {name for name in sys.modules if name.partition(".")[0] in ("tensorboardX", "visualdl")}
    assert after == before and {path.name for path in tmp_path.iterdir()} <= {
        "log.jsonl",
        "samples",
        "state.safetensors",
    }


@pytest.mark.parametrize(("seconds", "text"), [(5.4, "0:05"), (125, "2:05"), (3723, "1:02:03"), (360000, "100:00:00")])
def test_the_time_left_on_the_command_line(seconds, text):
    assert command._values({"loss": 0.25, LEFT: seconds}) == f"loss 0.25  {text} left"
