"""With little memory: one network at a time, and the same clips."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.engines.choice import create_engine
from ppaudioldm.engines.engine import Engine
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.locate import locate
from tests.support import relative_error

ENGINES = ("eager", "openvino") if framework.NAME == "paddle" else ("eager",)  # only Paddle's programs are translated
SETTINGS = {"duration": 0.5, "num_inference_steps": 3, "negative_prompt": "wind", "num_waveforms_per_prompt": 2}
# Few layers: to let networks go and get them back takes time for each.
SHORT_UNET = replace(UNTRAINED.unet, channel_mult=(1, 2), attention_levels=(1,))
SHORT = replace(
    UNTRAINED,
    unet=SHORT_UNET,
    vae=replace(UNTRAINED.vae, channel_mult=(1, 1, 1)),
    vocoder=replace(UNTRAINED.vocoder, initial_channels=32, resblock_kernels=(3,), resblock_dilations=(1,)),
    audiomae=None,
)


class Watched:
    """An engine that keeps of which networks it held something after each run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.held: list[set[str]] = []

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def _watched(self, run: Callable, function: str, *inputs):
        result = run(function, *inputs)
        self.held.append({network_and_method(name)[0] for name in self._engine._functions})
        return result

    def run(self, function: str, *inputs):
        return self._watched(self._engine.run, function, *inputs)

    def run_numpy(self, function: str, *inputs):
        return self._watched(self._engine.run_numpy, function, *inputs)

    def start(self, function: str):
        return self._watched(self._engine.start, function)


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    return request.param


def low(engine: str, checkpoint: Path) -> AudioLDM:
    description, made = create_engine(locate(checkpoint), engine, "cpu", "f32", low_memory=True)
    return AudioLDM(description, Watched(made))


def written(folder: Path, **changes: object) -> Path:
    """A checkpoint of SHORT with these changes."""
    config = replace(SHORT, **changes)
    write_native(random_checkpoint(folder.name, config, 0), folder)
    return folder


@pytest.fixture(scope="module")
def all_networks(tmp_path_factory) -> Path:
    """A checkpoint with every network that a prompt needs."""
    return written(tmp_path_factory.mktemp("checkpoint") / "all-networks")


@pytest.fixture(scope="module")
def few_networks(tmp_path_factory) -> Path:
    """A checkpoint with FLAN-T5 alone in front of its UNet."""
    unet = replace(SHORT_UNET, context_dims=(160,))
    return written(tmp_path_factory.mktemp("checkpoint") / "few-networks", unet=unet, gpt2=None, loa=None)


def test_one_network_is_held_at_a_time_and_clips_are_the_same(engine, all_networks):
    pipeline = low(engine, all_networks)
    usual = AudioLDM.from_pretrained(all_networks, engine=engine, device="cpu", precision="f32")
    for prompt in ("rain", "a bell"):
        clip = pipeline.generate(prompt, seed=1, **SETTINGS)
        np.testing.assert_array_equal(clip.waveforms, usual.generate(prompt, seed=1, **SETTINGS).waveforms)
    held = pipeline.engine.held
    assert {len(networks) for networks in held} == {1}
    assert {network for networks in held for network in networks} >= {"clap_text", "flan_t5", "gpt2", "unet", "vocoder"}


def test_deep_and_shallow_steps_are_of_one_network(engine, few_networks):
    """In turns: each must not let the other go."""
    pipeline = low(engine, few_networks)
    made = []
    ready = pipeline.engine._ready
    pipeline.engine._engine._ready = lambda name: made.append((name, name in pipeline.engine._functions)) or ready(name)
    pipeline.generate("rain", seed=1, reuse=2, guidance_interval=(0.0, 0.7), duration=0.5, num_inference_steps=6)
    assert {"vocoder"} == set(pipeline.engine._functions)
    first_times = [name for name, was_ready in made if not was_ready and name.startswith("unet")]
    steps = ["unet_guided_deep", "unet_guided_shallow", "unet_step"]
    assert sorted(first_times) == ["unet_contexts", *steps, "unet_time_embedding"]


