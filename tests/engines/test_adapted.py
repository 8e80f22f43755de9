"""Clips with LoRA adapters: on every engine as those of a checkpoint that holds the merged weights."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ppaudioldm import framework
from ppaudioldm.cli import main
from ppaudioldm.engines.choice import create_engine
from ppaudioldm.evaluation import speed
from ppaudioldm.lists.run import generate_list
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.locate import locate
from ppaudioldm.weights.lora import read_adapter
from tests.network_examples import CONFIGS, unet_contexts
from tests.support import relative_error
from tests.weights.lora_examples import SMALL, keys_of, matrices, write_file, write_peft

ENGINES = ("eager", "openvino") if framework.NAME == "paddle" else ("eager",)  # only Paddle's programs are translated
CLIP = {"duration": 0.5, "num_inference_steps": 2, "seed": 1, "guidance_scale": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """One with FLAN-T5 alone in front of a small UNet."""
    unet = replace(CONFIGS["two contexts"].unet, context_dims=(160,))
    config = replace(SMALL, unet=unet, gpt2=None, loa=None, audiomae=None)
    folder = tmp_path_factory.mktemp("checkpoint") / "few-networks"
    write_native(random_checkpoint("few-networks", config, 0), folder)
    return folder


@pytest.fixture(scope="module")
def adapter(checkpoint) -> Path:
    pairs = matrices(("to_q", "to_v", "ff.net.0.proj", "conv2"), config=open_checkpoint(checkpoint).config)
    write_file(checkpoint.parent / "other.safetensors", keys_of(pairs))
    return write_peft(checkpoint.parent / "bells", pairs, lora_alpha=6)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def opened(checkpoint: Path, engine: str, **settings) -> AudioLDM:
    return AudioLDM.from_pretrained(checkpoint, engine=engine, device="cpu", precision="f32", **settings)


def test_as_the_merged_checkpoint(checkpoint, adapter, tmp_path):
    assert main(["convert", str(checkpoint), str(tmp_path / "merged"), "--lora", f"{adapter}:2"]) == 0
    expected = opened(tmp_path / "merged", "eager").generate("rain", **CLIP).waveforms
    pipeline = opened(checkpoint, "eager")
    plain = pipeline.generate("rain", **CLIP).waveforms
    adapted = pipeline.generate("rain", lora=f"{adapter}:2", **CLIP).waveforms
    assert relative_error(adapted, expected) < 1e-5
    assert relative_error(plain, expected) > 0.05
    np.testing.assert_array_equal(pipeline.generate("rain", lora=[f"{adapter}:0"], **CLIP).waveforms, plain)
    little = opened(checkpoint, "eager", low_memory=True)
    np.testing.assert_array_equal(little.generate("rain", lora=f"{adapter}:2", **CLIP).waveforms, adapted)
    assert {*little.engine._functions} == {"vocoder"}  # the UNet, which ran before, has been released


@pytest.mark.skipif("openvino" not in ENGINES, reason="only Paddle's programs are translated")
def test_openvino_runs_the_merged_weights(checkpoint, adapter, cache):
    adapters = ((read_adapter(adapter), 2.0),)
    config = open_checkpoint(checkpoint).config
    inputs = unet_contexts(config, 1, 3)
    projected = {}
    for engine, merged in (("eager", adapters), ("openvino", adapters), ("openvino", ())):
        _, made = create_engine(locate(checkpoint), engine, "cpu", "f32", adapters=merged)
        arrays = [[made.asarray(x) for x in group] for group in inputs]
        projected[engine, bool(merged)] = made.to_numpy(made.run("unet_contexts", *arrays)[0])
    assert relative_error(projected["openvino", True], projected["eager", True]) < 1e-5
    assert relative_error(projected["openvino", False], projected["eager", True]) > 0.05


@pytest.mark.skipif("openvino" not in ENGINES, reason="only Paddle's programs are translated")
def test_cache_of_the_openvino_engine(checkpoint, adapter, cache, capsys, monkeypatch):
    from ppaudioldm.openvino_engine import cache as model_cache
    from ppaudioldm.openvino_engine.translator import Translator

    monkeypatch.setattr(model_cache, "MOST_ADAPTED", 2)
    calls: list[str] = []
    translate = Translator.__call__
    monkeypatch.setattr(Translator, "__call__", lambda self, name: calls.append(name) or translate(self, name))

    def prepare(scale: float) -> list[str]:
        """The networks that are translated for one use of the adapter, by a new engine."""
        calls.clear()
        adapters = ((read_adapter(adapter), scale),)
        _, engine = create_engine(locate(checkpoint), "openvino", "cpu", "f32", adapters=adapters)
        engine.prepare("unet_contexts")
        return list(calls)

    assert prepare(1.0) == ["unet_contexts"]
    assert prepare(1.0) == []  # once for each adapter and scale
    assert prepare(0.5) == ["unet_contexts"]
    os.utime(
        next(entry.folder for entry in model_cache.entries() if entry.lora == ("bells:0.5",)) / "entry.json", (1, 1)
    )
    assert prepare(0.25) == ["unet_contexts"]  # the third: the one that was used last but long ago goes
    assert {entry.lora for entry in model_cache.entries()} == {("bells:1",), ("bells:0.25",)}
    assert main(["cache"]) == 0
    assert "few-networks + bells:0.25  f32" in capsys.readouterr().out
    assert main(["cache", "few-networks", "--clear", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["removed"]) == 2


def test_adapters_by_name(checkpoint, adapter):
    named = {"bells": adapter}
    pipeline = opened(checkpoint, "eager", adapters=named)
    assert pipeline.adapters == ("bells",)
    clip = pipeline.generate("rain", lora="bells", **CLIP)
    np.testing.assert_array_equal(clip.waveforms, pipeline.generate("rain", lora=str(adapter), **CLIP).waveforms)
    guarded = opened(checkpoint, "eager", adapters=named, only_named_adapters=True)
    for text in (str(adapter), "other", "../bells"):
        with pytest.raises(ValueError, match=r"lora is .*, allowed: bells$"):
            guarded.generate("rain", lora=text, **CLIP)
    with pytest.raises(ValueError, match="no such LoRA adapter"):
        pipeline.generate("rain", lora="absent", **CLIP)
    with pytest.raises(ValueError, match="allowed: none, unless from_pretrained opened the checkpoint"):
        AudioLDM(pipeline.checkpoint, pipeline.engine).generate("rain", lora="bells", **CLIP)


def test_an_adapter_that_was_replaced_is_read_again(checkpoint, tmp_path):
    pairs = matrices(("attn1.to_q",), config=open_checkpoint(checkpoint).config)
    pipeline, path = opened(checkpoint, "eager"), tmp_path / "changing.safetensors"
    write_file(path, keys_of(pairs))
    first = pipeline.generate("rain", lora=str(path), **CLIP).waveforms
    write_file(path, keys_of({name: {**pair, "up": -pair["up"]} for name, pair in pairs.items()}))
    assert relative_error(pipeline.generate("rain", lora=str(path), **CLIP).waveforms, first) > 1e-3


def test_an_adapter_may_know_other_sounds(checkpoint, adapter, monkeypatch):
    """Than those that the checkpoint lists: with one, a prompt is not warned of."""
    pipeline, warned = opened(checkpoint, "eager"), []
    monkeypatch.setattr(pipeline, "warn_of_unknown_sounds", lambda prompts, schedule=(): warned.append(prompts))
    for lora in ((), str(adapter)):
        pipeline.generate("a cow", lora=lora, **CLIP | {"num_inference_steps": 1})
    assert warned == [["a cow"]]


# ---- On the command line


def test_generate_and_lists(checkpoint, adapter, tmp_path, capsys):
    short = ("-c", str(checkpoint), "--steps", "1", "-d", "0.5", "-s", "1", "--engine", "eager", "-w", "1")
    assert main(["generate", "rain", *short, "--lora", f"{adapter}:2", "-o", str(tmp_path / "a.wav"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["lora"] == [f"{adapter}:2.0"]
    lines = tmp_path / "lines.csv"
    lines.write_text(f"prompt,lora\nrain,\nrain,{adapter}:2\nrain,absent\n")
    pipeline = opened(checkpoint, "eager")
    report = generate_list(
        lines, tmp_path / "sounds", lambda: pipeline, checkpoint="few-networks", **CLIP | {"num_inference_steps": 1}
    )
    assert report.generated == 2 and report.failed == {4: "CheckpointError: 'absent': no such LoRA adapter"}
    plain, adapted = (soundfile.read(tmp_path / "sounds" / f"rain{end}.wav")[0] for end in ("", "-2"))
    np.testing.assert_allclose(adapted, soundfile.read(tmp_path / "a.wav")[0], atol=1e-4)
    assert relative_error(plain, adapted) > 0.01


def test_evaluated_and_timed(checkpoint, adapter, tmp_path, capsys):
    """`evaluate` writes the clips of `generate` with the adapter, `bench` times it."""
    kinds = ("--kinds", "bell", "--sounds", "simple", "--per-kind", "1", "--stages", "generated", "--engine", "eager")
    arguments = ("-c", str(checkpoint), "-d", "1", "--steps", "1", "-w", "1", "--no-papers")
    for name, more in (("plain", ()), ("adapted", ("--lora", f"{adapter}:2"))):
        assert main(["evaluate", *kinds, *arguments, *more, "-o", str(tmp_path / name), "--json"]) == 0
    prompt = json.loads((tmp_path / "adapted" / "prompts.jsonl").read_text("utf-8"))
    clip = dict(duration=1.0, num_inference_steps=1, guidance_scale=1, seed=prompt["seed"])
    expected = opened(checkpoint, "eager").generate(prompt["prompt"], lora=f"{adapter}:2", **clip).waveforms[0]
    file = f"generated/{prompt['name']}.wav"
    plain, adapted = (soundfile.read(tmp_path / name / file)[0] for name in ("plain", "adapted"))
    np.testing.assert_allclose(adapted, expected, atol=1e-4)
    assert relative_error(plain, adapted) > 0.01
    capsys.readouterr()
    settings = speed.Settings(
        str(checkpoint), duration=0.5, num_inference_steps=1, engine="eager", lora=[f"{adapter}:2"]
    )
    (timed,) = speed.measure(settings, 1, 0.0)
    assert len(timed["steps"]) == 1
    with pytest.raises(ValueError, match="no such LoRA adapter"):
        speed.measure(replace(settings, lora=["absent"]), 1, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--kinds", "a", "--lora", "absent"),
        ("evaluate", "--generated", "x", "-c", "tiny", "--lora", "absent"),
        ("evaluate", "--kinds", "a", "-c", "no-such-checkpoint", "--lora", "absent"),
        ("evaluate-speech", "commands", "--lora", "absent"),
        ("bench", "-c", "no-such-checkpoint", "--lora", "absent"),
    ],
)
def test_mistakes_of_evaluations(arguments, capsys):
    assert main([*arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and ("--lora is of the checkpoint" in err or "'absent': no such LoRA adapter" in err)


@pytest.mark.parametrize(
    "lora,message",
    [
        ("ADAPTER:1e9", "the scale of 'ADAPTER' is 1e+09, allowed: -10 to 10"),
        ("absent", "'absent': no such LoRA adapter"),
        ("https://example.com/a.safetensors", "no such LoRA adapter"),
    ],
)
def test_mistakes_are_found_before_the_checkpoint_is_opened(lora, message, capsys):
    assert main(["generate", "rain", "-c", "no-such-checkpoint", "--lora", lora]) == 2
    assert message in capsys.readouterr().err


def test_an_adapter_of_another_model(checkpoint, tmp_path, capsys, cache):
    pairs = {"layers.0.q": {"down": np.ones((1, 2)), "up": np.ones((2, 1))}}
    path = write_file(tmp_path / "other.safetensors", keys_of(pairs))
    arguments = ["generate", "rain", "-c", str(checkpoint), "--engine", "eager", "--lora", str(path)]
    assert main([*arguments, "-o", str(tmp_path / "a.wav")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0 and "1 of its 1 modules fit nothing in the UNet of few-networks" in error
    assert not (tmp_path / "a.wav").exists()
