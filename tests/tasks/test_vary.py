"""Variations: AudioMAE's tokens in place of GPT-2's, or CLAP's embedding of the recording in place of the prompt's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.audio.recording import network_input, open_recording
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.vary import vary
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import AUDIOLDM1, RecordingEngine, relative_error
from tests.tasks.examples import FAST, KnownPipeline, sound, untrained

RATE = 16000


def tones(*hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return sum(0.1 * np.sin(2 * np.pi * f * time) for f in hertz)[:, None].astype(np.float32)


def test_the_recording_decides():
    first = vary(untrained(), (tones(440), RATE), **FAST)
    assert first.waveforms.shape == (1, 8000) and first.sample_rate == RATE and first.prompts == ("",)
    np.testing.assert_array_equal(vary(untrained(), (tones(440), RATE), **FAST).waveforms, first.waveforms)
    assert relative_error(vary(untrained(), (tones(3000, 5000), RATE), **FAST).waveforms, first.waveforms) > 1e-3
    prompted = vary(untrained(), (tones(440), RATE), "A dog", **FAST)
    assert relative_error(prompted.waveforms, first.waveforms) > 1e-3 and prompted.prompts == ("A dog",)


def test_neither_level_nor_rate_nor_channels_decide():
    loud = vary(untrained(), (tones(440), RATE), **FAST).waveforms
    quiet = vary(untrained(), (0.01 * np.repeat(tones(440), 2, 1) + 0.2, RATE), **FAST).waveforms
    assert relative_error(quiet, loud) < 1e-3


def test_audioldm1_conditions_on_claps_embedding_of_the_recording(caplog):
    checkpoint = random_checkpoint("audioldm1", AUDIOLDM1, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    first = vary(pipeline, (tones(440), RATE), **FAST)
    ((inputs, _),) = pipeline.engine.of("unet_guided_step")
    unconditional, conditional = pipeline.engine.to_numpy(inputs[-1])
    empty = pipeline._prompt_encoder.embed_text([""])[0]
    assert relative_error(unconditional, empty) < 1e-6
    expected = pipeline.embed_audio(network_input(open_recording((tones(440), RATE)), RATE)[0], RATE)
    assert relative_error(conditional, expected) < 1e-6
    assert relative_error(vary(pipeline, (tones(3000, 5000), RATE), **FAST).waveforms, first.waveforms) > 1e-5
    assert not caplog.records
    prompted = vary(pipeline, (tones(440), RATE), "A dog", with_scores=True, **FAST)
    np.testing.assert_array_equal(prompted.waveforms, first.waveforms)
    assert prompted.scores and "takes the place of the prompt" in caplog.text


@pytest.mark.parametrize(("seconds", "duration", "expected"), [(0.1, None, 0.3), (60, None, 10.24), (1, 0.7, 0.7)])
def test_durations(seconds, duration, expected):
    pipeline = KnownPipeline()
    pipeline.encode_audio(np.zeros(round(expected * RATE), np.float32))  # what it gives back
    clip = vary(pipeline, (sound(seconds, 1000), 1000), duration=duration, **FAST)
    assert clip.waveforms.shape == (1, round(expected * RATE))
    assert pipeline.conditions[0].init_latents is None and len(pipeline.conditions[0].loa) == 8


def test_a_checkpoint_that_cannot_hear():
    with pytest.raises(ValueError, match="deaf has no network that encodes a recording"):
        vary(KnownPipeline(replace(UNTRAINED, audiomae=None), name="deaf"), (sound(1), RATE), **FAST)


def test_silence():
    clip = vary(untrained(), (np.zeros(4800, np.float32), RATE), **FAST)
    assert np.isfinite(clip.waveforms).all()