def test_threads_get_what_they_would_get_alone(engine, few_networks):
    pipeline = AudioLDM.from_pretrained(few_networks, engine=engine, device="cpu", precision="f32", low_memory=True)

    def make(seed: int) -> np.ndarray:
        return pipeline.generate("rain", seed=seed, duration=0.5, num_inference_steps=2).waveforms

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(make, range(3)))
    for seed, waveform in enumerate(together):
        assert relative_error(waveform, make(seed)) < 1e-4  # PyTorch adds in another order in another thread


@pytest.mark.skipif("openvino" not in ENGINES, reason="only Paddle's programs are translated")
def test_another_thread_may_let_a_model_go_at_any_time(tmp_path, monkeypatch):
    from ppaudioldm.openvino_engine import engine as openvino

    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))  # where nothing has been compiled yet
    _, engine = create_engine(locate("untrained"), "openvino", low_memory=True)

    class OtherThreadNext:
        """A lock: whoever waited for it runs another network."""

        def __enter__(self) -> None: ...

        def __exit__(self, *_) -> None:
            engine._release_networks("another")

    monkeypatch.setattr(openvino, "_translating", OtherThreadNext())
    assert engine.run("vocoder", np.zeros((1, 8, UNTRAINED.vae.n_mels), np.float32)).shape[0] == 1


@pytest.mark.skipif("openvino" not in ENGINES, reason="only Paddle's programs are translated")
def test_what_is_done_once_for_all_is_done_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))
    _, engine = create_engine(locate("untrained"), "openvino", low_memory=True)
    engine.prepare("vocoder")
    assert engine._cache.has("vocoder") and not engine._functions
    monkeypatch.setattr(engine, "_model_of", None)
    engine.prepare("vocoder")  # is there


@cache
def usual_waveform(candidates: int) -> np.ndarray:
    pipeline = AudioLDM.from_pretrained("untrained")
    settings = {"duration": 0.5, "num_inference_steps": 2, "seed": 1, "num_waveforms_per_prompt": candidates}
    return pipeline.generate("rain", **settings).waveforms[0]


@pytest.mark.parametrize(
    ("extra", "is_low"),
    [
        ([], True),
        (["--candidates", "2"], False),
        (["--candidates", "2", "--batch-size", "2"], True),
        (["--candidates", "2", "--low-memory"], True),
        (["--no-low-memory"], False),
    ],
)
def test_a_single_sound_is_made_with_little_memory(tmp_path, monkeypatch, extra, is_low):
    chosen = []

    def spied(*arguments):
        chosen.append(arguments[-1])
        return create_engine(*arguments)

    monkeypatch.setattr("ppaudioldm.pipeline.create_engine", spied)
    path = tmp_path / "rain.wav"
    command = ["generate", "rain", "-c", "untrained", "-d", "0.5", "--steps", "2", "--seed", "1", "-o", str(path)]
    assert main([*command, *extra]) == 0
    assert chosen == [is_low]
    found, _ = soundfile.read(path, dtype="float32")
    usual = usual_waveform(2 if "2" in extra else 1)
    np.testing.assert_allclose(found, usual, atol=1e-4)  # 16 bits, and batches differ in the last ones


def test_lists_are_made_with_all_networks_at_hand(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(
        "ppaudioldm.pipeline.create_engine", lambda *args: chosen.append(args[-1]) or create_engine(*args)
    )
    (tmp_path / "list.txt").write_text("rain\n")
    command = ["generate", "--list", str(tmp_path / "list.txt"), "--output-dir", str(tmp_path / "out")]
    assert main([*command, "-c", "untrained", "-d", "0.5", "--steps", "2"]) == 0
    assert chosen == [False]
