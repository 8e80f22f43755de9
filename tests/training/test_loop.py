"""The loop, on a stage small enough to see through: a line through points."""

import itertools
import json
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.errors import CheckpointError
from ppaudioldm.framework import Linear, nn
from ppaudioldm.training import loop, state
from ppaudioldm.training.batches import iterate_batches
from ppaudioldm.training.dataset import seeded_rng
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.parallel import Process
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import load_state, read_log
from tests.training.support import stop_after

RUN = RunConfig(steps=12, log_every=1, evaluate_every=6, save_minutes=0, precision="f32")


@dataclass(frozen=True)
class LineSettings:
    width: int = 3
    rate: float = 0.05
    run: RunConfig = field(default_factory=lambda: RUN)


class Line(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = Linear(width, 1)

    def forward(self, x):
        return self.linear(x)


class LineStage:
    name = "line"
    ema = 0.9
    updates = {"fit": ("line",)}  # noqa: RUF012

    def __init__(self, settings=LineSettings(), bad_from=10**9):
        self.settings = settings
        self.networks = {"line": build_trainable("line", Line, settings.width, 0)}
        self.bad_from = bad_from
        self.seen = []

    def optimizer(self, update):
        return OptimizerConfig(rate=self.settings.rate, warmup=2, decay_steps=50)

    def model(self):
        return {"width": self.settings.width}

    def data(self, index):
        self.seen.append(index)
        x = seeded_rng(index).standard_normal((8, self.settings.width)).astype(np.float32)
        y = x.sum(1, keepdims=True) + 1
        return {"x": x, "y": y if index < self.bad_from else y * np.float32(np.nan)}

    def loss(self, update, batch):
        loss = ((self.networks["line"](batch["x"]) - batch["y"]) ** 2).mean()
        return loss, {"loss": loss.detach()}

    def evaluate(self):
        return {"held_out": float((self.networks["line"].linear.bias.detach() - 1).abs().sum())}

    def sample(self, samples):
        samples.text([str(framework.to_numpy(self.networks["line"].linear.bias)[0])])


def losses(folder):
    return [line["loss"] for line in read_log(folder) if "loss" in line]


def same_state(one, other):
    a, b = load_state(one), load_state(other)
    return (
        a.step == b.step
        and a.arrays.keys() == b.arrays.keys()
        and all(np.array_equal(a.arrays[key], b.arrays[key]) for key in a.arrays)
    )


def test_the_loss_falls_and_everything_is_written(tmp_path):
    last = loop.train(LineStage(), replace(RUN, steps=60), tmp_path)
    found = losses(tmp_path)
    assert last["loss"] == pytest.approx(found[-1], rel=1e-4) and np.mean(found[-5:]) < 0.3 * np.mean(found[:5])
    assert [line["step"] for line in read_log(tmp_path) if "held_out" in line] == [
        6,
        12,
        18,
        24,
        30,
        36,
        42,
        48,
        54,
        60,
    ]
    assert float((tmp_path / "samples" / "line-000060.txt").read_text()) == pytest.approx(1, abs=0.5)
    assert load_state(tmp_path).facts["settings"]["rate"] == 0.05


def test_the_time_left_falls_to_nothing(tmp_path, monkeypatch):
    """By the number of steps, or by a limit in minutes that comes earlier; the clock goes on by a second a call."""
    seconds = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(seconds)))
    left = []

    def note(step, values):
        left.append(values["left"])

    loop.train(LineStage(), replace(RUN, steps=6), tmp_path / "steps", progress=note)
    assert (
        left[0] > left[-1] == 0 and min(left) == 0 and not any("left" in line for line in read_log(tmp_path / "steps"))
    )
    for name in ("minutes", "total_minutes"):
        left.clear()
        loop.train(LineStage(), replace(RUN, steps=1000, **{name: 1.0}), tmp_path / name, progress=note)
        assert 60 > left[0] > left[-1] >= 0


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_resuming_gives_the_same_numbers_as_not_stopping(tmp_path, stop):
    loop.train(LineStage(), RUN, tmp_path / "whole")
    loop.train(LineStage(), replace(RUN, steps=stop), tmp_path / "parts")
    resumed = LineStage()
    loop.train(resumed, RUN, tmp_path / "parts")
    assert resumed.seen == list(range(stop, 12))
    assert same_state(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


class TwiceAsLarge(LineStage):
    """Batches of twice the size: the next two of the line's."""

    def data(self, index):
        pair = [super(TwiceAsLarge, self).data(2 * index + half) for half in range(2)]
        return {name: np.concatenate([batch[name] for batch in pair]) for name in pair[0]}


def test_accumulated_batches_are_as_one_large_batch(tmp_path):
    loop.train(TwiceAsLarge(), replace(RUN, steps=5), tmp_path / "large")
    loop.train(LineStage(), replace(RUN, steps=2, accumulate=2), tmp_path / "two")
    resumed = LineStage()
    loop.train(resumed, replace(RUN, steps=5, accumulate=2), tmp_path / "two")
    assert resumed.seen == list(range(4, 10)) and load_state(tmp_path / "two").batches == 10
    large, two = (load_state(tmp_path / name).section("weights") for name in ("large", "two"))
    for name in large:
        np.testing.assert_allclose(two[name], large[name], atol=1e-6)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "large"), rtol=1e-5)


