"""Two processes, started by each framework's own launcher, train and stop as one."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.training import loop
from ppaudioldm.training.dataset import SynthesisedClips
from ppaudioldm.training.state import load_state, read_log
from ppaudioldm.training.vocoder import VocoderStage
from tests.training.support import stop_after
from tests.training.test_joint import settings_in
from tests.training.test_loop import RUN, LineStage
from tests.training.two_processes import CASES, ONLY_STEPS, STEPS, VOCODER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the launchers' CPU backends are for Linux"),
]
HERE = Path(__file__).parents[2]


def launched(folder, *program):
    """The command and environment of two processes that run `program`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    if framework.NAME == "torch":
        launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    else:
        launcher = ["paddle.distributed.launch", "--nproc_per_node", "2", "--start_port", port]
        launcher += ["--log_dir", str(folder / "log")]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return [sys.executable, "-m", *launcher, *map(str, program)], environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What two processes leave that run all of CASES."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "stages").mkdir()
    settings = replace(settings_in(folder), loa_steps=0)
    (folder / "stages" / "joint.pickle").write_bytes(pickle.dumps(settings))
    command, environment = launched(folder, Path(__file__).with_name("two_processes.py"), folder, *CASES)
    run = subprocess.run(command, env=environment, capture_output=True, timeout=200, text=True)
    logs = "".join(path.read_text()[-2000:] for path in folder.glob("log/workerlog.*"))
    assert run.returncode == 0, run.stderr[-2000:] + logs
    return folder


def both(stage):
    """`stage`, whose batches are those of both processes."""
    data = stage.data

    def data_of_both(index):
        one, two = data(2 * index), data(2 * index + 1)
        return {name: np.concatenate([one[name], two[name]]) for name in one}

    stage.data = data_of_both
    return stage


def test_they_learn_what_one_learns_from_both_batches(folder, tmp_path):
    loop.train(both(LineStage()), RUN, tmp_path)
    one, two = load_state(tmp_path), load_state(folder / "learn")
    assert two.step == RUN.steps and two.batches == 2 * RUN.steps
    for name, value in one.section("weights").items():
        assert np.allclose(two.section("weights")[name], value, rtol=1e-4, atol=1e-6), name


def test_one_process_goes_on_where_two_were(folder, caplog):
    stage = LineStage()
    loop.train(stage, replace(RUN, steps=RUN.steps + 3), folder / "learn")
    assert stage.seen == [24, 25, 26], "every batch is seen once"
    state = load_state(folder / "learn")
    assert (state.step, state.batches, state.facts["processes"]) == (RUN.steps + 3, 27, 1)
    assert "processes is 1, was 2" in caplog.text


def test_one_that_is_to_stop_stops_both_after_the_same_step(folder):
    state = load_state(folder / "stop")
    assert (state.step, state.batches) == (5, 10)
    assert read_log(folder / "stop")[-1]["step"] == 5


def test_a_bad_recording_of_one_ends_both_and_loses_nothing(folder):
    assert load_state(folder / "fail").step == 3, "index 7 is the second process's in the fourth step"


def test_processes_that_resume_from_different_folders_are_an_error_in_both(folder):
    messages = [(folder / "elsewhere" / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert "process 0 finds step 12" in messages[0] and "all processes need the same folder" in messages[0]
    assert "process 1 finds step 0 there, another one step 12" in messages[1]


@pytest.mark.parametrize("stage", ["vae", "clap", "audiomae", "joint", "vocoder"])
def test_real_stages_have_the_same_weights_in_both(folder, stage):
    state = load_state(folder / "stages" / stage)
    assert (state.step, state.batches) == (STEPS, 2 * STEPS)
    with np.load(folder / "stages" / f"{stage}-0.npz") as one, np.load(folder / "stages" / f"{stage}-1.npz") as other:
        assert one.files and all(np.array_equal(one[name], other[name]) for name in one.files)
        assert all(np.array_equal(one[name], value) for name, value in state.section("weights").items())
    assert all(np.isfinite(line["loss"]) for line in read_log(folder / "stages" / stage) if "loss" in line)


def test_adversarial_training_learns_what_one_process_learns_from_both_batches(folder, tmp_path):
    stage = both(VocoderStage(VOCODER, clips=SynthesisedClips(1.0, ("rain",))))
    loop.train(stage, ONLY_STEPS, tmp_path, should_stop=stop_after(STEPS))
    one, two = load_state(tmp_path), load_state(folder / "stages" / "vocoder")
    moments = [key for key in one.section("optimizer") if "exp_avg" in key or "moment1" in key]
    assert any("discriminators" in key for key in moments) and any(key.startswith("vocoder") for key in moments)
    for key in moments:  # the averaged gradients; weights differ more, where Adam divides by nearly nothing
        expected, found = one.section("optimizer")[key], two.section("optimizer")[key]
        assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max() + 1e-7, key


def test_sigterm_to_the_launcher_saves_and_stops_both(tmp_path):
    """The command as a user starts it, and as a cluster ends it."""
    settings = {
        "kinds": ["rain"],
        "duration": 1.0,
        "crop_frames": 16,
        "batch_size": 1,
        "held_out": 1,
        "vae": {"channels": 32, "channel_mult": [1, 1], "num_res_blocks": 1},
        "run": {"steps": 10**6, "log_every": 1, "evaluate_every": 10**6, "save_minutes": 99, "precision": "f32"},
    }
    (tmp_path / "vae.json").write_text(json.dumps(settings))
    (tmp_path / "program.py").write_text("import sys; from ppaudioldm.cli import main; sys.exit(main())")
    arguments = ["train", "vae", "--config", tmp_path / "vae.json", "-o", tmp_path / "run", "--device", "cpu"]
    arguments += ["--framework", framework.NAME]
    command, environment = launched(tmp_path, tmp_path / "program.py", *arguments)
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 100
        while len(read_log(tmp_path / "run")) < 3 and time.monotonic() < deadline:
            assert run.poll() is None, run.communicate()[0][-2000:]
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=25)  # the launchers kill after 30 seconds
    finally:
        run.kill()
    state = load_state(tmp_path / "run")
    assert state, output[-2000:]
    assert state.step == read_log(tmp_path / "run")[-1]["step"] >= 3 and state.batches == 2 * state.step
