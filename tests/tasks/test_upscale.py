"""Upscaling: where the recording ends, its own sound below, generated sound as loud above."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soxr

from ppaudioldm.audio.bands import band_filter, filtered
from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.upscale import upscale
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import AUDIOLDM1, RecordingEngine
from tests.tasks.examples import FAST, KnownPipeline, decibels, sound, untrained

RATE = 16000


def in_band(samples: np.ndarray, low: float, high: float, rate: int = RATE) -> np.ndarray:
    return filtered(samples.reshape(len(samples), -1).astype(np.float64), band_filter([(low, high)], rate))[500:-500]


@pytest.mark.parametrize("loudness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_below_is_the_recording_and_above_is_as_loud(loudness, channels):
    recording = sound(2, 8000, channels) * [1, 0.3][:channels]
    pipeline = KnownPipeline(loudness=loudness)
    clip = upscale(pipeline, (recording, 8000), **FAST)
    assert clip.sample_rate == RATE and len(clip.waveforms[0]) == 2 * RATE
    assert 3700 < clip.cutoff <= 4000
    wide = soxr.resample(recording, 8000, RATE)
    made = clip.waveforms[0].reshape(wide.shape)
    np.testing.assert_allclose(in_band(made, 0, clip.cutoff - 150), in_band(wide, 0, clip.cutoff - 150), atol=2e-5)
    below, above = in_band(made, 2000, 3500).std(0), in_band(made, 4500, 6000).std(0)
    np.testing.assert_allclose(decibels(above / below), 0, atol=1.5)  # both are 1500 Hz of white noise
    keep = pipeline.conditions[0].keep_mask
    assert keep[0, 0] == 1 and keep[0, -1] == 0 and (np.diff(keep[0]) <= 0).all()


def test_a_file_that_was_resampled_before_ends_where_its_spectrum_does():
    recording = soxr.resample(sound(2, 8000), 8000, 44100)
    pipeline = KnownPipeline()
    clip = upscale(pipeline, (recording, 44100), **FAST)
    assert 3700 < clip.cutoff <= 4000 and clip.sample_rate == 44100 and len(clip.waveforms[0]) == len(recording)
    made = clip.waveforms[0][:, None]
    np.testing.assert_allclose(in_band(made, 0, 3600, 44100), in_band(recording, 0, 3600, 44100), atol=1e-4)
    assert in_band(made, 5000, 7000, 44100).std() > 100 * in_band(recording, 5000, 7000, 44100).std()


def test_a_checkpoint_of_48_khz():
    config = replace(
        UNTRAINED, vae=CHECKPOINTS["audioldm_48k"].config.vae, vocoder=CHECKPOINTS["audioldm_48k"].config.vocoder
    )
    pipeline = KnownPipeline(config)
    clip = upscale(pipeline, (sound(1), RATE), "A violin", **FAST)
    assert clip.sample_rate == 48000 and clip.waveforms.shape == (1, 48000) and 7500 < clip.cutoff <= 8000
    assert pipeline.conditions[0].keep_mask.shape[1] == 32 and 8 < pipeline.conditions[0].keep_mask[0].sum() < 24


def test_a_given_cutoff():
    clip = upscale(KnownPipeline(), (sound(1), RATE), cutoff=3000, **FAST)
    assert clip.cutoff == 3000
    changed = clip.waveforms[0][:, None] - sound(1)
    assert in_band(changed, 0, 2800).std() < 1e-5 < in_band(changed, 3100, 8000).std()


def test_on_networks():
    clip = upscale(untrained(), (sound(0.4, 8000), 8000), **FAST)
    assert clip.waveforms.shape == (1, 6400) and np.isfinite(clip.waveforms).all()


def test_silence_stays_finite():
    clip = upscale(untrained(), (np.zeros((3200, 1), np.float32), 8000), "A dog", **FAST)
    assert np.abs(clip.waveforms).max() <= 1 and clip.cutoff == 4000


def test_nothing_to_generate():
    with pytest.raises(ValueError, match="reaches 8000 Hz, and known no more than 8000 Hz: there is nothing"):
        upscale(KnownPipeline(), (sound(1), RATE), **FAST)


@pytest.mark.parametrize("cutoff", [7950, 100, 0, -1, float("nan"), "x", True])
def test_cutoffs_that_are_none(cutoff):
    with pytest.raises(ValueError, match=r"cutoff is .*, allowed: 500 to 7900 Hz"):
        upscale(KnownPipeline(), (sound(1, 8000), 8000), cutoff=cutoff, **FAST)


def test_without_a_prompt_nothing_is_asked_for():
    pipeline = KnownPipeline(replace(UNTRAINED, audiomae=None))
    upscale(pipeline, (sound(1, 8000), 8000), **FAST)
    assert pipeline.conditions[0].loa.shape == (8, 128) and not pipeline.conditions[0].loa.any()
    only_t5 = KnownPipeline(CHECKPOINTS["audioldm_16k_crossattn_t5"].config, name="other")
    with pytest.raises(ValueError, match="prompt is missing, which other needs"):
        upscale(only_t5, (sound(1, 8000), 8000), **FAST)


def test_without_a_prompt_audioldm1_has_the_embedding_of_an_empty_text():
    checkpoint = random_checkpoint("audioldm1", AUDIOLDM1, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    upscale(pipeline, (sound(0.5, 8000), 8000), **FAST)
    ((inputs, _),) = pipeline.engine.of("unet_guided_step")
    unconditional, conditional = pipeline.engine.to_numpy(inputs[-1])
    np.testing.assert_array_equal(conditional, unconditional)
