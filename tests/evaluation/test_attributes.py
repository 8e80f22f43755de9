"""Attributes of the collection: right on real clips, wrong on clips that have the opposite."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from ppaudioldm.evaluation import attributes
from ppaudioldm.evaluation.attributes import COUNT, DIRECTION, NOTE, PITCH, SPEED, AttributeJudge, note_distance
from ppaudioldm.evaluation.choices import COLLECTION
from ppaudioldm.evaluation.sound_sets import sound_set

DURATION_S = 2.56


@pytest.fixture(scope="module")
def judge():
    return AttributeJudge(DURATION_S)


def requests(kind, fact):
    """Held-out clips of `kind` whose captions say `fact`."""
    clips = (sound_set(COLLECTION).example(number, (kind,), DURATION_S, "test") for number in range(100))
    return list(islice((clip for clip in clips if fact in clip.says and clip.parameters[fact] not in (4, 5)), 5))


@pytest.mark.parametrize(
    ("kind", "fact", "name"),
    [
        ("tone", "pitch", PITCH),
        ("alarm", "speed", SPEED),
        ("flute", "speed", SPEED),
        ("sweep", "direction", DIRECTION),
        ("knocks", "count", COUNT),
        ("violin", "note", NOTE),
    ],
)
def test_an_attribute_is_right_on_real_clips_and_wrong_on_those_with_another_value(judge, kind, fact, name):
    asked = requests(kind, fact)
    assert [judge(clip.waveform, clip)[name] for clip in asked] == [True] * 5
    pairs = [(clip, other) for clip in asked for other in asked if clip.parameters[fact] != other.parameters[fact]]
    assert [judge(other.waveform, clip)[name] for clip, other in pairs[:4]] == [False] * 4


def test_only_what_a_caption_says_is_checked(judge):
    clips = [sound_set(COLLECTION).example(number, ("tone",), 1.0, "test") for number in range(20)]
    silent = next(clip for clip in clips if "pitch" not in clip.says)
    assert "pitch" in silent.parameters and judge(silent.waveform, silent) == {}


def test_a_note_counts_in_any_octave_and_silence_is_none():
    seconds = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 440 * seconds)
    assert note_distance(tone, 220.0) == pytest.approx(0, abs=0.05)
    assert note_distance(tone, 440 * 2 ** (-2 / 12)) == pytest.approx(2, abs=0.05)
    assert note_distance(np.zeros(16000), 440.0) == np.inf


@pytest.mark.parametrize("length_s", [0.15, 0.6])
def test_tied_notes_are_as_long_as_their_pitch_stays(length_s):
    """They have no onsets: one phase goes on through all of them."""
    hertz = np.repeat([262.0, 330.0, 392.0, 330.0], int(length_s * 16000))
    sound = np.sin(2 * np.pi * np.cumsum(hertz) / 16000)
    between_s = 0.04  # frames over two notes are of neither
    assert attributes.note_shortness(sound) == pytest.approx(-np.log2(length_s - between_s), abs=0.25)


@pytest.mark.parametrize("measure", [m for _, measures in attributes.GRADUAL.values() for m in measures])
def test_silence_has_a_finite_value(measure):
    assert np.isfinite(measure(np.zeros(8000)))
