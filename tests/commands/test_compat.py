"""The original's command line: its flags, its defaults, its file names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm.cli import main
from ppaudioldm.commands import compat
from ppaudioldm.generation.clip import Clip
from ppaudioldm.installed import chosen_framework
from ppaudioldm.pipeline import AudioLDM
from tests.text.test_phonemes import speech

GPUS = {"paddle": "gpu:0", "torch": "cuda:0"}  # as each framework spells the first one


class Recorder:
    """A pipeline that says what it was asked for."""

    class checkpoint:
        is_random = False

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def generate(self, prompt, *, progress=None, **settings):
        self.calls.append({"prompt": prompt, **settings})
        return Clip(np.full((1, 1600), 0.1, np.float32), 16000, (prompt,), (settings["seed"],))


@pytest.fixture
def pipeline(monkeypatch, tmp_path):
    recorder = Recorder()
    opened: list[Any] = []
    recorder.opened = opened

    def open_pipeline(options):
        opened.append(options)
        return recorder

    monkeypatch.setattr(compat, "open_pipeline", open_pipeline)
    monkeypatch.setattr(AudioLDM, "generate", Recorder.generate)  # what the registry runs
    monkeypatch.chdir(tmp_path)
    return recorder


def made(folder) -> list[str]:
    """What is in the one folder, named after the time, that a run makes."""
    (dated,) = folder.iterdir()
    numbers = dated.name.split("_")
    assert [len(number) for number in numbers] == [2, 2, 4, 2, 2, 2] and all(map(str.isdigit, numbers))
    return sorted(path.name for path in dated.iterdir())


def test_defaults_are_the_originals(pipeline, tmp_path):
    assert main(["compat", "-t", "A dog barks. Loud?"]) == 0
    assert made(tmp_path / "output") == ["A dog barks. Loud?.wav"]
    assert pipeline.calls == [
        {
            "prompt": "A dog barks. Loud?",
            "seed": 0,
            "preset": "original",
            "duration": 10.0,
            "num_inference_steps": 200,
            "guidance_scale": 3.5,
            "num_waveforms_per_prompt": 3,
            "batch_size": 1,
        }
    ]
    (options,) = pipeline.opened
    assert (options.checkpoint, options.device) == ("audioldm2-full", None)


def test_every_flag(pipeline, tmp_path, capsys):
    flags = ["-t", "rain|drops", "-s", "here", "--model_name", "audioldm_48k", "-d", "cuda:0"]
    flags += ["--framework", chosen_framework()]
    flags += ["-b", "2", "--ddim_steps", "50", "-gs", "2.5", "-dur", "5", "-n", "4", "--seed", "7"]
    assert main(["compat", *flags]) == 0
    assert made(tmp_path / "here") == ["drops_0.wav", "drops_1.wav"]
    first, second = pipeline.calls
    assert first == {
        "prompt": "rain",
        "seed": 7,
        "preset": "original",
        "duration": 5.0,
        "num_inference_steps": 50,
        "guidance_scale": 2.5,
        "num_waveforms_per_prompt": 4,
        "batch_size": 2,
    }
    assert second == first | {"seed": 11}  # beyond the candidates of the first
    (options,) = pipeline.opened
    assert (options.checkpoint, options.device) == ("audioldm_48k", GPUS[chosen_framework()])
    assert capsys.readouterr().err == ""


def test_names_in_a_list(pipeline, tmp_path):
    lines = ["x" * 200, "a/b c", "rain|folder/drops.wav", "rain", "rain", "..", "b\tell"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert main(["compat", "-tl", "list.txt", "-s", "out"]) == 0
    names = ["x" * 128, "b c", "drops", "rain", "rain-2", "clip", "b_ell"]
    assert made(tmp_path / "out") == sorted(f"{name}.wav" for name in names)
    assert [call["prompt"] for call in pipeline.calls] == [line.partition("|")[0] for line in lines]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-t", "x", "-f", "x.wav"], "--file_path is only for --mode sr_inpainting"),
        (["-t", "x", "-dur", "5"], "this generates 5 s; the original, with audioldm2-full, always 10 s"),
        (["-t", "x", "-tl", "list.txt"], "--text is not used"),
    ],
)
def test_what_differs_is_said_in_one_line(pipeline, tmp_path, capsys, flags, message):
    (tmp_path / "list.txt").write_text("a")
    assert main(["compat", *flags]) == 0
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--text is ''"),
        (["-t", "x", "--ddim_steps", "0"], "--steps is 0"),
        (["-t", "x", "-b", "0"], "batch_size is 0, allowed: 1 to 64"),
        (["-t", "x", "--seed", "-1"], "seed is -1"),
        (["-t", "x", "--model_name", "audioldm2"], "invalid choice: 'audioldm2'"),
        (["-t", "x", "--model_name", "audioldm2-speech-ljspeech"], "--transcription is missing"),
        (["-tl", "none.txt"], "No such file"),
        (["-tl", "list.txt"], "list.txt, line 2: holds a NUL byte"),
        (["--mode", "sr_inpainting"], "--file_path is missing"),
        (["--mode", "sr_inpainting", "-f", "list.txt"], "list.txt is not a sound file"),
    ],
)
def test_what_cannot_be(pipeline, tmp_path, capsys, flags, message):
    (tmp_path / "list.txt").write_text("a\n\0\n")
    with pytest.raises(SystemExit) as stopped:  # argparse leaves so itself
        raise SystemExit(main(["compat", *flags]))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


@speech
def test_speech(pipeline, tmp_path, capsys, monkeypatch):
    said = []

    def speak(pipeline, text, *, speaker, **settings):
        said.append((text, speaker))
        return pipeline.generate(speaker, **settings)

    monkeypatch.setattr("ppaudioldm.tasks.speak.speak", speak)
    assert main(["compat", "--transcription", "Good day"]) == 0
    assert said == [("Good day", "A female reporter is speaking full of emotion")]
    assert made(tmp_path / "output") == ["A female reporter is speaking full of emotion-TTS-Good day.wav"]
    assert pipeline.opened[0].checkpoint == "audioldm2-speech-gigaspeech"
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 2 and "audioldm2-speech-gigaspeech is used" in notes[0] and "--text" in notes[1]


@pytest.mark.parametrize("mode", compat.MODES)
def test_the_command_makes_sound(tmp_path, mode):
    tone = 0.3 * np.sin(np.arange(8000) / 10)
    soundfile.write(tmp_path / "x.wav", tone, 8000)
    flags = ["-t", "rain", "-s", str(tmp_path / "out"), "--model_name", "untrained", "--ddim_steps", "2", "-n", "1"]
    flags += ["-dur", "2", "--mode", mode, "-f", str(tmp_path / "x.wav"), "--framework", chosen_framework()]
    assert main(["compat", *flags]) == 0
    assert made(tmp_path / "out") == ["rain.wav"]
    samples, rate = soundfile.read(next((tmp_path / "out").rglob("*.wav")))
    assert (len(samples), rate) == (32000, 16000)
    if mode == "sr_inpainting":
        kept = 0.3 * np.sin(np.arange(32000) / 20)
        assert np.abs(samples - kept)[200:12000].max() < 0.01
        assert not samples[27000:].any() and samples[13000:19000].std() > 0


def options():
    import argparse

    return argparse.Namespace(framework=None)
