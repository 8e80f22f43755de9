"""A consistency model: one call of the UNet, the guidance scale as its input, and what cannot apply in one line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.diffusion.noise import INITIAL, STEP, gaussian
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.options import PRESETS, Options, check_fit, with_defaults
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import CONSISTENCYTTA, RecordingEngine, noise

FAST: dict[str, Any] = {"duration": 0.32, "seed": 7}
SHAPE = (8, 8, 16)


@pytest.fixture(scope="module")
def pipeline() -> AudioLDM:
    checkpoint = random_checkpoint("consistencytta", CONSISTENCYTTA, 0)
    return AudioLDM(checkpoint, RecordingEngine(checkpoint))


def steps_of(pipeline: AudioLDM, **settings: Any) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Latents, time embedding and prediction of each call of the UNet that makes a clip; then what is decoded."""
    pipeline.engine.calls.clear()
    pipeline.generate("rain", **FAST | settings)
    calls = [
        tuple(map(framework.to_numpy, (inputs[0], inputs[1], output)))
        for inputs, output in pipeline.engine.of("unet_step")
    ]
    ((decoded,), _), *_ = pipeline.engine.of("vae_decoder")
    return [*calls, framework.to_numpy(decoded) * CONSISTENCYTTA.vae.scale_factor]


def embedding_of(timestep: float, scale: float) -> np.ndarray:
    """That of the timestep, and of the guidance scale at the stored frequencies, by NumPy."""
    weights = dict(random_checkpoint("x", CONSISTENCYTTA, 0).weights("unet"))
    angles = 2 * np.pi * scale * weights["guidance.weight"][None]

    def embedded(features: np.ndarray, name: str) -> np.ndarray:
        x = features @ weights[f"{name}_in.weight"].T + weights[f"{name}_in.bias"]
        return x / (1 + np.exp(-x)) @ weights[f"{name}_out.weight"].T + weights[f"{name}_out.bias"]

    of_time = timestep_features(np.array([timestep]), CONSISTENCYTTA.unet.model_channels)
    return embedded(of_time, "time") + embedded(np.concatenate([np.cos(angles), np.sin(angles)], 1), "guidance")


def test_by_default_one_call_makes_a_clip(pipeline):
    (latents, embedding, prediction), decoded = steps_of(pipeline)
    names = ["flan_t5", "unet_contexts", "unet_time_embedding", "unet_step", "vae_decoder", "vocoder"]
    assert pipeline.engine.counts() == dict.fromkeys(names, 1)
    np.testing.assert_allclose(latents, 0.99766725 * gaussian(SHAPE, [7], INITIAL), rtol=1e-6)
    np.testing.assert_allclose(embedding, embedding_of(999, 4.0), atol=1e-4)
    np.testing.assert_allclose(decoded, prediction, rtol=1e-6)


def test_further_calls_get_their_own_noise(pipeline):
    (_, _, first), (latents, embedding, second), (_, last_embedding, third), decoded = steps_of(
        pipeline, num_inference_steps=3, guidance_scale=2.5
    )
    sigma = 1.61558
    expected = (first + sigma * gaussian(SHAPE, [7], STEP, 0)) / math.sqrt(sigma**2 + 1)
    np.testing.assert_allclose(latents, expected, atol=1e-5)
    np.testing.assert_allclose(embedding, embedding_of(499.5, 2.5), atol=1e-4)
    np.testing.assert_allclose(last_embedding, embedding_of(0, 2.5), atol=1e-4)
    np.testing.assert_allclose(decoded, third, rtol=1e-6)
    assert not np.array_equal(second, third)


def test_a_recording_is_where_it_starts(pipeline):
    """The noise of the first call is that of `strength`, so that one call is enough for less of it."""
    recorded = noise(*SHAPE)
    condition = AudioCondition(recorded, strength=0.5)
    (latents, embedding, _), _ = steps_of(pipeline, audio_condition=condition)
    sigma = 1.61558
    expected = (recorded + sigma * gaussian(SHAPE, [7], INITIAL)) / math.sqrt(sigma**2 + 1)
    np.testing.assert_allclose(latents, expected, atol=1e-5)
    np.testing.assert_allclose(embedding, embedding_of(499.5, 4.0), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "ddim"}, "sampler is 'ddim', allowed for this checkpoint: consistency"),
        ({"preset": "original"}, "num_waveforms_per_prompt is 3, allowed: 1, unscored"),
        ({"spacing": "karras"}, "spacing is 'karras', but only the dpm"),
        ({"negative_prompt": "music"}, "negative_prompt is 'music', but this checkpoint has no unconditional half"),
        (
            {"guidance_interval": (0.2, 1.0)},
            r"guidance_interval is \(0.2, 1.0\), allowed for this checkpoint: \(0, 1\)",
        ),
        ({"reuse": 2}, "reuse is 2, allowed for this checkpoint: 1"),
        ({"preset": "draft"}, "reuse is 3, allowed for this checkpoint: 1"),
        ({"num_waveforms_per_prompt": 2}, "num_waveforms_per_prompt is 2, allowed: 1, unscored"),
        ({"negative_prompt_embeds": noise(1, 3, 160)}, "negative_prompt_embeds are set, but this checkpoint has no"),
    ],
)
def test_what_cannot_apply(pipeline, settings, message):
    with pytest.raises(ValueError, match=message):
        pipeline.generate("rain", **FAST | settings)


def test_a_negative_prompt_for_one_of_several(pipeline):
    with pytest.raises(ValueError, match="negative_prompt is 'music', but this checkpoint has no unconditional half"):
        pipeline.generate(["rain", "wind"], negative_prompt=[None, "music"], **FAST)


def test_its_sampler_is_no_other_checkpoints():
    with pytest.raises(
        ValueError, match="sampler is 'consistency', allowed for this checkpoint: ddim, plms, ddpm, dpm"
    ):
        check_fit(Options(sampler="consistency"), UNTRAINED)


@pytest.mark.parametrize(
    ("config", "expected"), [(UNTRAINED, (3.5, 10, "dpm++")), (CONSISTENCYTTA, (4.0, 1, "consistency"))]
)
def test_defaults_are_the_checkpoints(config, expected):
    found = with_defaults(Options(), config.diffusion)
    assert (found.guidance_scale, found.num_inference_steps, found.sampler) == expected
    assert with_defaults(PRESETS["fine"], config.diffusion).num_inference_steps == 25


@pytest.mark.skipif(framework.NAME != "torch", reason="the eager engine has half precision with PyTorch")
def test_the_embedding_of_the_guidance_scale_stays_in_float32():
    checkpoint = random_checkpoint("consistencytta", CONSISTENCYTTA, 0)
    scale = np.array([[4.0]], np.float32)
    features = timestep_features(np.array([999]), CONSISTENCYTTA.unet.model_channels)
    exact, half = (
        EagerEngine(checkpoint, "cpu", precision).run_numpy("unet_time_embedding", features, scale)
        for precision in ("f32", "bf16")
    )
    np.testing.assert_array_equal(half, exact)
    clip = AudioLDM(checkpoint, EagerEngine(checkpoint, "cpu", "bf16")).generate("rain", **FAST)
    assert np.isfinite(clip.waveforms).all()
