"""The networks on Paddle or PyTorch as they are: devices, half precision, the compiled step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.models.build import build_empty
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import noise, relative_error

CHECKPOINT = random_checkpoint("untrained", UNTRAINED, 0)
only_torch = pytest.mark.skipif(framework.NAME != "torch", reason="half precision and compilation are PyTorch's")
only_paddle = pytest.mark.skipif(framework.NAME != "paddle", reason="what Paddle does not have")


def guided_step(engine: EagerEngine) -> np.ndarray:
    return engine.to_numpy(step(engine, noise(1, 8, 8, 16)))


def step(engine: EagerEngine, latents: np.ndarray) -> Any:
    """One guided UNet step, as the pipeline runs it."""
    contexts = [engine.asarray(noise(2, 8, 128, seed=1)), engine.asarray(noise(2, 5, 160, seed=2))]
    masks = [engine.asarray(np.ones(shape, np.float32)) for shape in ((2, 8), (2, 5))]
    features = engine.asarray(timestep_features(np.array([500]), UNTRAINED.unet.model_channels))
    projected, time = engine.run("unet_contexts", contexts), engine.run("unet_time_embedding", features)
    return engine.run("unet_guided_step", engine.asarray(latents), time, projected, masks)


def waveform(engine: EagerEngine) -> np.ndarray:
    clip = AudioLDM(CHECKPOINT, engine).generate("rain", duration=0.5, num_inference_steps=3, seed=1)
    return clip.waveforms


@only_torch
@pytest.mark.parametrize(("precision", "limit"), [("bf16", 3e-2), ("fp16", 4e-3)])
def test_half_precision(precision, limit):
    exact, half = EagerEngine(CHECKPOINT, "cpu"), EagerEngine(CHECKPOINT, "cpu", precision)
    error = relative_error(guided_step(half), guided_step(exact))
    assert 1e-5 < error < limit  # it is half precision, and no worse than that
    assert relative_error(waveform(half), waveform(exact)) < limit


def in_threads(*calls: Callable[[], Any]) -> None:
    """All `calls` at once, each in a thread of its own."""
    begin = threading.Barrier(len(calls))
    threads = [threading.Thread(target=lambda call=call: (begin.wait(), call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_that_need_a_network_at_once_load_it_once(monkeypatch):
    loaded: list[str] = []

    def slowly(engine: EagerEngine, network: str) -> Any:
        loaded.append(network)
        time.sleep(0.05)
        return build_empty(network, UNTRAINED)

    monkeypatch.setattr(EagerEngine, "_loaded", slowly)
    engine = EagerEngine(CHECKPOINT, "cpu")
    in_threads(*[lambda: engine.prepare("vocoder")] * 4, *[lambda: engine.prepare("unet_guided_step")] * 2)
    assert sorted(loaded) == ["unet", "vocoder"]


def test_two_networks_load_at_the_same_time(monkeypatch):
    """One does not wait for the other, which a lock for all of them would cause."""
    both = threading.Barrier(2)

    def together(engine: EagerEngine, network: str) -> Any:
        both.wait(timeout=20)
        return build_empty(network, UNTRAINED)

    monkeypatch.setattr(EagerEngine, "_loaded", together)
    engine = EagerEngine(CHECKPOINT, "cpu")
    in_threads(lambda: engine.prepare("vocoder"), lambda: engine.prepare("vae_decoder"))
    assert engine._networks.keys() == {"vocoder", "vae_decoder"}


def test_with_low_memory_threads_never_hold_two_networks(monkeypatch):
    most: list[int] = []

    def counted(engine: EagerEngine, network: str) -> Any:
        most.append(len(engine._networks))  # besides the one that is loaded now
        time.sleep(0.01)
        most.append(len(engine._networks))
        return build_empty(network, UNTRAINED)

    monkeypatch.setattr(EagerEngine, "_loaded", counted)
    engine = EagerEngine(CHECKPOINT, "cpu", low_memory=True)
    in_threads(*[lambda name=name: engine._ready(name) for name in ("vocoder", "vae_decoder", "gpt2", "vae_encoder")])
    assert max(most) == 0 and len(engine._networks) == 1


@only_torch
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_outputs_of_a_compiled_step_stay_as_they_are(monkeypatch, precision):
    """A CUDA graph returns its own buffer each time, which the next call overwrites: here a stand-in does."""

    def graph_of(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        buffers: list[Any] = []

        def replay(*inputs: Any) -> Any:
            output = function(*inputs)
            buffers[:] = buffers or [output.clone()]
            return buffers[0].copy_(output)

        return replay

    monkeypatch.setattr(framework.xp, "compile", graph_of)
    engine = EagerEngine(CHECKPOINT, "cpu", precision, compile_step=True)
    first = step(engine, noise(1, 8, 8, 16))
    before = engine.to_numpy(first).copy()
    assert relative_error(engine.to_numpy(step(engine, noise(1, 8, 8, 16, seed=7))), before) > 0.1
    assert np.array_equal(engine.to_numpy(first), before)


@only_torch
def test_arrays_between_networks_are_float32():
    engine = EagerEngine(CHECKPOINT, "cpu", "bf16")
    mel = engine.run("vae_decoder", engine.asarray(noise(1, 8, 8, 16)))
    assert mel.dtype == framework.xp.float32


def in_chunks(engine: EagerEngine, seed: int = 0) -> np.ndarray:
    """What GPT-2 makes of 6 positions, given in two calls."""
    embeddings, mask = noise(1, 6, 128, seed=seed), np.ones((1, 6), np.float32)
    go_on = engine.start("gpt2")
    calls = [(embeddings[:, :4], mask[:, :4]), (embeddings[:, 4:], mask)]
    return np.concatenate([engine.to_numpy(go_on(*map(engine.asarray, inputs))) for inputs in calls], 1)


def test_what_is_started_goes_on_and_begins_anew():
    engine = EagerEngine(CHECKPOINT, "cpu")
    inputs = engine.asarray(noise(1, 6, 128)), engine.asarray(np.ones((1, 6), np.float32))
    whole = engine.to_numpy(engine.start("gpt2")(*inputs))
    assert relative_error(in_chunks(engine), whole) < 1e-5
    assert relative_error(in_chunks(engine), whole) < 1e-5


@only_torch
def test_states_in_half_precision():
    engine = EagerEngine(CHECKPOINT, "cpu", "bf16")
    assert 1e-5 < relative_error(in_chunks(engine), in_chunks(EagerEngine(CHECKPOINT, "cpu"))) < 3e-2
    go_on = engine.start("gpt2")
    hidden = go_on(engine.asarray(noise(1, 4, 128)), engine.asarray(np.ones((1, 4), np.float32)))
    assert hidden.dtype == framework.xp.float32
    assert {x.dtype for x in go_on._states} == {framework.xp.bfloat16}


@only_torch
def test_time_layers_stay_in_float32():
    engine = EagerEngine(CHECKPOINT, "cpu", "bf16")
    engine.prepare("unet_step")
    dtypes = {name: parameter.dtype for name, parameter in engine._networks["unet"].named_parameters()}
    precise = {name for name, dtype in dtypes.items() if dtype == framework.xp.float32}
    assert precise == {f"time_{side}.{leaf}" for side in ("in", "out") for leaf in ("weight", "bias")}


@only_torch
def test_auto_precision_on_a_cpu_is_f32():
    assert EagerEngine(CHECKPOINT, "cpu").precision == "f32"


@only_paddle
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_paddle_has_no_half_precision(precision):
    with pytest.raises(ValueError, match=f"precision is '{precision}', but the eager engine has it with PyTorch only"):
        EagerEngine(CHECKPOINT, "cpu", precision)


@only_paddle
def test_paddle_has_no_compiled_step():
    with pytest.raises(ValueError, match="compile_step needs PyTorch"):
        EagerEngine(CHECKPOINT, "cpu", compile_step=True)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu0", ""])
def test_unknown_device(device):
    with pytest.raises(ValueError, match=f"device '{device}' is not available"):
        EagerEngine(CHECKPOINT, device)


def test_unknown_precision():
    with pytest.raises(ValueError, match="unknown precision 'int8', choose from auto, f32, bf16, fp16"):
        EagerEngine(CHECKPOINT, "cpu", "int8")
