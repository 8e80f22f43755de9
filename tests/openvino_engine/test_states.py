"""Functions that go on from call to call: as Paddle does, each by itself, without copies of what they keep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from ppaudioldm import framework
from ppaudioldm.engines.choice import create_engine
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.openvino_engine.cache import ModelCache
from ppaudioldm.openvino_engine.engine import OpenVINOEngine
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.locate import locate
from tests.network_examples import SMALL
from tests.support import noise, relative_error
from tests.tasks.test_speak import FAST, TINY_SPEECH, WISH, checkpoint

if framework.NAME != "paddle":
    pytest.skip("only Paddle's programs are translated", allow_module_level=True)

from ppaudioldm.openvino_engine.translator import Translator

CHUNKS = (5, 3, 1, 1, 2)  # positions a call
WIDTH = TINY_SPEECH.gpt2.hidden_size


@pytest.fixture(scope="module")
def engine() -> OpenVINOEngine:
    return OpenVINOEngine(Translator(checkpoint()), "f32")


@pytest.fixture(scope="module")
def eager() -> EagerEngine:
    return EagerEngine(checkpoint(), "cpu")


def hidden(engine: Any, start: Callable[..., Any], items: list[int]) -> np.ndarray:
    """What GPT-2 makes of a sequence in chunks, for these items of two; the second has padding inside."""
    embeddings, mask = noise(2, sum(CHUNKS), WIDTH)[items], np.ones((2, sum(CHUNKS)), np.float32)
    mask[1, 3:6] = 0
    found, end = [], 0
    for length in CHUNKS:
        end += length
        inputs = embeddings[:, end - length : end], mask[items, :end]
        found.append(engine.to_numpy(start(*[engine.asarray(x) for x in inputs])))
    return np.concatenate(found, 1)


def loa(engine: Any, items: list[int], num_tokens: int = 24) -> np.ndarray:
    prefix, mask = noise(2, 30, WIDTH)[items], np.ones((2, 30), np.float32)
    mask[1, 10:29] = 0
    arrays = [engine.asarray(x) for x in (prefix, mask[items])]
    return engine.to_numpy(generate_loa(*arrays, engine.start("gpt2"), num_tokens, engine.concat))


def test_goes_on_as_paddle_does(engine, eager):
    expected = hidden(eager, eager.start("gpt2"), [0, 1])
    assert relative_error(hidden(engine, engine.start("gpt2"), [0, 1]), expected) < 1e-5
    assert relative_error(loa(engine, [0, 1]), loa(eager, [0, 1])) < 1e-5


def test_as_one_call_would(engine):
    embeddings, mask = noise(1, sum(CHUNKS), WIDTH), np.ones((1, sum(CHUNKS)), np.float32)
    whole = engine.start("gpt2")(embeddings, mask)
    assert relative_error(hidden(engine, engine.start("gpt2"), [0]), whole) < 1e-5


def test_the_order_of_a_batch_does_not_matter(engine):
    np.testing.assert_array_equal(loa(engine, [0, 1]), loa(engine, [1, 0])[::-1])


def test_each_start_begins_anew_and_keeps_its_own(engine):
    first, second = engine.start("gpt2"), engine.start("gpt2")
    expected = hidden(engine, engine.start("gpt2"), [0]), hidden(engine, engine.start("gpt2"), [1])
    one, other = noise(2, sum(CHUNKS), WIDTH)[:1], noise(2, sum(CHUNKS), WIDTH)[1:]
    mask = np.ones((1, sum(CHUNKS)), np.float32)
    masked = mask.copy()
    masked[0, 3:6] = 0
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    end = 0
    for length in CHUNKS:  # in turns
        end += length
        found[0].append(first(one[:, end - length : end], mask[:, :end]))
        found[1].append(second(other[:, end - length : end], masked[:, :end]))
    for parts, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, 1), whole)


def test_a_function_with_states_is_not_run(engine):
    with pytest.raises(AssertionError, match="must be started"):
        engine.run("gpt2", noise(1, 2, WIDTH), np.ones((1, 2), np.float32))


def test_the_cache_is_appended_to_in_place():
    model = Translator(checkpoint())("gpt2")
    layers = TINY_SPEECH.gpt2.num_layers
    assert [x.get_any_name() for x in model.inputs] == ["embeddings", "mask"]
    assert [x.get_any_name() for x in model.outputs] == ["output"]
    assert len(model.get_sinks()) == 2 * layers
    options = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", options).get_runtime_model()
    kinds = [op.get_rt_info()["layerType"] for op in compiled.get_ordered_ops()]
    assert kinds.count("ScaledDotProductAttention") == layers
    assert "Softmax" not in kinds and kinds.count("Concatenation") <= 1  # that one is of sizes


# ---- Threads


def test_threads_make_the_tokens_they_make_alone(engine):
    alone = [loa(engine, [item]) for item in (0, 1)]
    with ThreadPoolExecutor(10) as threads:
        together = list(threads.map(lambda i: loa(engine, [i % 2]), range(10)))
    for index, tokens in enumerate(together):
        np.testing.assert_array_equal(tokens, alone[index % 2])


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """A small speech checkpoint in a file."""
    folder = tmp_path_factory.mktemp("speech") / "tiny-speech"
    config = replace(TINY_SPEECH, unet=replace(SMALL, context_dims=(128,)))
    write_native(random_checkpoint("tiny-speech", config, seed=0), folder)
    return folder


def test_two_threads_speak_as_one_after_the_other(speech, tmp_path, monkeypatch):
    """From the prepared cache, on an engine that was only just opened."""
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))

    def say(pipeline: AudioLDM, prompt: str) -> np.ndarray:
        return pipeline.generate(prompt, phonemes=WISH[1], **FAST).waveforms

    prompts = ["A man speaks", "A woman speaks"]
    first = AudioLDM(*create_engine(locate(speech), "openvino"))
    alone = [say(first, prompt) for prompt in prompts]
    assert relative_error(alone[0], alone[1]) > 1e-4
    again = AudioLDM(*create_engine(locate(speech), "openvino"))
    both_ready = threading.Barrier(2)

    def together(prompt: str) -> np.ndarray:
        both_ready.wait()
        return say(again, prompt)

    with ThreadPoolExecutor(2) as threads:
        for one, other in zip(threads.map(together, prompts), alone, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_later_start_reads_the_compiled_loop_back(speech, tmp_path):
    models = ModelCache(locate(speech), None, "f32", tmp_path)
    expected = loa(OpenVINOEngine(models.model, "f32", models), [0])

    def model_of(function: str) -> openvino.Model:
        raise AssertionError(f"{function} is compiled again")

    again = OpenVINOEngine(model_of, "f32", models)
    np.testing.assert_array_equal(loa(again, [0]), expected)
    np.testing.assert_array_equal(loa(again, [0]), expected)
