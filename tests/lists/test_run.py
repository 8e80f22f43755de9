"""Lists: what is made, what is gone on with, what is said of what could not be made."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm.cli import main
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.options import PRESETS, Options, Setting
from ppaudioldm.lists.run import generate_list
from ppaudioldm.lists.write import OutputOptions
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.lists.killed_runs import SAMPLES, pipeline, run
from tests.support import CONSISTENCYTTA

FAST = ["-c", "untrained", "-d", "0.3", "--steps", "1"]


def write_list(folder: Path, *lines: str, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_text("\n".join(lines), "utf-8")
    return path


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]


ERRORS = {"explode": RuntimeError("out of\nmemory")}


def counted(list_path: Path, folder: Path, **settings: Any) -> list[list[str]]:
    """The batches of prompts that are generated for the list."""
    counting = pipeline(errors=ERRORS)
    generate_list(list_path, folder, lambda: counting, checkpoint="fake", **settings)
    return counting.batches


# ---- What is made


def test_each_line_has_its_file_and_its_line(tmp_path):
    path = write_list(tmp_path, "a dog", "", "a cat|purr", "a cat|Purr", "../../etc/passwd", "a dog")
    report = run(path, tmp_path / "out", seed=5)
    assert (report.total, report.generated, report.existing, report.failed) == (5, 5, 0, {})
    expected = {1: "a_dog.wav", 3: "purr.wav", 4: "Purr-2.wav", 5: "etc_passwd.wav", 6: "a_dog-2.wav"}
    assert {record["line"]: record["file"] for record in records(tmp_path / "out")} == expected
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*expected.values(), "manifest.jsonl"])
    record = records(tmp_path / "out")[0]
    assert record["prompt"] == "a dog" and record["checkpoint"] == "fake" and record["score"] == 0.5
    assert record["samples"] == SAMPLES and record["settings"]["num_inference_steps"] == 10
    # What is asked for twice is not the same sound twice.
    assert [record["seed"] for record in records(tmp_path / "out")] == [5, 5, 5, 5, 6]


def test_a_checkpoint_without_clap_scores_nothing(tmp_path):
    """Such as consistencytta, and the diffusers folders of AudioLDM 1."""
    checkpoint = random_checkpoint("consistencytta", CONSISTENCYTTA, 0)
    opened = AudioLDM(checkpoint, EagerEngine(checkpoint, "cpu"))
    path = write_list(tmp_path, "prompt,candidates", "a,", "b,2", name="list.csv")
    report = generate_list(path, tmp_path / "out", lambda: opened, checkpoint="consistencytta", duration=0.3)
    (record,) = records(tmp_path / "out")
    assert record["score"] is None and record["settings"]["num_inference_steps"] == 1
    assert report.generated == 1 and "as there is no CLAP to rank" in report.failed[3]


def test_settings_of_a_line_come_before_those_of_all(tmp_path):
    path = write_list(tmp_path, "prompt,duration,seed,candidates", "a,2,,", "b,,7,", "c,,,3", name="list.csv")
    run(path, tmp_path / "out", seed=1, duration=5.0)
    by_prompt = {record["prompt"]: record for record in records(tmp_path / "out")}
    assert [by_prompt[p]["settings"]["duration"] for p in "abc"] == [2, 5, 5]
    assert [by_prompt[p]["seed"] for p in "abc"] == [1, 7, 1]
    assert by_prompt["c"]["settings"]["num_waveforms_per_prompt"] == 3


def test_variations_of_a_line(tmp_path):
    path = write_list(
        tmp_path, "prompt,name,variations,seed", "a,dog.flac,3,", "a,dog.flac,,", "b,,2,7", "c,,,", name="list.csv"
    )
    report = run(path, tmp_path / "out", seed=1, num_waveforms_per_prompt=2)
    assert (report.total, report.generated, report.missing) == (7, 7, 0)
    found = {record["file"]: record["seed"] for record in records(tmp_path / "out")}
    of_a = {"dog-1.flac": 1, "dog-2.flac": 3, "dog-3.flac": 5, "dog.flac": 7}
    assert found == of_a | {"b-1.wav": 7, "b-2.wav": 9, "c.wav": 1}
    assert run(path, tmp_path / "out", seed=1, num_waveforms_per_prompt=2).generated == 0
    write_list(tmp_path, "prompt,name,variations,seed", "b,,3,7", name="list.csv")
    assert run(path, tmp_path / "out", seed=1, num_waveforms_per_prompt=2).generated == 1
    assert records(tmp_path / "out")[-1]["seed"] == 11 and records(tmp_path / "out")[-1]["file"] == "b-3.wav"


def test_yes_and_no(tmp_path):
    path = write_list(tmp_path, "prompt,trim,stereo", "a,yes,TRUE", "b,no,0", "c,,", "d,perhaps,", name="list.csv")
    report = run(path, tmp_path / "out")
    assert report.failed == {5: "trim is 'perhaps', expected yes or no"}
    settings = {record["prompt"]: record["settings"] for record in records(tmp_path / "out")}
    assert [(settings[p]["trim"], settings[p]["stereo"]) for p in "abc"] == [
        (True, True),
        (False, False),
        (False, False),
    ]
    assert soundfile.info(tmp_path / "out" / "a.wav").channels == 2


def test_lines_of_equal_settings_are_made_together(tmp_path):
    path = write_list(tmp_path, "prompt,duration", "a,1", "b,2", "c,1", "d,2", "e,1", name="list.csv")
    assert counted(path, tmp_path / "out", batch_size=2) == [["a", "c"], ["e"], ["b", "d"]]
    several = counted(path, tmp_path / "several", batch_size=4, num_waveforms_per_prompt=2)
    assert several == [["a", "c"], ["e"], ["b", "d"]]


def test_a_name_may_choose_the_format(tmp_path):
    path = write_list(tmp_path, "a|x.flac", "b|v1.2", "c")
    run(path, tmp_path / "out", extension=".ogg")
    assert [record["file"] for record in records(tmp_path / "out")] == ["x.flac", "v1.2.ogg", "c.ogg"]


def test_names_of_candidates_and_pictures_are_not_taken_either(tmp_path):
    path = write_list(tmp_path, "a|x", "b|x_1")
    run(path, tmp_path / "out", num_waveforms_per_prompt=2, output=OutputOptions(spectrogram=True))
    assert [record["file"] for record in records(tmp_path / "out")] == ["x.wav", "x_1.wav"]
    generate_list(
        path,
        tmp_path / "all",
        lambda: AudioLDM.from_pretrained("untrained"),
        checkpoint="untrained",
        duration=0.3,
        num_inference_steps=1,
        num_waveforms_per_prompt=2,
        seed=4,
        output=OutputOptions(all_candidates=True),
    )
    first, second = records(tmp_path / "all")
    assert first["files"] == ["x.wav", "x_1.wav", "x_2.wav"] and second["file"] == "x_1-2.wav"
    assert [candidate["seed"] for candidate in first["candidates"]] == [4, 5]
    best = max(first["candidates"], key=lambda candidate: candidate["score"])
    assert (best["seed"], best["score"]) == (first["seed"], pytest.approx(first["score"]))
    assert (tmp_path / "all" / best["file"]).read_bytes() == (tmp_path / "all" / "x.wav").read_bytes()


def test_files_of_others_are_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "A.WAV").write_text("mine")
    run(write_list(tmp_path, "a"), tmp_path / "out")
    assert records(tmp_path / "out")[0]["file"] == "a-2.wav"
    assert (tmp_path / "out" / "A.WAV").read_text() == "mine"


def test_the_batch_does_not_change_a_sound(tmp_path):
    path = write_list(tmp_path, "a dog barks", "rain", "a dog barks", "a man speaks in a large hall")
    for size in (1, 3):
        arguments = ["--list", str(path), "--output-dir", str(tmp_path / str(size)), "--batch-size", str(size)]
        assert main(["generate", *arguments, *FAST, "--seed", "3"]) == 0
    assert [record["seed"] for record in records(tmp_path / "1")] == [3, 3, 4, 3]
    for record in records(tmp_path / "1"):
        one, three = (soundfile.read(tmp_path / size / record["file"])[0] for size in "13")
        np.testing.assert_allclose(one, three, atol=1e-4)
    # And it is the sound that the prompt and seed make alone.
    alone = tmp_path / "alone.wav"
    assert main(["generate", "a dog barks", *FAST, "--seed", "4", "-o", str(alone)]) == 0
    np.testing.assert_allclose(
        soundfile.read(alone)[0], soundfile.read(tmp_path / "3" / "a_dog_barks-2.wav")[0], atol=1e-4
    )


# ---- Going on


def test_what_is_there_is_not_made_again(tmp_path):
    path = write_list(tmp_path, "a", "b", "a")
    assert counted(path, tmp_path / "out") == [["a"], ["b"], ["a"]]
    assert counted(path, tmp_path / "out") == []
    (tmp_path / "out" / "b.wav").unlink()
    assert counted(path, tmp_path / "out") == [["b"]]
    assert len(records(tmp_path / "out")) == 3


def test_a_changed_list(tmp_path, caplog):
    run(write_list(tmp_path, "a", "b", "c"), tmp_path / "out")
    before = {record["file"]: (tmp_path / "out" / record["file"]).read_bytes() for record in records(tmp_path / "out")}
    # A new line in front, one that is gone, one that is changed.
    with caplog.at_level(logging.WARNING):
        made = counted(write_list(tmp_path, "new", "a", "c|name"), tmp_path / "out")
    assert made == [["new"], ["c"]]
    assert "holds 2 sounds of other lines or settings" in caplog.text
    assert {record["file"] for record in records(tmp_path / "out")} == {*before, "new.wav", "name.wav"}
    assert all((tmp_path / "out" / file).read_bytes() == content for file, content in before.items())


def test_other_settings_are_other_sounds(tmp_path):
    path = write_list(tmp_path, "a")
    for settings in (
        {},
        {"duration": 3.0},
        {"seed": 1},
        {"extension": ".flac"},
        {"output": OutputOptions(loudness=-20)},
    ):
        assert counted(path, tmp_path / "out", **settings) == [["a"]]
        assert counted(path, tmp_path / "out", **settings) == []
    assert counted(path, tmp_path / "out", batch_size=8) == []
    assert len({record["file"] for record in records(tmp_path / "out")}) == 5


# The keys that other versions wrote for LINES with 25 steps and a loudness of -20.
LINES = ("prompt,name,duration,seed,negative_prompt", "a dog,,,,", "a dog,,,,", "a cat,purr,2.5,7,hum")
OF_FIRST_VERSION = ("9e32b56c74a943cb", "79efc4aa15e09e75", "ecaa1df54b7e2c8d")
OF_0_1_0 = ("1537aec964d7f94a", "a5b5044bf327f4eb", "7a9b98890243b9dd")


def begun(folder: Path, keys: tuple[str, ...]) -> None:
    """A manifest that another version wrote, which was stopped before the last of `keys`."""
    folder.mkdir()
    for number, key in enumerate(keys[:-1]):
        (folder / f"{number}.wav").write_bytes(b"RIFF")
        record = {
            "line": number + 2,
            "key": key,
            "prompt": "a dog",
            "file": f"{number}.wav",
            "files": [f"{number}.wav"],
        }
        with (folder / "manifest.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")


@pytest.mark.parametrize("keys", [OF_FIRST_VERSION, OF_0_1_0])
def test_a_list_of_an_earlier_version_goes_on(tmp_path, caplog, keys):
    path = write_list(tmp_path, *LINES, name="list.csv")
    begun(tmp_path / "out", keys)
    output = OutputOptions(loudness=-20.0)
    assert counted(path, tmp_path / "out", num_inference_steps=25, output=output) == [["a cat"]]
    assert not caplog.text  # of sounds of other lines
    begun(tmp_path / "more", keys)  # a longer clip is another sound
    more = counted(path, tmp_path / "more", num_inference_steps=25, output=output, duration=11.0)
    assert more == [["a dog"], ["a dog"], ["a cat"]]


def test_a_list_goes_on_when_a_version_adds_a_setting(tmp_path, monkeypatch):
    path = write_list(tmp_path, "a", "b")
    run(path, tmp_path / "out")
    (tmp_path / "out" / "b.wav").unlink()

    @dataclass(frozen=True)
    class LaterOptions(Options):
        warmth: int = field(default=3, metadata={"setting": Setting("how warm", int, minimum=1, maximum=9)})

    @dataclass(frozen=True)
    class LaterOutput(OutputOptions):
        subtitles: bool = False

    monkeypatch.setattr("ppaudioldm.generation.options.Options", LaterOptions)
    monkeypatch.setitem(PRESETS, "fast", LaterOptions())
    assert counted(path, tmp_path / "out", output=LaterOutput()) == [["b"]]
    assert counted(path, tmp_path / "out", output=LaterOutput(), warmth=3) == []
    # What differs from the default is another sound.
    assert counted(path, tmp_path / "out", output=LaterOutput(), warmth=4) == [["a"], ["b"]]
    assert counted(path, tmp_path / "out", output=LaterOutput(subtitles=True)) == [["a"], ["b"]]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_wherever_it_touches_the_disk(tmp_path):
    path = write_list(tmp_path, "a", "b|name", "a")
    done = subprocess.run(
        [sys.executable, "-m", "tests.lists.killed_runs", str(path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) > 20
    names = ["a", "name", "a-2"]
    files = ["manifest.jsonl", *(name + extension for name in names for extension in (".wav", ".png"))]
    for found in runs:
        assert sorted(found["files"]) == sorted(files)
        assert {found["files"][f"{name}.wav"] for name in names} == {SAMPLES}
        assert {found["files"][f"{name}.png"] for name in names} == {1000}
        assert found["lines"] == [[1, "a.wav"], [2, "name.wav"], [3, "a-2.wav"]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_the_command_killed_twice_and_started_again(tmp_path):
    path = write_list(tmp_path, *(f"sound {i % 4}" for i in range(8)))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ppaudioldm.cli", "generate", "--list", str(path), "--output-dir", str(out), *FAST]
    manifest = out / "manifest.jsonl"
    for _ in range(2):
        before = manifest.stat().st_size if manifest.exists() else 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not manifest.exists() or manifest.stat().st_size <= before):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    assert sorted(record["line"] for record in records(out)) == list(range(1, 9))
    files = sorted(record["file"] for record in records(out))
    assert files == sorted(f"sound_{i}{suffix}.wav" for i in range(4) for suffix in ("", "-2"))
    assert sorted(os.listdir(out)) == sorted([*files, "manifest.jsonl"])
    assert {len(soundfile.read(out / file)[0]) for file in files} == {4800}


# ---- What goes wrong


def test_what_fails_does_not_stop_the_others(tmp_path):
    path = write_list(tmp_path, "a", "explode", "b", "\0", "c")
    report = generate_list(path, tmp_path / "out", lambda: pipeline(errors=ERRORS), checkpoint="fake", batch_size=4)
    assert [record["prompt"] for record in records(tmp_path / "out")] == ["a", "b", "c"]
    assert report.failed == {2: "RuntimeError: out of\nmemory", 4: "holds a NUL byte"}
    assert (report.total, report.generated) == (5, 3)
    assert counted(path, tmp_path / "out") == [["explode"]]


@pytest.mark.parametrize("batch_size", [1, 12])
def test_what_is_not_finite_does_not_lose_the_rest(tmp_path, batch_size):
    """Neither another line nor another candidate; the line without a sound is tried again."""
    path = write_list(tmp_path, "a dog", "nan", "a cat with a gap")
    output = OutputOptions(all_candidates=True)
    for already in (0, 2):
        report = run(path, tmp_path / "out", seed=5, num_waveforms_per_prompt=3, batch_size=batch_size, output=output)
        assert (report.generated, report.existing) == (2 - already, already)
        assert report.failed == {2: "the networks computed samples that are not finite"}
    dog, cat = records(tmp_path / "out")
    assert [candidate["seed"] for candidate in dog["candidates"]] == [5, 6, 7]
    assert [candidate["file"] for candidate in cat["candidates"]] == [f"a_cat_with_a_gap_{i}.wav" for i in (1, 3)]
    assert cat["files"] == ["a_cat_with_a_gap.wav", "a_cat_with_a_gap_1.wav", "a_cat_with_a_gap_3.wav"]
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*dog["files"], *cat["files"], "manifest.jsonl"])


def test_a_full_disk_stops_the_run(tmp_path, monkeypatch):
    path = write_list(tmp_path, "a", "b")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device"):
        patch.setattr(os, "fsync", full)
        run(path, tmp_path / "out")
    assert counted(path, tmp_path / "out") == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": 0.1}, "duration is 0.1"),
        ({"seed": -1}, "seed is -1"),
        ({"extension": ".txt"}, "unknown format '.txt'"),
        ({"output": OutputOptions(loudness=3)}, "loudness is 3"),
    ],
)
def test_what_is_wrong_with_every_line_is_said_at_once(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        run(write_list(tmp_path, "a"), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path, capsys):
    path = write_list(tmp_path, "prompt,duration", "a dog,0.3", "a cat,1e9", "bird,x", "rain,0.4", name="list.csv")
    arguments = ["generate", "--list", str(path), "--output-dir", str(tmp_path / "out"), *FAST]
    assert main([*arguments, "--json", "--format", "mp3", "--loudness", "-20"]) == 1
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == records(tmp_path / "out")
    assert [record["samples"] for record in records(tmp_path / "out")] == [4800, 6400]
    assert captured.err.splitlines()[1:] == [
        f"ppaudioldm: {path}, line 3: duration is 1000000000.0, allowed: 0.3 to 600 seconds",
        f"ppaudioldm: {path}, line 4: duration is 'x', expected a number",
        "ppaudioldm: 2 of 4 generated, 2 failed",
    ]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out.count("CLAP score") == 2  # WAV now


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate"], "a prompt or --list is needed"),
        (["generate", "x", "--list", "a"], "and not both"),
        (["generate", "--list", "a"], "--list needs --output-dir"),
        (["generate", "--list", "a", "--output-dir", "b", "-o", "c"], "and no --output"),
        (["generate", "x", "--output-dir", "b"], "--output-dir is for --list"),
        (["generate", "--list", "none", "--output-dir", "b", "-c", "untrained"], "No such file or directory: 'none'"),
        (["generate", "--list", "/dev/zero", "--output-dir", "b", "-c", "untrained"], "is a device or pipe"),
    ],
)
def test_impossible_commands(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