def test_what_a_killed_run_logged_beyond_its_state_is_dropped(tmp_path):
    loop.train(LineStage(), replace(RUN, steps=5), tmp_path)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write(json.dumps({"step": 6, "loss": 77.0}) + "\n" + '{"step": 7, "lo')
    loop.train(LineStage(), RUN, tmp_path)
    assert len(losses(tmp_path)) == 12 and 77.0 not in losses(tmp_path)


def test_a_run_that_is_stopped_keeps_its_state(tmp_path):
    stage = LineStage()
    loop.train(stage, replace(RUN, save_minutes=99), tmp_path, should_stop=lambda: len(stage.seen) == 4)
    assert load_state(tmp_path).step == 4


def test_saving_takes_at_most_a_tenth_of_the_time(tmp_path, monkeypatch):
    """A clock that only data, a second each, and saves, five seconds each, advance."""
    clock, saves = [0.0], []

    def save(folder, saved):
        clock[0] += 5
        saves.append(saved.step)

    class Slow(LineStage):
        def data(self, index):
            clock[0] += 1
            return super().data(index)

    monkeypatch.setattr(loop, "save_state", save)
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    loop.train(Slow(), replace(RUN, steps=200, evaluate_every=10**6), tmp_path)
    assert saves == [1, 47, 93, 139, 185, 200], "45 s apart, and at the end"
    saves.clear()
    minutes = replace(RUN, steps=200, evaluate_every=10**6, save_minutes=1)
    loop.train(Slow(), minutes, tmp_path / "minutes")
    assert saves == [61, 122, 183, 200]


def test_a_state_of_version_0_1_0_goes_on(tmp_path):
    """It has the number of steps and of processes, but not of batches."""
    loop.train(LineStage(), replace(RUN, steps=3), tmp_path)
    saved = load_state(tmp_path)
    facts = {name: value for name, value in saved.facts.items() if name != "batches"}
    for processes, first in ((1, 3), (4, 12)):
        state.save_state(tmp_path, replace(saved, facts={**facts, "processes": processes}))
        stage = LineStage()
        loop.train(stage, replace(RUN, steps=5), tmp_path)
        assert stage.seen == [first, first + 1]


def test_a_time_limit_ends_a_run_with_a_state(tmp_path):
    loop.train(LineStage(), replace(RUN, minutes=1e-9), tmp_path)
    assert load_state(tmp_path).step == 1


def test_the_averaged_weights_are_what_a_run_leaves(tmp_path):
    stage = LineStage()

    def weight():  # a copy: on PyTorch the array shares the parameter's memory
        return np.array(framework.to_numpy(stage.networks["line"].linear.weight))

    weights = [weight()]

    def note(step, values):
        if "loss" in values:
            weights.append(weight())

    loop.train(stage, RUN, tmp_path, progress=note)
    average = weights[0].astype(np.float64)
    for step, value in enumerate(weights[1:]):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
    assert len(weights) == 13 and np.abs(average - weights[-1]).max() > 0.01
    stored = averaged_weights(tmp_path, "line")["line"]["linear.weight"]
    assert np.allclose(stored, average, rtol=1e-5)
    assert np.array_equal(load_state(tmp_path).arrays["weights/line.linear.weight"], weights[-1])


