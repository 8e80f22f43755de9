"""The measurements of `ppaudioldm bench`: which they are, not how large."""

from __future__ import annotations

import json

import pytest

from ppaudioldm.cli import main
from ppaudioldm.engines.timed import TimedEngine
from ppaudioldm.evaluation.speed import STEP_FUNCTIONS, Settings, _seconds_by_stage, measure, table

STAGES = ["prepare", "text", "loa", "contexts", "first step", "step", "decode", "vocoder", "total"]


def test_command_measures_three_generations(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))
    assert main(["bench", "-c", "untrained", "--duration", "0.5", "--steps", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["settings"]["checkpoint"] == "untrained" and result["settings"]["num_inference_steps"] == 3
    assert list(result["first"]["seconds"]) == list(result["second"]["seconds"]) == ["import", "open", *STAGES]
    assert list(result["warm"]["seconds"]) == STAGES
    for generation in (result["first"], result["second"], result["warm"]):
        assert len(generation["steps"]) == 3
        assert all(seconds >= 0 for seconds in generation["seconds"].values())
        assert 0 < generation["to_first_step"] <= generation["seconds"]["total"] + 0.01
        assert generation["peak_memory_gb"] is None or generation["peak_memory_gb"] > 0.05
    assert "peak" in table(result) or result["warm"]["peak_memory_gb"] is None
    assert not list(tmp_path.glob(".bench*"))  # what it prepared is gone


def test_random_weights_of_a_name_need_no_download():
    (found,) = measure(Settings("untrained", random_weights=True, duration=0.5, num_inference_steps=1), 1, 0.0)
    assert len(found["steps"]) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-c", "nothing-here"], "unknown checkpoint 'nothing-here'"),
        (["-c", "nothing-here", "--random-weights"], "'nothing-here': only a published checkpoint"),
        (["-c", "untrained", "--duration", "0"], "duration is 0.0"),
    ],
)
def test_bad_settings_are_one_line(arguments, named, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1


def test_step_is_the_median_without_the_first():
    calls = [(STEP_FUNCTIONS[0], seconds) for seconds in (9.0, 1.0, 2.0, 4.0)] + [("clap_text", 1.0), ("flan_t5", 2.0)]
    stages = _seconds_by_stage(calls)
    assert (stages["first step"], stages["step"], stages["text"]) == (9.0, 2.0, 3.0)


def test_started_functions_are_timed_too():
    class Engine:
        def start(self, function):
            return lambda x: [function, x]

    engine = TimedEngine(Engine())
    go_on = engine.start("gpt2")
    assert [go_on(1), go_on(2)] == [["gpt2", 1], ["gpt2", 2]]
    assert [name for name, _ in engine.calls] == ["gpt2", "gpt2"]


def test_gpu_is_waited_for():
    class Gpu:
        device = "cuda:0"
        read = 0

        def run(self, function, *inputs):
            return ["a result", "another"]

        def to_numpy(self, array):
            assert array == "a result"
            self.read += 1

    engine = Gpu()
    assert TimedEngine(engine).run("unet_contexts") == ["a result", "another"]
    assert engine.read == 1
