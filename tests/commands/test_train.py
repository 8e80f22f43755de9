"""`ppaudioldm train`, as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.cli import main
from ppaudioldm.commands.train import STAGES
from ppaudioldm.training import stages
from ppaudioldm.training.state import load_state, read_log

SETTINGS = {
    "duration": 0.64,
    "crop_frames": 16,
    "batch_size": 1,
    "crops_per_clip": 1,
    "held_out": 1,
    "vae": {"channels": 32, "channel_mult": [1, 1], "num_res_blocks": 1},
    "run": {"steps": 2, "log_every": 1, "precision": "f32"},
}


@pytest.fixture
def files(tmp_path):
    """A list of two recordings, and a configuration."""
    for name in ("a", "b"):
        write_audio(tmp_path / f"{name}.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    (tmp_path / "list.csv").write_text("file,caption\na.wav,hiss\nb.wav,more hiss\n")
    (tmp_path / "vae.json").write_text(json.dumps(SETTINGS))
    return tmp_path


def arguments(files, *more):
    paths = ["--config", files / "vae.json", "--data", files / "list.csv", "-o", files / "run"]
    return ["train", "vae", *map(str, paths), "--device", "cpu", *more]


def test_a_stage_is_trained_on_recordings_and_resumed(files, capsys):
    assert main(arguments(files)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1/2  rate ") and "mel_l1" in lines[0] and "held_out_mel_l1" in lines[-1]
    assert main(arguments(files, "--steps", "3")) == 0
    assert capsys.readouterr().out.startswith("3/3  ")
    assert load_state(files / "run").step == 3
    samples = {path.name for path in (files / "run" / "samples").iterdir()}
    assert samples == {f"vae-00000{step}{rest}" for step in (2, 3) for rest in (".png", "-1.wav")}


def test_all_settings_are_printed(capsys):
    assert main(["train", "vae", "--steps", "7", "--print-config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# ppaudioldm train vae --config FILE"
    assert {"[vae]", "channels = 32", "channel_mult = [", "[run]", "steps = 7", 'precision = "auto"'} <= set(lines)


def test_help_needs_no_library_of_the_extra():
    """Nor a framework: a fresh process, for the others of this one have imported them."""
    program = (
        "import sys; from ppaudioldm.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: print([name for name in sys.modules if name in ('paddle', 'torch', 'numpy', 'pydantic')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--print-config" in run.stdout and run.stdout.splitlines()[-1] == "[]"


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", "vae", "--print-config"]) == 2
    assert capsys.readouterr().err == "ppaudioldm: error: training needs pydantic: pip install 'ppaudioldm[train]'\n"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_settings_that_print_and_read_back(stage, tmp_path, capsys):
    assert main(["train", stage, "--print-config"]) == 0
    text = capsys.readouterr().out
    (tmp_path / "all.toml").write_text(text)
    assert main(["train", stage, "--config", str(tmp_path / "all.toml"), "--print-config"]) == 0
    assert capsys.readouterr().out == text
    assert list(STAGES) == [*stages.STAGES, "classifier"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files: (files / "vae.json").write_text('{"chanels": 1}'),
            "vae.json: settings: unknown setting 'chanels'",
        ),
        (lambda files: (files / "vae.json").unlink(), "vae.json: No such file"),
        (lambda files: (files / "list.csv").write_text("file,caption\nc.wav,hiss\n"), "line 2: no such file"),
        (lambda files: (files / "list.csv").write_text("file,caption\na.wav,\n"), "line 2: the caption is empty"),
    ],
)
def test_what_is_wrong_is_one_line(files, capsys, change, message):
    change(files)
    assert main(arguments(files)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (files / "run" / "state.safetensors").exists()


def test_another_model_is_one_line_and_changes_nothing(files, capsys):
    main(arguments(files))
    before = (files / "run" / "state.safetensors").read_bytes()
    (files / "vae.json").write_text(json.dumps({**SETTINGS, "vae": {**SETTINGS["vae"], "latent_channels": 4}}))
    assert main(arguments(files)) == 2
    assert "model.latent_channels is 4, was 16" in capsys.readouterr().err
    assert (files / "run" / "state.safetensors").read_bytes() == before


def test_ctrl_c_keeps_what_was_learned(files):
    run = subprocess.Popen(
        [sys.executable, "-m", "ppaudioldm.cli", *arguments(files, "--steps", "100000")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for _ in range(3):
        run.stdout.readline()
    time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 130 and error.strip().endswith("stopped")
    assert load_state(files / "run").step == read_log(files / "run")[-1]["step"] >= 3
