"""What files say of how they were generated, and generating them again: `info`, `--like`, `--no-tags`."""

from __future__ import annotations

import argparse
import getpass
import json
import platform
import shutil
import socket
from pathlib import Path

import mutagen
import pytest
import soundfile

from ppaudioldm import read_settings
from ppaudioldm.audio.tagging.files import read_tags
from ppaudioldm.audio.tagging.xmp import COMPOSITE, GENERATED
from ppaudioldm.audio.write import write_audio
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.commands.like import _take_engine
from ppaudioldm.generation.options import Options
from ppaudioldm.generation.provenance import SETTINGS, stored_options
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from tests.tasks.examples import sound
from tests.test_cli import failure

FAST = ["-c", "untrained", "--steps", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a recording of 0.8 s."""
    folder = tmp_path_factory.mktemp("private")
    soundfile.write(folder / "secret.wav", sound(0.8, 16000), 16000)
    return folder


def repeated(folder: Path, name: str, *arguments: str) -> Path:
    """The file `name` of a command, which `generate --like` generates again, byte for byte."""
    path, again = folder / name, folder / f"again-{name}"
    assert main([*arguments, *FAST, "-o", str(path)]) == 0
    recording = ["--audio", str(folder / "secret.wav")] if "--audio" in arguments else []
    assert main(["generate", "--like", str(path), *recording, "-o", str(again)]) == 0
    assert path.read_bytes() == again.read_bytes()
    return path


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.wav", ["generate", "a dog 犬", "-d", "0.3", "-x", "music", "--guidance-interval", "0.1:0.8"]),
        ("a.flac", ["generate", "a dog", "-d", "0.3", "-n", "2", "--loudness", "-30", "--vocoder", "griffin-lim"]),
        ("a.ogg", ["vary", "--audio", "secret.wav", "-d", "0.3", "-n", "2"]),
        ("a.mp3", ["loop", "rain", "-d", "0.3", "--sampler", "ddim", "--eta", "0.5"]),
        ("b.wav", ["inpaint", "--audio", "secret.wav", "--range", "0.2:0.3", "--frequencies", "1000:"]),
    ],
)
def test_a_file_is_generated_again(folder, name, arguments, monkeypatch):
    monkeypatch.chdir(folder)
    machine, user = "studio-of-amelie", "amelie-private"  # real names may be so short that any file contains them
    for module, function in ((platform, "node"), (socket, "gethostname")):
        monkeypatch.setattr(module, function, lambda: machine)
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    path = repeated(folder, name, *arguments)
    tags = read_tags(path)
    assert tags["DIGITALSOURCETYPE"] == (COMPOSITE if arguments[0] == "inpaint" else GENERATED)
    assert tags["COMMENT"].startswith("AI-generated") and tags["MODEL"] == "untrained" and "MODEL_LICENSE" in tags
    content = path.read_bytes()
    for private in (str(folder), folder.name, "secret", user, machine):
        assert private.encode() not in content, private


def test_candidates_have_their_own_seeds(folder):
    path = folder / "several.wav"
    assert (
        main(["generate", "rain", *FAST, "-d", "0.3", "-n", "2", "--all-candidates", "-s", "5", "-o", str(path)]) == 0
    )
    for index in (1, 2):
        candidate = path.with_name(f"several_{index}.wav")
        assert read_settings(candidate).seed == 4 + index
        assert read_settings(candidate).options.num_waveforms_per_prompt == 1
    assert main(["generate", "--like", str(candidate), "-o", str(folder / "alone.wav")]) == 0
    assert (folder / "alone.wav").read_bytes() == candidate.read_bytes()


def test_what_the_command_line_names_comes_first(folder):
    first, second = folder / "first.wav", folder / "second.wav"
    assert main(["generate", "rain", *FAST, "-d", "0.3", "-s", "1", "-o", str(first)]) == 0
    other = ["hail", "-d", "0.4", "--seed", "9", "--loudness", "-20"]
    assert main(["generate", *other, "--like", str(first), "-o", str(second)]) == 0
    settings = read_settings(second)
    assert (settings.prompt, settings.options.duration, settings.seed, settings.loudness) == ("hail", 0.4, 9, -20)
    assert settings.options.num_inference_steps == 1 and settings.checkpoint == "untrained"


def test_fewer_tags_and_none(folder):
    base = ["generate", "hail", *FAST, "-d", "0.3", "-s", "1", "-o"]
    contents = {}
    for name, flags in (("all", []), ("marking", ["--no-settings"]), ("none", ["--no-tags"])):
        path = folder / f"{name}.wav"
        assert main([*base, str(path), *flags]) == 0
        contents[name] = path.read_bytes()
    assert mutagen.File(folder / "none.wav").tags is None and len(contents["none"]) == 44 + 2 * 4800
    assert SETTINGS not in read_tags(folder / "marking.wav") and b"hail" not in contents["marking"]
    assert read_tags(folder / "marking.wav")["DIGITALSOURCETYPE"] == GENERATED
    for content in contents.values():
        assert content[8 : 44 + 2 * 4800] == contents["none"][8:]


def test_a_checkpoint_of_a_path_gives_only_its_name(folder, capsys):
    private = folder / "private-place" / "mine"
    write_native(random_checkpoint("mine", UNTRAINED, 0), private)
    path = folder / "own.wav"
    assert main(["generate", "rain", "-c", str(private), "--steps", "1", "-d", "0.3", "-o", str(path)]) == 0
    assert read_settings(path).checkpoint == "mine" and b"private" not in path.read_bytes()
    assert "MODEL_LICENSE" not in read_tags(path)
    capsys.readouterr()
    again = folder / "own-again.wav"
    line = failure(capsys, "generate", "--like", str(path), "-o", str(again))
    assert "mine, which is no published checkpoint: name it with --checkpoint" in line
    assert main(["generate", "--like", str(path), "-c", str(private), "-o", str(again)]) == 0
    assert path.read_bytes() == again.read_bytes()


def tagged(path: Path, **changes: object) -> Path:
    """A sound file with settings in its tags, `changes` of good ones."""
    good = {"version": 1, "task": "generate", "prompt": "rain", "seed": 1, "checkpoint": "untrained"}
    settings = {name: value for name, value in {**good, **changes}.items() if value is not ...}
    return write_audio(path, sound(0.1)[:, 0], 16000, tags={SETTINGS: json.dumps(settings)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "/etc/model.pth"}, "checkpoint is '/etc/model.pth', allowed: a name, and no path"),
        ({"checkpoint": "..\\x"}, "allowed: a name, and no path"),
        ({"checkpoint": "https://x.example/y"}, "allowed: a name, and no path"),
        ({"checkpoint": ".."}, "allowed: a name, and no path"),
        ({"checkpoint": "other/model"}, "allowed: a name, and no path"),
        ({"checkpoint": ...}, "checkpoint is None"),
        ({"task": "format"}, "unknown task 'format'"),
        ({"task": ["generate"]}, "unknown task"),
        ({"prompt": 3}, "prompt is 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"options": {"num_inference_steps": 10**9}}, "num_inference_steps is 1000000000"),
        ({"options": {"output": "/etc/passwd"}}, "the setting 'output' is unknown to this version"),
        ({"options": [1]}, "options is [1]"),
        ({"options": {"lora": ["/etc/x:0.5"]}}, "lora is '/etc/x', allowed: a name, and no path"),
        ({"parameters": {"text": "x"}}, "text is not a parameter of generate"),
        ({"engine": "/bin/sh"}, "engine is '/bin/sh', allowed: auto"),
        ({"ema": 1}, "ema is 1"),
        ({"loudness": 99}, "loudness is 99"),
        ({"output": "/etc/passwd"}, "'output' is unknown to this version"),
        ({"version": 2}, "their version is 2, known: up to 1"),
        ({"version": True, "recording": "yes"}, "recording is 'yes'"),
    ],
)
def test_settings_that_cannot_be(tmp_path, capsys, changes, message):
    path = tagged(tmp_path / "x.wav", **changes)
    line = failure(capsys, "generate", "--like", str(path), "-o", str(tmp_path / "y.wav"))
    assert "the settings in the tags of" in line and message.replace("num_inference_", "--") in line.replace(
        "num_inference_", "--"
    )
    assert list(tmp_path.iterdir()) == [path]
    assert main(["info", str(path)]) == 0
    assert "cannot be used" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "null", "\ud800".encode("utf-8", "replace").decode(), "NaN"])
def test_settings_that_are_not_json(tmp_path, capsys, text):
    path = write_audio(tmp_path / "x.flac", sound(0.1)[:, 0], 16000, tags={SETTINGS: text})
    assert "cannot be used" in failure(capsys, "generate", "--like", str(path))


def test_what_does_not_go_together(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good, plain = tagged(Path("good.wav")), write_audio("plain.wav", sound(0.1)[:, 0], 16000)
    of_recording = tagged(Path("of.wav"), task="vary", recording=True)
    adapted = tagged(Path("adapted.wav"), options={"lora": ["bells:0.5"]})
    for arguments, message in (
        (["--like", str(plain)], "has no settings in its tags"),
        (["--like", "none.wav"], "none.wav"),
        (["--like", str(of_recording)], "name it with --audio"),
        (["--like", str(good), "--audio", str(plain)], "audio is not what generate needs"),
        (
            ["--like", str(adapted)],
            "with the LoRA adapters bells:0.5, which it only names: name their files with --lora",
        ),
        (["--like", str(good), "--preset", "fine"], "--preset and --like are both given"),
        (["--like", str(good), "--list", "a.txt", "--output-dir", "out"], "--like and --list are both given"),
        (["rain", "--audio", str(plain)], "--audio is for --like"),
    ):
        assert message in failure(capsys, "generate", *arguments)


def test_info(tmp_path, capsys):
    path = tagged(tmp_path / "x.ogg", prompt="\x1b[31mred")
    shutil.copy(path, tmp_path / "y.ogg")
    assert main(["info", str(path), str(tmp_path / "y.ogg")]) == 0
    out = capsys.readouterr().out
    assert out.count("0.1 s, 16000 Hz, 1 channel") == 2 and "prompt: \\x1b[31mred" in out and "\x1b" not in out
    assert main(["info", "--json", str(path)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["settings"]["prompt"] == "\x1b[31mred" and facts["problem"] is None and not facts["marked"]
    write_audio(tmp_path / "plain.wav", sound(0.1, channels=2), 16000)
    assert main(["info", str(tmp_path / "plain.wav")]) == 0
    assert "2 channels\n  not marked as AI-generated" in capsys.readouterr().out
    (tmp_path / "broken.wav").write_bytes(b"RIFF of nothing")
    assert "broken.wav" in failure(capsys, "info", str(tmp_path / "broken.wav"))


def test_variations_trimmed_and_in_stereo(folder, capsys):
    path = folder / "many.wav"
    finish = ["--variations", "2", "--trim", "--stereo", "--normalize"]
    assert main(["generate", "rain", *FAST, "-d", "0.3", "-s", "3", *finish, "-o", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    paths = [folder / f"many-{i}.wav" for i in (1, 2)]
    assert [one["file"] for one in report["variations"]] == [str(one) for one in paths] and not path.exists()
    assert [read_settings(one).seed for one in paths] == [3, 4]
    assert all(soundfile.info(one).channels == 2 for one in paths)
    assert main(["generate", "--like", str(paths[1]), "-o", str(folder / "two.wav")]) == 0
    assert (folder / "two.wav").read_bytes() == paths[1].read_bytes()
    assert main(["generate", "--like", str(paths[1]), "--no-stereo", "-o", str(folder / "mono.wav")]) == 0
    assert soundfile.info(folder / "mono.wav").channels == 1
    capsys.readouterr()
    assert "loudness is -16 and --normalize" in failure(
        capsys, "generate", "rain", *FAST, "--normalize", "--loudness", "-16"
    ).replace("and normalize", "and --normalize")
    assert "unrecognized arguments: --trim" in failure(capsys, "upscale", "--audio", "x.wav", "--trim")


def test_the_engine_of_a_file(capsys, monkeypatch):
    """It is taken where the user names none and the machine has it."""

    def taken(**named: str) -> tuple[str | None, str]:
        chosen = {"engine": None, "device": None, "precision": "auto", "compile": False, "like": "x.wav", **named}
        options = argparse.Namespace(**chosen)
        _take_engine(options, {"engine": "eager", "precision": "f32" if named.get("like") != "other" else "fp8"})
        return options.engine, options.precision

    assert taken() == (None, "auto")  # the tests name one in the environment
    monkeypatch.delenv("PPAUDIOLDM_ENGINE")
    assert taken() == ("eager", "f32")
    assert taken(device="cpu") == (None, "auto") and taken(precision="bf16") == (None, "bf16")
    assert capsys.readouterr().err == ""
    assert taken(like="other") == (None, "auto")
    assert "note: other was generated otherwise, so the sound may differ" in capsys.readouterr().err


def test_paths_of_adapters_are_no_tags():
    stored = stored_options(Options(lora=("/home/me/bells.safetensors:0.5", "folder/rain")))
    assert stored["lora"] == ["bells:0.5", "rain"]
