"""What the UNet is asked, step by step: with guidance or without, all of it or its finest level."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.models.functions import STEPS
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import AUDIOLDM1, RecordingEngine, relative_error

FAST: dict[str, Any] = {"duration": 0.32, "seed": 7, "num_inference_steps": 5}
SHARED = {"unet_contexts": 1, "unet_time_embedding": 1}  # once for all steps


@pytest.fixture(scope="module")
def pipeline() -> AudioLDM:
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    return AudioLDM(checkpoint, RecordingEngine(checkpoint))


def made(pipeline: AudioLDM, **settings: Any) -> tuple[np.ndarray, dict[str, int]]:
    """The clip, and how often each function of the UNet was called."""
    pipeline.engine.calls.clear()
    waveforms = pipeline.generate("rain", **FAST | settings).waveforms
    return waveforms, {name: count for name, count in pipeline.engine.counts().items() if name.startswith("unet_")}


def test_deep_features_serve_several_steps(pipeline):
    whole, calls = made(pipeline)
    assert calls == {**SHARED, "unet_guided_step": 5}
    halved, calls = made(pipeline, reuse=2)
    assert calls == {**SHARED, "unet_guided_deep": 3, "unet_guided_shallow": 5}
    rough, calls = made(pipeline, reuse=5)
    assert calls == {**SHARED, "unet_guided_deep": 1, "unet_guided_shallow": 5}
    assert 1e-4 < relative_error(halved, whole) < relative_error(rough, whole)


def test_deep_features_of_several_windows():
    config = replace(UNTRAINED, diffusion=replace(UNTRAINED.diffusion, clip_seconds=2.56))
    checkpoint = random_checkpoint("short", config, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    settings = {"duration": 2.7, "num_inference_steps": 2}  # two windows
    rough, calls = made(pipeline, reuse=2, **settings)
    assert calls == {**SHARED, "unet_guided_deep": 2, "unet_guided_shallow": 4}
    together, calls = made(pipeline, reuse=2, batch_size=2, **settings)
    assert calls == {**SHARED, "unet_guided_deep": 1, "unet_guided_shallow": 2}
    assert relative_error(together, rough) < 1e-4


def test_guidance_in_a_part_of_the_steps(pipeline):
    always, _ = made(pipeline)
    never, calls = made(pipeline, guidance_scale=1.0)
    assert calls == {**SHARED, "unet_step": 5}
    partly, calls = made(pipeline, guidance_interval=(0.2, 0.8))
    assert calls == {**SHARED, "unet_step": 2, "unet_guided_step": 3}
    assert relative_error(partly, always) > 1e-4 < relative_error(partly, never)
    hardly, calls = made(pipeline, guidance_interval=(0.0, 0.01))  # rounds to no step at all
    assert calls == {**SHARED, "unet_step": 5}
    assert relative_error(hardly, never) < 1e-5
    _, calls = made(pipeline, guidance_interval=(0.2, 1.0), reuse=2)
    assert calls == {**SHARED, "unet_step": 1, "unet_guided_deep": 2, "unet_guided_shallow": 4}


FILM = {
    "48k": replace(
        UNTRAINED, flan_t5=None, loa=None, gpt2=None, unet=replace(UNTRAINED.unet, context_dims=(None,), film_dim=64)
    ),
    "audioldm1": AUDIOLDM1,
}


@pytest.mark.parametrize("name", FILM)
def test_film_is_of_both_halves_where_a_step_is_guided(name, monkeypatch):
    checkpoint = random_checkpoint("film", FILM[name], 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    sizes = []
    run = pipeline.engine.run

    def counted(function: str, *inputs: Any) -> Any:
        if function in STEPS:
            sizes.append([x.shape[0] for x in (inputs[0], inputs[1], inputs[-1])])
        return run(function, *inputs)

    monkeypatch.setattr(pipeline.engine, "run", counted)
    _, calls = made(pipeline, guidance_interval=(0.0, 0.6))
    assert calls == {"unet_time_embedding": 1, "unet_guided_step": 3, "unet_step": 2}
    assert sizes == [[1, 1, 2]] * 3 + [[1, 1, 1]] * 2


def test_deep_features_of_film_serve_several_steps():
    checkpoint = random_checkpoint("film", AUDIOLDM1, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    whole, _ = made(pipeline)
    halved, calls = made(pipeline, reuse=2)
    assert calls == {"unet_time_embedding": 1, "unet_guided_deep": 3, "unet_guided_shallow": 5}
    rough, _ = made(pipeline, reuse=5)
    assert 1e-4 < relative_error(halved, whole) < relative_error(rough, whole)


@pytest.mark.parametrize("interval", [(0.8, 0.2), (-0.1, 1.0), (0.0, 1.1), (0.5,), "ab", (0.0, float("nan"))])
def test_intervals_that_are_none(pipeline, interval):
    with pytest.raises(ValueError, match="guidance_interval is .*, allowed: a start and an end, 0 <= start < end <= 1"):
        pipeline.generate("rain", guidance_interval=interval, **FAST)
