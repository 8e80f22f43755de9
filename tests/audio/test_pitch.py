"""Pitch and its direction are measured right on synthesised clips whose parameters are known."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio import pitch
from ppaudioldm.sounds import SAMPLE_RATE, example

CLIPS = 40
MOST_WRONG = 1  # of CLIPS: 97 %


@pytest.mark.parametrize(
    ("kind", "is_right"),
    [
        ("tone", lambda w, p: pitch.pitch_height(w) == p["pitch"]),
        ("sweep", lambda w, p: pitch.pitch_direction(w) == p["direction"]),
        ("note", lambda w, p: pitch.semitones_off(w, p["hertz"]) < 0.5),
    ],
)
def test_measures_are_right_on_held_out_clips(kind, is_right):
    clips = [example(seed, (kind,), split="test") for seed in range(CLIPS)]
    wrong = [clip.parameters for clip in clips if not is_right(clip.waveform, clip.parameters)]
    assert len(wrong) <= MOST_WRONG, wrong


@pytest.mark.parametrize("hertz", [82.4, 130.8, 440.0, 987.8, 2400.0])
def test_the_pitch_of_a_sine(hertz):
    sine = 0.3 * np.sin(2 * np.pi * hertz * np.arange(16000) / SAMPLE_RATE)
    assert pitch.median_pitch(sine) == pytest.approx(hertz, rel=0.01)
    assert pitch.semitones_off(sine, hertz) < 0.2 < 0.8 < pitch.semitones_off(sine, hertz * 2 ** (1 / 12))


def test_noise_and_silence_have_no_pitch_and_no_direction():
    noise = np.random.default_rng(0).standard_normal(16000)
    for waveform in (np.zeros(16000), noise, np.zeros(100)):
        assert pitch.pitch_height(waveform) == "" and pitch.pitch_direction(waveform) == ""
        assert pitch.semitones_off(waveform, 440) == np.inf


def test_a_steady_tone_neither_rises_nor_falls():
    assert pitch.pitch_direction(np.sin(2 * np.pi * 300 * np.arange(16000) / SAMPLE_RATE)) == ""
