"""Sound from sound on the command line: files, reports, and what is wrong said before a checkpoint is opened."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ppaudioldm.cli import main
from ppaudioldm.generation.clip import Interrupted
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from tests.generation.test_length import SMALL
from tests.tasks.examples import sound
from tests.test_cli import failure

FAST = ["-c", "untrained", "--steps", "1", "--seed", "3"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a recording of 0.8 s, stereo, 24 bits at 22050 Hz."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("dog.wav", sound(0.8, 22050, 2), 22050, "PCM_24")
    return tmp_path


def report(capsys, *arguments: str) -> dict:
    assert main([*arguments, *FAST, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_inpaint(folder, capsys):
    told = report(capsys, "inpaint", "--audio", "dog.wav", "--range", "0.2:0.3", "--range", "0.7:")
    assert told["file"] == "dog-inpaint.wav" and told["samples"] == 17640 and told["sample_rate"] == 22050
    assert told["kept"] == [[0, 3969], [7056, 14994]] and told["fade"] == 0.02 and told["channels"] == 2
    assert told["ranges"] == [[0.2, 0.3], [0.7, None]] and told["prompt"] is None and told["seed"] == 3
    assert "encode" in told["seconds"] and told["settings"]["duration"] == 0.8
    before, after = (soundfile.read(name, dtype="int32")[0] for name in ("dog.wav", "dog-inpaint.wav"))
    assert soundfile.info("dog-inpaint.wav").subtype == "PCM_24"
    for start, end in told["kept"]:
        np.testing.assert_array_equal(after[start:end], before[start:end])


@pytest.mark.parametrize(
    ("arguments", "file", "samples", "rate"),
    [
        (["vary", "--audio", "dog.wav", "--duration", "0.4"], "dog-vary.wav", 6400, 16000),
        (["restyle", "an organ", "--audio", "dog.wav", "--strength", "0.3"], "dog-restyle.wav", 12800, 16000),
        (["extend", "--audio", "dog.wav", "rain", "--duration", "1"], "dog-extend.wav", 22050, 22050),
        (["loop", "rain", "--duration", "0.5"], "rain.wav", 8000, 16000),
        (["loop", "--audio", "dog.wav", "-o", "x.flac"], "x.flac", 17640, 22050),
        (["upscale", "--audio", "dog.wav", "--cutoff", "3000"], "dog-upscale.wav", 17640, 22050),
    ],
)
def test_the_others(arguments, file, samples, rate, folder, capsys):
    told = report(capsys, *arguments)
    assert (told["file"], told["samples"], told["sample_rate"]) == (file, samples, rate)
    assert soundfile.info(folder / file).frames == samples
    assert told.get("cutoff") == (3000 if arguments[0] == "upscale" else None)


@pytest.mark.parametrize(
    ("arguments", "is_low"),
    [
        (["vary", "--audio", "dog.wav", "--duration", "0.4"], True),
        (["inpaint", "--audio", "dog.wav", "--range", "0.2:0.3"], True),
        (["extend", "--audio", "dog.wav", "rain", "--duration", "11"], False),
        (["extend", "--audio", "dog.wav", "rain", "--duration", "11", "--low-memory"], True),
    ],
)
def test_what_is_made_at_once_is_made_with_little_memory(arguments, is_low, folder, monkeypatch):
    opened, chosen = AudioLDM.from_pretrained, []
    monkeypatch.setattr(
        AudioLDM, "from_pretrained", lambda name, **settings: chosen.append(settings) or opened(name, **settings)
    )
    write_native(random_checkpoint("small", SMALL, 0), folder / "small")
    assert main([*arguments, *FAST, "-c", str(folder / "small"), "--json"]) == 0
    assert [settings["low_memory"] for settings in chosen] == [is_low]


def test_rank(folder, capsys):
    soundfile.write("cat.wav", sound(0.5, seed=1), 16000)
    assert main(["rank", "a dog", "a cat", "--audio", "dog.wav", "cat.wav", "-c", "untrained", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in told["files"]] == ["dog.wav", "cat.wav"]
    assert np.shape([row["scores"] for row in told["files"]]) == (2, 2) and told["prompts"] == ["a dog", "a cat"]
    assert main(["rank", "a dog", "--audio", "dog.wav", "cat.wav", "-c", "untrained"]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    scores = [float(line.split()[0]) for line in lines]
    assert title == "a dog" and scores == sorted(scores, reverse=True)
    assert {line.split()[1] for line in lines} == {"dog.wav", "cat.wav"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["inpaint", "--audio", "dog.wav"], "no ranges and no frequencies"),
        (["inpaint", "--audio", "dog.wav", "--range", "0.5:2"], "range is 0.5:2, allowed"),
        (["inpaint", "--audio", "dog.wav", "--range", "2:3"], "within 0 to 0.8 seconds"),
        (["inpaint", "--audio", "dog.wav", "--range", "a"], "'a' is not START:END"),
        (["inpaint", "--audio", "dog.wav", "--range", "1:x"], "'1:x' is not START:END"),
        (["inpaint", "--audio", "dog.wav", "--range", "nan:1"], "range is"),
        (["inpaint", "--audio", "dog.wav", "--frequencies", "2000:9000"], "within 0 to 8000 Hz"),
        (["inpaint", "--audio", "dog.wav", "--frequencies", "12000:13000"], "within 0 to 8000 Hz"),
        (["inpaint", "--audio", "none.wav", "--range", "0:1"], "none.wav"),
        (["inpaint", "--audio", "text.wav", "--range", "0:1"], "text.wav is not a sound file"),
        (["inpaint", "--audio", "empty.wav", "--range", "0:1"], "empty.wav: the file holds no samples"),
        (["inpaint", "--audio", "nan.wav", "--range", "0:1"], "nan.wav: the file holds NaN"),
        (["inpaint", "--audio", "long.wav", "--range", "0:1"], "long.wav: the recording lasts 700.0 seconds"),
        (["inpaint", "", "--audio", "dog.wav", "--range", "0:0.5"], "prompt is ''"),
        (["inpaint", "--audio", "dog.wav", "--range", "0:0.5", "-o", "x.txt"], "unknown extension '.txt'"),
        (["inpaint", "--audio", "dog.wav", "--range", "0:0.5", "--steps", "0"], "--steps is 0"),
        (["inpaint", "--range", "0:0.5"], "--audio"),
        (["inpaint", "--audio", "bat.wav", "--range", "0:0.1", "-o", "x.mp3"], "x.mp3: 1 channels at 96000 Hz"),
        (["extend", "--audio", "bat.wav", "-o", "x.mp3"], "1 channels at 96000 Hz"),
        (["loop", "--audio", "bat.wav", "--format", "mp3"], "1 channels at 96000 Hz"),
        (["upscale", "--audio", "bat.wav", "-o", "x.mp3"], "1 channels at 96000 Hz"),
        (["inpaint", "--audio", "many.wav", "--range", "0:0.1", "-o", "x.mp3"], "8 channels at 16000 Hz"),
        (["restyle", "--audio", "dog.wav"], "prompt"),
        (["restyle", "x", "--audio", "dog.wav", "--strength", "0"], "strength is 0.0, allowed: above 0, at most 1"),
        (["restyle", "x", "--audio", "dog.wav", "--strength", "2"], "strength is 2.0"),
        (["extend", "--audio", "dog.wav", "--duration", "0.5"], "allowed: more than the recording's 0.8 seconds"),
        (["extend", "--audio", "dog.wav", "--duration", "601"], "duration is 601.0"),
        (["loop"], "no prompt and no audio"),
        (["extend", "--audio", "dog.wav", "-c", "audioldm_16k_crossattn_t5"], "prompt is missing, which"),
        (["loop", "x", "--duration", "0"], "duration is 0.0"),
        (["upscale", "--audio", "dog.wav", "--cutoff", "7950"], "cutoff is 7950.0, allowed: 500 to 7900 Hz"),
        (["upscale", "--audio", "dog.wav", "-c", "audioldm_16k_crossattn_t5"], "prompt is missing, which"),
        (
            ["vary", "x", "--audio", "dog.wav", "-c", "cvssp/audioldm2"],
            "cvssp/audioldm2 has no network that encodes a recording, choose",
        ),
        (["vary", "--audio", "dog.wav", "-c", "audioldm2-speech-ljspeech"], "use the task speak"),
        (["rank", "", "--audio", "dog.wav"], "prompt is ''"),
        (["rank", "x", "--audio", "dog.wav", "text.wav"], "text.wav is not a sound file"),
        (["rank", "x"], "--audio"),
    ],
)
def test_what_is_wrong_is_one_line_before_a_checkpoint_is_opened(arguments, named, folder, capsys, monkeypatch):
    def unopened(*_, **__):
        raise AssertionError("a checkpoint was opened")

    monkeypatch.setattr("ppaudioldm.commands.tasks.open_pipeline", unopened)
    (folder / "text.wav").write_text("hello")
    soundfile.write("bat.wav", sound(0.2, 96000), 96000)
    soundfile.write("many.wav", sound(0.2, 16000, 8), 16000)
    soundfile.write("empty.wav", np.zeros(0), 16000)
    soundfile.write("nan.wav", np.array([0, np.nan]), 16000, "FLOAT")
    soundfile.write("long.wav", np.zeros(700_000, np.int16), 1000)
    before = sorted(folder.iterdir())
    assert named in failure(capsys, *arguments)
    assert sorted(folder.iterdir()) == before


def test_a_recording_that_needs_no_upscaling(folder, capsys):
    soundfile.write("wide.wav", sound(0.5), 16000)
    assert "there is nothing to generate" in failure(capsys, "upscale", "--audio", "wide.wav", *FAST)


@pytest.mark.parametrize("complete", [True, False])
def test_interrupt(complete, folder, monkeypatch, capsys):
    def interrupted(pipeline, *args, **settings):
        clip = generate(pipeline, *args, **settings)
        raise Interrupted(clip if complete else None)

    generate = AudioLDM.generate
    monkeypatch.setattr(AudioLDM, "generate", interrupted)
    assert main(["inpaint", "--audio", "dog.wav", "--range", "0.2:0.3", *FAST]) == 130
    assert (folder / "dog-inpaint.wav").exists() == complete
    assert "stopped" in capsys.readouterr().err
    if complete:  # the candidate that was ready is joined as any other
        before, after = (soundfile.read(name, dtype="int32")[0] for name in ("dog.wav", "dog-inpaint.wav"))
        np.testing.assert_array_equal(after[:3969], before[:3969])


def test_help_imports_no_framework():
    code = "import sys, ppaudioldm.cli as c\ntry: c.main(['inpaint', '--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'paddle', 'torch', 'numpy', 'openvino', 'PIL'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--frequencies" in result.stdout and "examples:" in result.stdout