def test_a_full_disk_leaves_the_state_before(tmp_path):
    resource = pytest.importorskip("resource")
    loop.train(LineStage(), replace(RUN, steps=3), tmp_path)
    before = (tmp_path / "state.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))  # no file may grow beyond
    try:
        with pytest.raises(OSError, match="state.safetensors"):
            state.save_state(tmp_path, load_state(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".state")]


def test_two_runs_do_not_share_a_folder(tmp_path):
    with state.locked(tmp_path), pytest.raises(ValueError, match="another process is training in this folder"):
        loop.train(LineStage(), RUN, tmp_path)


def test_a_bad_recording_loses_nothing(tmp_path):
    stage = LineStage()
    good = stage.data

    def data(index):
        if index == 7:
            raise ValueError("bird.wav: holds NaN")
        return good(index)

    stage.data = data
    with pytest.raises(ValueError, match=r"bird\.wav"):
        loop.train(stage, replace(RUN, save_minutes=99), tmp_path)
    assert load_state(tmp_path).step == 7


def test_another_model_another_stage_and_another_framework_are_refused(tmp_path):
    loop.train(LineStage(), replace(RUN, steps=3), tmp_path)
    with pytest.raises(CheckpointError, match=r"model.width is 4, was 3"):
        loop.train(LineStage(LineSettings(width=4)), RUN, tmp_path)
    stage = LineStage()
    stage.name = "circle"
    with pytest.raises(CheckpointError, match=r'stage is "circle", was "line"'):
        loop.train(stage, RUN, tmp_path)
    saved = load_state(tmp_path)
    state.save_state(tmp_path, replace(saved, facts={**saved.facts, "framework": "another"}))
    with pytest.raises(CheckpointError, match="framework"):
        loop.train(LineStage(), RUN, tmp_path)
    assert load_state(tmp_path).step == 3


def test_another_rate_is_noted_and_used(tmp_path, caplog):
    loop.train(LineStage(), replace(RUN, steps=3), tmp_path)
    loop.train(LineStage(LineSettings(rate=0.01)), RUN, tmp_path)
    assert "rate is 0.01, was 0.05" in caplog.text
    assert [line["notes"] for line in read_log(tmp_path) if "notes" in line] == [["rate is 0.01, was 0.05"]]


def test_gradients_that_are_not_finite_change_nothing_and_end_the_run(tmp_path):
    stage = LineStage(bad_from=4)
    with pytest.raises(ValueError, match="not finite: lower the rate"):
        loop.train(stage, replace(RUN, steps=100), tmp_path)
    assert np.isfinite(framework.to_numpy(stage.networks["line"].linear.weight)).all()
    assert len(stage.seen) == 4 + loop.MAX_BAD_STEPS


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_state_is_named(tmp_path, damage):
    loop.train(LineStage(), replace(RUN, steps=2), tmp_path)
    path = tmp_path / "state.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        from safetensors.numpy import save_file

        save_file({"a": np.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="state.safetensors"):
        loop.train(LineStage(), RUN, tmp_path)


def test_a_killed_run_resumes_as_if_it_had_not_stopped(tmp_path):
    """A real process, killed with no warning."""
    loop.train(LineStage(), replace(RUN, steps=40), tmp_path / "whole")
    program = (
        "import os, signal, sys; from dataclasses import replace; from pathlib import Path\n"
        "from tests.training.test_loop import *\n"
        "class Dying(LineStage):\n"
        "    def data(self, index):\n"
        "        if index == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().data(index)\n"
        "loop.train(Dying(), replace(RUN, steps=40), Path(sys.argv[1]))\n"
    )
    for index in (23,):
        run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "killed"), str(index)], check=False)
        assert run.returncode == -9
    loop.train(LineStage(), replace(RUN, steps=40), tmp_path / "killed")
    assert same_state(tmp_path / "whole", tmp_path / "killed")
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


def test_workers_make_the_same_batches(tmp_path):
    from contextlib import closing

    from ppaudioldm.training.batches import iterate_batches
    from tests.training.support import Rows

    with (
        closing(iterate_batches(Rows(), 3, 2, workers=0)) as here,
        closing(iterate_batches(Rows(), 3, 2, workers=2)) as there,
    ):
        for _ in range(8):
            assert np.array_equal(next(here)["x"], next(there)["x"])


def test_a_limited_time_ends_the_run_and_its_rate(tmp_path, monkeypatch):
    """A second a step: of ten seconds in all, four in the first call."""
    clock = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: seconds[0])
    seconds, stage = [0.0], LineStage()
    stage.data = lambda index: (seconds.__setitem__(0, float(next(clock))), LineStage.data(stage, index))[1]
    run = replace(RUN, steps=100, total_minutes=1 / 6, evaluate_every=100)
    loop.train(stage, run, tmp_path, should_stop=stop_after(4))
    other = LineStage()
    other.data = stage.data
    loop.train(other, run, tmp_path)
    lines = read_log(tmp_path)
    rates = [line["rate"] for line in lines if "rate" in line]
    assert 9 <= len(rates) <= 12 and "held_out" in lines[-1]
    assert rates[1:] == sorted(rates[1:], reverse=True) and rates[-1] < 0.1 * rates[1], "after the warm-up"
    steps = load_state(tmp_path).step
    loop.train(LineStage(), run, tmp_path)
    assert load_state(tmp_path).step == steps, "nothing is left"
    with pytest.raises(ValueError, match="total_minutes is 1, allowed with 2 processes: 0"):
        loop.train(LineStage(), replace(RUN, total_minutes=1), tmp_path, Process(count=2))


def test_batches_of_a_thread_are_the_same():
    with closing(iterate_batches(lambda index: {"x": np.full(1, index)}, 3, 2, 0, in_thread=True)) as batches:
        assert [int(batch["x"][0]) for batch in itertools.islice(batches, 5)] == [3, 5, 7, 9, 11]


@pytest.mark.skipif(framework.NAME == "paddle", reason="PyTorch compiles")
def test_a_compiled_network_learns_the_same(tmp_path):
    loop.train(LineStage(), RUN, tmp_path / "plain")
    loop.train(LineStage(), replace(RUN, compile=("line",)), tmp_path / "compiled")
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)


def test_networks_that_cannot_be_compiled(tmp_path):
    with pytest.raises(ValueError, match=r"compile is \['curve'\], allowed: (some of line|none with Paddle)"):
        loop.train(LineStage(), replace(RUN, compile=("curve",)), tmp_path)
