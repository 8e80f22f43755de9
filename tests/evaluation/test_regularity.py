"""Evenness, steadiness and clearness: good for real clips, worse the more these are spoilt."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.onsets import onset_times
from ppaudioldm.evaluation.choices import COLLECTION
from ppaudioldm.evaluation.regularity import (
    EVEN_KINDS,
    interval_deviation,
    partials_above_noise,
    pitch_deviation,
    regularity,
)
from ppaudioldm.evaluation.sound_sets import sound_set

RATE = 16000


def ticks(times, duration=3.0):
    rng = np.random.default_rng(0)
    out = 0.001 * rng.standard_normal(int(duration * RATE))
    burst = np.exp(-np.arange(800) / 100) * rng.standard_normal(800)
    for time in times:
        out[int(time * RATE) :][:800] += burst
    return out


def note(hertz):
    """A second of twelve partials; `hertz` may change over time, (samples,)."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, RATE)) / RATE
    return sum(np.sin(n * phase) / n for n in range(1, 13))


def test_onsets_are_where_the_ticks_are():
    times = [0.2, 0.5, 1.31, 2.02]
    assert onset_times(ticks(times)) == pytest.approx(times, abs=0.01)
    assert len(onset_times(np.zeros(RATE))) == 0


def test_the_end_of_a_beep_is_no_onset():
    seconds = np.arange(RATE) / RATE
    assert onset_times(np.sin(2 * np.pi * 2500 * seconds) * (abs(seconds - 0.5) < 0.1)) == pytest.approx(
        [0.4], abs=0.02
    )


def test_uneven_ticks_deviate_as_they_were_moved():
    even = 0.2 + 0.25 * np.arange(11)
    moved = even + 0.02 * np.resize([-1, 1], 11)
    assert interval_deviation(ticks(even)) < 0.02
    assert interval_deviation(ticks(moved)) == pytest.approx(0.16, abs=0.04)
    assert interval_deviation(ticks(np.delete(even, [3, 7]))) < 0.02  # a beat may be silent
    assert np.isnan(interval_deviation(ticks([0.5, 1.0])))


def test_a_wavering_pitch_is_less_steady():
    vibrato = 300 * 2 ** (np.sin(2 * np.pi * 3 * np.arange(RATE) / RATE) / 12)
    assert pitch_deviation(note(300.0)) < 0.02
    assert pitch_deviation(note(vibrato)) == pytest.approx(0.7, abs=0.15)
    assert np.isnan(pitch_deviation(np.random.default_rng(0).standard_normal(RATE)))


def test_noise_covers_partials():
    noise = np.random.default_rng(0).standard_normal(RATE)
    levels = [partials_above_noise(note(300.0) + share * noise, 300.0) for share in (0.01, 0.1, 1.0)]
    assert levels[0] > levels[1] + 15 > levels[2] + 25
    assert partials_above_noise(noise, 300.0) < 12


@pytest.mark.parametrize("kind", EVEN_KINDS)
def test_real_clips_are_even(kind):
    clips = [sound_set(COLLECTION).example(number, (kind,), 5.12, "test") for number in range(7)]
    values = [value for clip in clips for value in regularity(clip.waveform, clip).values()]
    assert len(values) == 7 and np.median(values) < 0.02


def test_only_notes_have_a_pitch_to_measure():
    clips = [sound_set(COLLECTION).example(number, ("flute",), 2.56, "test") for number in range(30)]
    forms = {clip.parameters["form"]: regularity(clip.waveform, clip) for clip in clips}
    assert not forms["melody"]
    assert list(forms["note"]) == ["unsteady pitch of notes, semitones", "partials above noise, dB"]
    assert forms["note"]["partials above noise, dB"] > 20
