"""The OpenVINO engine: the same results as the eager one, whoever calls it and in whatever order."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset15

from ppaudioldm import framework
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.openvino_engine.engine import MIN_SHAPES, STATIC, OpenVINOEngine, checked_precision, num_threads
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.network_examples import CONFIGS, EXAMPLES
from tests.support import noise, relative_error

if framework.NAME != "paddle":
    pytest.skip("only Paddle's programs are translated", allow_module_level=True)

from ppaudioldm.openvino_engine.translator import Translator

CONFIG = CONFIGS["two contexts"]
CHECKPOINT = random_checkpoint("small", CONFIG, 0)
HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class FakeCore:
    def __init__(self, *capabilities: str) -> None:
        self.capabilities = capabilities

    def get_property(self, device: str, name: str) -> tuple[str, ...]:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self.capabilities


@cache
def model_of(function: str) -> openvino.Model:
    """The model of a function of CHECKPOINT, translated once for all engines that are tested."""
    return Translator(CHECKPOINT)(function)


@pytest.fixture(scope="module")
def engine() -> OpenVINOEngine:
    return OpenVINOEngine(model_of, "f32")


@pytest.fixture(scope="module")
def eager() -> EagerEngine:
    return EagerEngine(CHECKPOINT, "cpu")


def run_eager(eager: EagerEngine, function: str, inputs: list[Any]) -> Any:
    def tensor(x: Any) -> Any:
        return [tensor(y) for y in x] if isinstance(x, list) else eager.asarray(x)

    outputs = eager.run(function, *tensor(inputs))
    return [eager.to_numpy(x) for x in outputs] if isinstance(outputs, (list, tuple)) else eager.to_numpy(outputs)


def errors(actual: Any, expected: Any) -> list[float]:
    assert isinstance(actual, list) == isinstance(expected, list)
    pairs = zip(actual, expected, strict=True) if isinstance(expected, list) else [(actual, expected)]
    return [relative_error(a, b) for a, b in pairs]


FUNCTIONS = ["unet_guided_step", "unet_contexts", "loa", "vae_encoder", "clap_text"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_runs_as_the_eager_engine_does(engine, eager, function):
    inputs = EXAMPLES[function](CONFIG, 2, 2)
    assert max(errors(engine.run(function, *inputs), run_eager(eager, function, inputs))) < 1e-5


def test_list_of_one_array_stays_a_list():
    engine = OpenVINOEngine(Translator(random_checkpoint("speech", CONFIGS["one context"], 0)), "f32")
    (projected,) = engine.run("unet_contexts", [noise(2, 3, 128)])
    assert projected.shape[:2] == (2, 3)


def test_loa_tokens_through_the_cache(engine, eager):
    def tokens(engine: Any) -> np.ndarray:
        prefix, mask = engine.asarray(noise(2, 7, 128)), engine.asarray(np.ones((2, 7), np.float32))
        return engine.to_numpy(generate_loa(prefix, mask, engine.start("gpt2"), 8, engine.concat))

    assert relative_error(tokens(engine), tokens(eager)) < 1e-5


def test_outputs_are_not_overwritten_by_later_calls(engine):
    first = engine.run("vocoder", noise(1, 4, 64, seed=1))
    kept = first.copy()
    engine.run("vocoder", noise(1, 4, 64, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_inputs_of_another_layout_or_float_type(engine):
    mel = noise(1, 64, 4)
    expected = engine.run("vocoder", np.ascontiguousarray(mel.transpose(0, 2, 1)))
    np.testing.assert_array_equal(engine.run("vocoder", mel.transpose(0, 2, 1)), expected)
    np.testing.assert_array_equal(engine.run("vocoder", mel.transpose(0, 2, 1).astype(np.float64)), expected)


def test_wrong_number_of_inputs(engine):
    with pytest.raises(ValueError, match="shorter|longer"):
        engine.run("vocoder", noise(1, 4, 64), noise(1, 4, 64))


def test_none_stands_for_an_input_that_the_network_does_not_have(engine):
    inputs = EXAMPLES["unet_step"](CONFIG, 2, 1)
    np.testing.assert_array_equal(engine.run("unet_step", *inputs, None), engine.run("unet_step", *inputs))


@pytest.mark.parametrize("function", sorted(STATIC))
def test_unet_decoder_and_vocoder_are_compiled_once_a_shape_and_the_last_shapes_are_kept(function, monkeypatch):
    """Whatever the model is: here one that doubles its input."""
    x = opset15.parameter([-1, 8, -1, 16], np.float32)
    doubled = opset15.add(x, x)
    doubled.output(0).get_tensor().set_names({"output"})
    engine = OpenVINOEngine(lambda name: openvino.Model([doubled], [x]), "f32")
    compiled, compile_one = [], engine._compile
    monkeypatch.setattr(engine, "_compile", lambda name, of: compiled.append(of and of[0]) or compile_one(name, of))
    for frames in (1, 2, 1, 2, 3, 2, 1):  # 1 is gone when 3 comes
        latents = noise(2, 8, 8 * frames, 16)
        np.testing.assert_array_equal(engine.run(function, latents), 2 * latents)
    assert compiled == [(2, 8, 8 * frames, 16) for frames in (1, 2, 3, 1)]
    assert len(engine._functions[function]._compiled) == MIN_SHAPES


def test_unet_of_several_shapes_from_one_translation(engine):
    for frames in (1, 2):
        assert engine.run("unet_step", *EXAMPLES["unet_step"](CONFIG, 2, frames)).shape == (2, 8, 8 * frames, 16)


def test_threads_get_what_they_would_get_alone():
    engine = OpenVINOEngine(Translator(CHECKPOINT), "f32")  # they translate as well
    sizes = [("loa", 1), ("unet_step", 1), ("loa", 2), ("unet_step", 2)]
    examples = [(function, EXAMPLES[function](CONFIG, batch, 1)) for function, batch in sizes]
    with ThreadPoolExecutor(10) as pool:
        together = list(pool.map(lambda x: engine.run(x[0], *x[1]), examples * 5))
    for actual, (function, inputs) in zip(together, examples * 5, strict=True):
        assert max(errors(actual, engine.run(function, *inputs))) == 0


def test_an_engine_that_nobody_holds_is_freed_at_once():
    """Its weights are gigabytes, and Python looks for cycles when it has made many small objects, not big ones."""
    engine = OpenVINOEngine(Translator(CHECKPOINT), "f32")
    engine.run("vae_decoder", *EXAMPLES["vae_decoder"](CONFIG, 1, 2))
    held = weakref.ref(engine)
    gc.collect()
    gc.disable()
    try:
        del engine
        assert held() is None
    finally:
        gc.enable()


def test_model_may_come_from_elsewhere():
    class Elsewhere(Exception):
        pass

    def model_of(function: str) -> openvino.Model:
        raise Elsewhere(function)

    with pytest.raises(Elsewhere, match="vocoder"):
        OpenVINOEngine(model_of, "f32").prepare("vocoder")


@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no bf16")
def test_bf16_is_near_f32(engine):
    half = OpenVINOEngine(model_of, "bf16")
    alone = num_threads(openvino.Core()) == 1  # then FLAN-T5 runs in f32
    for function in ("unet_step", "vae_decoder", "vocoder", "clap_text", *(() if alone else ("flan_t5",))):
        inputs = EXAMPLES[function](CONFIG, 2, 2)
        found = errors(half.run(function, *inputs), engine.run(function, *inputs))
        assert 1e-5 < max(found) < 0.03
    example = EXAMPLES["gpt2"](CONFIG, 2, 2)[:2]
    assert 1e-5 < relative_error(half.start("gpt2")(*example), engine.start("gpt2")(*example)) < 0.03


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_on_one_processor():
    """In a process of its own, for what goes wrong there ends it."""
    script = """
        import os
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        from tests.openvino_engine.test_engine import CHECKPOINT, CONFIG, EXAMPLES, OpenVINOEngine, Translator
        engine = OpenVINOEngine(Translator(CHECKPOINT))
        for function in ("clap_text", "flan_t5", "unet_guided_step", "vae_decoder", "vocoder", "clap_audio"):
            engine.run(function, *EXAMPLES[function](CONFIG, 2, 2))
        engine.start("gpt2")(*EXAMPLES["gpt2"](CONFIG, 2, 2)[:2])
        print("ran")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.stdout == "ran\n", done.stderr


def test_threads_are_counted():
    assert 1 <= num_threads(openvino.Core()) <= os.cpu_count()


def test_precision_is_what_the_cpu_has():
    assert checked_precision("auto", FakeCore("FP32", "BF16")) == "bf16"
    assert checked_precision("auto", FakeCore("FP32")) == "f32"
    assert checked_precision("f32", FakeCore("FP32", "BF16")) == "f32"
    with pytest.raises(ValueError, match=r"'bf16' needs a CPU with .*choose from \['auto', 'f32'\]"):
        checked_precision("bf16", FakeCore("FP32"))
    with pytest.raises(ValueError, match=r"unknown precision 'fp16', choose from \['auto', 'f32', 'bf16'\]"):
        OpenVINOEngine(Translator(CHECKPOINT), "fp16")
