"""Variations: AudioMAE's tokens in place of GPT-2's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.tasks.vary import vary
from tests.support import relative_error
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


@pytest.mark.parametrize(("seconds", "duration", "expected"), [(0.1, None, 0.3), (60, None, 10.24), (1, 0.7, 0.7)])
def test_durations(seconds, duration, expected):
    pipeline = KnownPipeline()
    pipeline.encode_audio(np.zeros(round(expected * RATE), np.float32))  # what it gives back
    clip = vary(pipeline, (sound(seconds, 1000), 1000), duration=duration, **FAST)
    assert clip.waveforms.shape == (1, round(expected * RATE))
    assert pipeline.conditions[0].init_latents is None and len(pipeline.conditions[0].loa) == 8


def test_a_checkpoint_that_cannot_hear():
    with pytest.raises(ValueError, match="deaf has no AudioMAE"):
        vary(KnownPipeline(replace(UNTRAINED, audiomae=None), name="deaf"), (sound(1), RATE), **FAST)


def test_silence():
    clip = vary(untrained(), (np.zeros(4800, np.float32), RATE), **FAST)
    assert np.isfinite(clip.waveforms).all()
