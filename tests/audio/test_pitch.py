"""Pitch, direction, counts and order are measured right on clips that are known."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio import pitch as measures
from ppaudioldm.sounds import SAMPLE_RATE, example

CLIPS = 40
MOST_WRONG = 1  # of CLIPS: 97 %


@pytest.mark.parametrize(
    ("kind", "is_right"),
    [
        ("tone", lambda w, p: measures.pitch_height(w) == p["pitch"]),
        ("sweep", lambda w, p: measures.pitch_direction(w) == p["direction"]),
        ("note", lambda w, p: measures.semitones_off(w, p["hertz"]) < 0.5),
        ("beeps", lambda w, p: measures.count_strikes(w) == p["count"]),
        ("knocks", lambda w, p: measures.count_strikes(w) == p["count"]),
    ],
)
def test_measures_are_right_on_held_out_clips(kind, is_right):
    clips = [example(seed, (kind,), split="test") for seed in range(CLIPS)]
    wrong = [clip.parameters for clip in clips if not is_right(clip.waveform, clip.parameters)]
    assert len(wrong) <= MOST_WRONG, wrong


@pytest.mark.parametrize("hertz", [82.4, 130.8, 440.0, 987.8, 2400.0])
def test_the_pitch_of_a_sine(hertz):
    sine = 0.3 * np.sin(2 * np.pi * hertz * np.arange(16000) / SAMPLE_RATE)
    assert measures.median_pitch(sine) == pytest.approx(hertz, rel=0.01)
    assert measures.semitones_off(sine, hertz) < 0.2 < 0.8 < measures.semitones_off(sine, hertz * 2 ** (1 / 12))


def test_noise_and_silence_have_no_pitch_and_no_direction():
    noise = np.random.default_rng(0).standard_normal(16000)
    for waveform in (np.zeros(16000), noise, np.zeros(100)):
        assert measures.pitch_height(waveform) == "" and measures.pitch_direction(waveform) == ""
        assert measures.semitones_off(waveform, 440) == np.inf


def test_a_steady_tone_neither_rises_nor_falls():
    assert measures.pitch_direction(np.sin(2 * np.pi * 300 * np.arange(16000) / SAMPLE_RATE)) == ""


def test_strikes_are_counted_in_noise_too():
    rng = np.random.default_rng(0)
    for count in (1, 3, 5):
        waveform = 0.03 * rng.standard_normal(40000)
        for number in range(count):
            start = 2000 + 6000 * number
            waveform[start : start + 1600] += np.sin(0.3 * np.arange(1600))
        assert measures.count_strikes(waveform) == count


def test_order_is_that_of_the_likelier_labels():
    bell, rain = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    assert measures.in_order(bell, rain, 0, 1) and not measures.in_order(rain, bell, 0, 1)
