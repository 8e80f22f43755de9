"""The command line as a user meets it: files, messages, exit codes."""

from __future__ import annotations

import errno
import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from ppaudioldm.audio import write
from ppaudioldm.audio.loudness import loudness
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.cli import main
from ppaudioldm.commands import console

FAST = ["--checkpoint", "untrained", "--duration", "0.5", "--steps", "1"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ppaudioldm.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def failure(capsys, *arguments: str) -> str:
    """The one line that `arguments` fail with, and exit code 2."""
    try:
        code = main(list(arguments))
    except SystemExit as error:  # argparse
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_file_has_exactly_the_samples_asked_for(tmp_path, capsys):
    path = tmp_path / "a.wav"
    assert main(["generate", "a dog barks", *FAST, "-o", str(path)]) == 0
    samples, rate = soundfile.read(path)
    assert samples.shape == (8000,)
    assert rate == 16000
    assert str(path) in capsys.readouterr().out


def test_random_weights_are_said_to_be_noise(tmp_path, capsys):
    main(["generate", "a dog barks", *FAST, "-o", str(tmp_path / "a.wav")])
    assert "noise" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["a/b\\c: what?", "x" * 10_000, "../../etc/passwd", "雨の音 🌧️", "-"])
def test_default_name_is_safe(prompt, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", *FAST, "--", prompt]) == 0
    (made,) = tmp_path.iterdir()
    assert made.suffix == ".wav"


def test_a_name_that_the_terminal_cannot_show(tmp_path):
    done = run("generate", "x", *FAST, "-o", str(tmp_path / "雨.wav"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"\u96e8.wav" in done.stdout and (tmp_path / "雨.wav").is_file()


def test_second_run_does_not_overwrite_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["generate", "rain", *FAST]) == 0
    assert len(list(tmp_path.glob("rain*.wav"))) == 2


def test_pictures_and_candidates_of_another_format_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extras = ["--spectrogram", "--all-candidates", "-n", "2"]
    for extension in ("wav", "flac"):
        assert main(["generate", "rain", *FAST, *extras, "--format", extension]) == 0
    expected = {f"rain{end}" for end in (".wav", ".png", "_1.wav", "_2.wav")}
    assert set(os.listdir()) == expected | {f"rain-2{end}" for end in (".flac", ".png", "_1.flac", "_2.flac")}


def test_output_folder(tmp_path):
    assert main(["generate", "rain", *FAST, "-o", str(tmp_path)]) == 0
    assert (tmp_path / "rain.wav").is_file()


def test_json_reports_stages_and_repeats(tmp_path, capsys):
    first, second = tmp_path / "a.flac", tmp_path / "b.flac"
    assert main(["generate", "rain", *FAST, "-n", "2", "-o", str(first), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["seconds"]) == {"open", "load", "text", "denoise", "decode", "vocoder", "rank", "total"}
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["samples"] == 8000 and report["sample_rate"] == 16000 and report["file"] == str(first)
    assert -1 <= report["score"] <= 1
    # The seed reported is the chosen candidate's: it makes the same clip alone.
    assert main(["generate", "rain", *FAST, "--seed", str(report["seed"]), "-o", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["generate", ""], "prompt is ''"),
        (["generate", "   "], "prompt is '   '"),
        (["generate", "x", "--duration", "0"], "duration is 0.0, allowed: 0.3 to 600 seconds"),
        (["generate", "x", "--duration", "-1"], "duration is -1.0"),
        (["generate", "x", "--duration", "nan"], "duration is nan"),
        (["generate", "x", "--duration", "inf"], "duration is inf"),
        (["generate", "x", "--duration", "1e9"], "duration is 1000000000.0"),
        (["generate", "x", "--duration", "ten"], "invalid float value: 'ten'"),
        (["generate", "x", "--steps", "0"], "--steps is 0, allowed: 1 to 1000"),
        (["generate", "x", "--steps", "1001"], "--steps is 1001"),
        (["generate", "x", "--candidates", "0"], "--candidates is 0"),
        (["generate", "x", "--guidance-scale", "nan"], "guidance_scale is nan"),
        (["generate", "x", "--sampler", "euler"], "'euler' (choose from"),
        (["generate", "x", "--preset", "best"], "'best' (choose from"),
        (["generate", "x", "-c", "untrained", "--seed", "-1"], "seed is -1"),
        (["generate", "x", "-c", "untrained", "--device", "tpu"], "device 'tpu'"),
        (["generate", "x", "-c", "untrained", "--eta", "1"], "eta"),
        (["generate", "x", "-c", "untrained", "--ema"], "averaged"),
        (["generate", "x", "-c", "audioldm3"], "unknown checkpoint 'audioldm3'"),
        (["generate", "x", "-c", "untrained", "-o", "x.txt"], "unknown extension '.txt'"),
        (
            ["generate", "x", "-c", "untrained", "-o", "new/"],
            "--output is new, allowed: a folder that exists, or a name",
        ),
        (["generate", "a \udcff", "-c", "untrained"], "prompt is 'a \\udcff', allowed: text of whole characters"),
        (["speak", "a \udcff"], "text is 'a \\udcff', allowed: text of whole characters"),
        (["generate", "x", "-c", "untrained", "--loudness", "3"], "loudness is 3.0, allowed: -70 to -5 LUFS"),
        (["generate", "x", "-c", "untrained", "--loudness", "nan"], "loudness is nan"),
        (["generate", "x", "-c", "untrained", "--format", "aac"], "invalid choice: 'aac'"),
        (["generate", "x", "--format", "mp3", "-o", "x.wav"], "--format is mp3, but --output is x.wav"),
        (["generate", "x", "--bogus"], "--bogus"),
        (["generate", "x", "-c", "audioldm2-speech-ljspeech"], "speaks a text: use the task speak"),
        (
            ["speak", "tˈɛst", "--phonemes", "-c", "untrained"],
            "untrained does not speak, choose from tiny-speech, audioldm2-speech-gigaspeech",
        ),
        (["speak", "tˈɛst", "--phonemes", "--speaker", ""], "speaker is '', allowed"),
        (["info", "nothing-here"], "unknown checkpoint 'nothing-here'"),
        (["generate", "x", "--at", "birds"], "argument --at: 'birds' is not a prompt with its time, allowed: SECONDS"),
        (["generate", "x", "--at", "0:y"], "--at has 'y' at 0 seconds, but the prompt holds from the start"),
        (["generate", "x", "--at", "9:y"], "--at has 'y' at 9 seconds, allowed: up to 2.26 in a clip of 2.56 seconds"),
        (["generate", "x", "--at", "2:y", "--at", "1:z"], "--at has 'z' at 1 seconds, after 2, allowed: 0.3 seconds"),
        (["loop", "x", "--at", "1:y"], "unrecognized arguments: --at"),
        (["random-checkpoint", "nothing-here", "x"], "nothing-here"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line(arguments, named, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named in failure(capsys, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("first", [["rain"], ["--at", "0:rain"]])
def test_prompts_over_time(first, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cues = ["--at", "0.4:birds", "--at", "0.7:a dog"]
    assert main(["generate", *first, *cues, "-c", "untrained", "-d", "1", "--steps", "1", "-s", "5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["prompt"], report["samples"]) == ("rain.wav", "rain", 16000)
    assert report["settings"]["prompt_schedule"] == [[0.4, "birds"], [0.7, "a dog"]]


def test_unknown_name_lists_the_known_ones(capsys):
    message = failure(capsys, "generate", "x", "-c", "audioldm3")
    assert all(name in message for name in CHECKPOINTS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02", b"hello" * 100, b"\xff\xd8\xff\xe0JFIF"])
def test_foreign_file(content, capsys, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    assert str(path) in failure(capsys, "generate", "x", "-c", str(path), "-o", str(tmp_path / "x.wav"))
    assert [p.name for p in tmp_path.iterdir()] == ["model.pth"]


def test_pickle_that_runs_code_is_refused_unrun(capsys, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    path = tmp_path / "model.pdparams"
    path.write_bytes(pickle.dumps({"state_dict": Attack()}, protocol=2))
    assert "mkdir" in failure(capsys, "generate", "x", "-c", str(path), "-o", str(tmp_path / "x.wav"))
    assert not (tmp_path / "run").exists()


def test_unwritable_place_is_found_before_the_work(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    message = failure(capsys, "generate", "x", *FAST, "-o", str(tmp_path / "file" / "x.wav"))
    assert "x.wav" in message


def test_full_disk(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    path = tmp_path / "x.wav"
    message = failure(capsys, "generate", "x", *FAST, "-o", str(path)).replace("\n", "")
    assert message.endswith(f"cannot write {path}: No space left on device")
    assert not list(tmp_path.iterdir())


def test_long_prompt_is_cut_with_a_warning(capsys, tmp_path):
    assert main(["generate", "word " * 200, *FAST, "-o", str(tmp_path / "x.wav")]) == 0
    warning = capsys.readouterr().err
    assert "FLAN-T5" in warning and "cut at 128" in warning and "is ignored" in warning


ANNOUNCING = """
import sys
from ppaudioldm import cli
from ppaudioldm.commands.console import ProgressBar
show = ProgressBar.show

def announcing(bar, progress):
    if (progress.stage, progress.done) == ("denoise", 2):
        print("in the middle of the steps", flush=True)
    return show(bar, progress)

ProgressBar.show = announcing
sys.exit(cli.main(sys.argv[1:]))
"""


def test_interrupt_stops_within_a_step(tmp_path):
    path = tmp_path / "x.wav"
    command = [sys.executable, "-c", ANNOUNCING, "generate", "x", "-c", "untrained", "--steps", "1000", "-o", str(path)]
    # In a shell's background it is ignored.
    default_handler = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default_handler
    )
    assert process.stdout.readline() == "in the middle of the steps\n"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    rest, message = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert process.returncode == 130
    assert (rest, message) == ("", "ppaudioldm: stopped\n")
    assert not list(tmp_path.iterdir())


def test_interrupt_keeps_the_best_of_what_was_complete(tmp_path, monkeypatch, capsys):
    scored = []

    def interrupt_at_the_third(self, progress):
        scored.append(progress)
        if progress.stage == "denoise" and progress.done == 3 * 2 - 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(console.ProgressBar, "show", interrupt_at_the_third)
    path, whole = tmp_path / "x.wav", tmp_path / "whole.wav"
    many = ["generate", "x", "-c", "untrained", "-d", "0.5", "--steps", "2", "--seed", "3"]
    assert main([*many, "-n", "4", "-o", str(path), "--json"]) == 130
    captured = capsys.readouterr()
    assert captured.err.endswith(f"ppaudioldm: stopped: {path} is what was complete by then\n")
    monkeypatch.undo()
    assert main([*many, "-n", "2", "-o", str(whole), "--json"]) == 0
    of_two = json.loads(capsys.readouterr().out)
    assert json.loads(captured.out)["seed"] == of_two["seed"]
    assert path.read_bytes() == whole.read_bytes()


def test_all_that_can_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    extras = ["--format", "flac", "--loudness", "-20", "--spectrogram", "--all-candidates"]
    assert main(["generate", "rain", *FAST, "-n", "2", "--seed", "5", "--json", *extras]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rain.flac", "rain.png", "rain_1.flac", "rain_2.flac"]
    assert report["file"] == "rain.flac" and report["spectrogram"] == "rain.png"
    assert [candidate["seed"] for candidate in report["candidates"]] == [5, 6]
    best = max(report["candidates"], key=lambda candidate: candidate["score"])
    assert (best["seed"], best["score"]) == (report["seed"], pytest.approx(report["score"]))
    assert (tmp_path / best["file"]).read_bytes() == (tmp_path / "rain.flac").read_bytes()
    for path in tmp_path.glob("*.flac"):
        assert loudness(*soundfile.read(path)) == pytest.approx(-20, abs=0.1)
    assert (tmp_path / "rain.png").read_bytes().startswith(b"\x89PNG")


def test_help_imports_no_framework():
    code = "import sys, ppaudioldm.cli as c\ntry: c.main(['generate', '--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'paddle', 'torch', 'numpy', 'openvino', 'PIL', 'av'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "examples:" in result.stdout


def test_unknown_framework():
    result = run("info", "untrained", PPAUDIOLDM_FRAMEWORK="jax")
    assert result.returncode == 2
    assert "unknown framework 'jax'" in result.stderr and result.stderr.count("\n") == 1


def test_checkpoints_lists_all_with_licence(capsys):
    assert main(["checkpoints"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CHECKPOINTS)
    assert all(CHECKPOINTS[line.split()[0]].licence in line for line in lines)
    assert main(["checkpoints", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(CHECKPOINTS)


@pytest.mark.parametrize("layout", ["original", "diffusers", "native"])
def test_random_checkpoint_info_convert_generate(layout, tmp_path, capsys):
    source = tmp_path / ("untrained.pth" if layout == "original" else "untrained")
    assert main(["random-checkpoint", "untrained", str(source), "--layout", layout, "--seed", "3"]) == 0
    assert main(["info", str(source), "--json"]) == 0
    report = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert report["layout"] == layout
    assert report["parameters"]["unet"] > 1e6
    assert main(["convert", str(source), str(tmp_path / "converted"), "--dtype", "float16"]) == 0
    wav = tmp_path / "x.wav"
    assert main(["generate", "x", *FAST[2:], "-c", str(tmp_path / "converted"), "-o", str(wav)]) == 0
    assert wav.is_file()


def test_existing_destination_is_not_replaced_unasked(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert "exists" in failure(capsys, "convert", "untrained", str(tmp_path / "mine"))
    # Not even when asked to: it is no checkpoint.
    assert str(tmp_path / "mine") in failure(capsys, "convert", "untrained", str(tmp_path / "mine"), "--overwrite")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_networks_that_generation_does_not_need_can_be_left_out(tmp_path, capsys):
    out = ["--without", "audiomae", "--without", "clap_audio"]
    assert main(["convert", "untrained", str(tmp_path / "small"), *out]) == 0
    names = {path.stem for path in (tmp_path / "small").glob("*.safetensors")}
    assert {"unet", "clap_text", "vae_encoder"} <= names and not {"audiomae", "clap_audio"} & names
    config = json.loads((tmp_path / "small/config.json").read_text())["config"]
    assert config["audiomae"] is config["clap_audio"] is None
    clip = ["-c", str(tmp_path / "small"), "--duration", "0.3", "--steps", "1", "-o", str(tmp_path / "a.wav")]
    assert main(["generate", "a bell", *clip]) == 0
    capsys.readouterr()
    assert "no CLAP to rank" in failure(capsys, "generate", "a bell", *clip, "--candidates", "2")
    assert "choose from" in failure(capsys, "convert", "untrained", str(tmp_path / "other"), "--without", "unet")


def test_a_checkpoint_is_replaced_when_asked(tmp_path, capsys):
    for extra in ([], ["--overwrite"]):
        assert main(["convert", "untrained", str(tmp_path / "mine"), *extra]) == 0
    assert (tmp_path / "mine" / "config.json").is_file()
    capsys.readouterr()
    assert "exists" in failure(capsys, "convert", "untrained", str(tmp_path / "mine"))
