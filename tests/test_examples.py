"""What examples/ shows works."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import soundfile

EXAMPLE = Path(__file__).parents[1] / "examples" / "run_predict.py"


@pytest.fixture
def example():
    return runpy.run_path(str(EXAMPLE))


def test_run_predict(example, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("rain\n\0\nrain|drops\nrain\n")
    flags = ["--model_name_or_path", "untrained", "--text_list", str(tmp_path / "list.txt"), "--ddim_steps", "2"]
    flags += ["--duration", "0.5", "--n_candidate_gen_per_text", "2", "--batchsize", "2", "--seed", "3"]
    example["main"]([*flags, "--save_path", str(tmp_path / "out")])
    (folder,) = (tmp_path / "out").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["drops.wav", "rain-2.wav", "rain.wav"]
    assert {len(soundfile.read(path)[0]) for path in folder.iterdir()} == {8000}
    out = capsys.readouterr().out
    assert f"Save audio to {folder / 'drops.wav'}" in out and "line 2: holds a NUL byte" in out


def test_names_of_the_hub(example):
    name = example["checkpoint_name"]
    assert name("haoheliu/audioldm2-full") == "audioldm2-full"
    assert name("haoheliu/audioldm2-speech-gigaspeech") == "audioldm2-speech-gigaspeech"
    assert name("cvssp/audioldm2") == "cvssp/audioldm2"
    assert name("my/file.pth") == "my/file.pth"
