"""Instruments sound the notes, chords and rhythms that their facts say."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.audio.pitch import median_pitch, pitch_direction
from ppaudioldm.sounds.bank import open_bank
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Material
from ppaudioldm.sounds.kinds.instruments import KINDS, PATTERNS, TEMPO_S, Range, midi_hertz, note_name

PITCHED = [name for name in KINDS if name not in ("drums", "cymbal")]


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(open_bank(), "train")


def clips(material: Material, name: str, form: str, count: int, duration: float = 2.56):
    """The facts and waveforms of the first `count` clips of an instrument that have this form."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        facts = KINDS[name].draw(rng, material, duration)
        if facts["form"] == form:
            found.append((facts, KINDS[name].render(rng, material, facts, duration)))
        if len(found) == count:
            break
    return found


def test_notes_have_the_names_and_frequencies_of_equal_temperament():
    assert note_name(60) == "C" and note_name(70) == "A sharp"
    assert midi_hertz(69) == 440 and midi_hertz(60) == pytest.approx(261.626, abs=1e-3)


@pytest.mark.parametrize("name", ["piano", "guitar", "violin", "flute", "trumpet", "marimba", "church_organ", "choir"])
def test_a_note_has_the_pitch_that_its_name_says(material, name):
    off = []
    for facts, waveform in clips(material, name, "note", 6):
        assert note_name(facts["notes"][0]) == facts["note"] and facts["hertz"] == midi_hertz(facts["notes"][0])
        if 80 < facts["hertz"] < 2500:
            # An octave is what a pitch tracker may miss; a wrong sample would be off by anything.
            off.append((12 * np.log2(median_pitch(waveform) / facts["hertz"]) + 6) % 12 - 6)
    assert len(off) > 3 and np.mean(np.abs(off) < 0.5) > 0.8


@pytest.mark.parametrize("name", ["piano", "flute", "harp"])
def test_a_scale_goes_where_its_direction_says(material, name):
    found = clips(material, name, "scale", 6, 5.12)
    for facts, _ in found:
        steps = np.diff(facts["notes"])
        assert (steps >= 0).all() if facts["direction"] == "rising" else (steps <= 0).all()
    assert np.mean([pitch_direction(waveform) == facts["direction"] for facts, waveform in found]) > 0.6


def test_slow_and_fast_melodies_are_apart(material):
    assert TEMPO_S["fast"][1] < TEMPO_S[""][0] and TEMPO_S[""][1] < TEMPO_S["slow"][0]
    for facts, waveform in clips(material, "xylophone", "melody", 6, 5.12):
        low, high = TEMPO_S[facts.get("speed", "")]
        assert low <= facts["interval"] <= high
        assert len(facts["onsets"]) == len(facts["notes"]) and max(facts["onsets"]) < 5.12
        assert len(waveform) == round(5.12 * SAMPLE_RATE)


def test_counted_notes_can_be_counted(material):
    found = [clip for name in ("piano", "marimba", "clarinet") for clip in clips(material, name, "notes", 4, 5.12)]
    assert all(len(facts["notes"]) == facts["count"] == len(facts["onsets"]) for facts, _ in found)
    assert np.mean([count_onsets(waveform) == facts["count"] for facts, waveform in found]) >= 0.75


@pytest.mark.parametrize("duration", [1.0, 2.56, 5.12])
def test_all_that_is_played_is_in_range_and_within_the_clip(material, duration):
    for name in PITCHED:
        for seed in range(12):
            facts = KINDS[name].draw(np.random.default_rng(seed), material, duration)
            assert max(facts["onsets"]) < duration
            assert all(0 < seconds <= duration for seconds in facts["seconds"])
            assert 20 < min(facts["notes"]) <= max(facts["notes"]) < 100


def test_every_note_has_a_recording_within_a_fourth(material):
    for name in PITCHED:
        for seed in range(20):
            facts = KINDS[name].draw(np.random.default_rng(seed), material, 2.56)
            pitches = [recording.pitch_hz for recording in material.notes(facts["bank"]) if recording.pitch_hz]
            for midi in facts["notes"]:
                assert min(abs(12 * np.log2(hertz / midi_hertz(midi))) for hertz in pitches) < 5.5, (name, midi)


def test_low_and_high_are_the_ends_of_a_range(material):
    notes: dict[str, list[int]] = {"low": [], "": [], "high": []}
    for seed in range(300):
        facts = KINDS["piano"].draw(np.random.default_rng(seed), material, 5.12)
        if facts["form"] == "note":
            notes[facts.get("pitch", "")].append(facts["notes"][0])
    assert max(notes["low"]) < min(notes[""]) and max(notes[""]) < min(notes["high"])
    assert Range(33, 96).low <= min(notes["low"])


def test_drums_follow_their_pattern(material):
    facts = KINDS["drums"].draw(np.random.default_rng(1), material, 5.12)
    skins, hats = PATTERNS[facts["pattern"]]
    numbers = {round((onset - facts["onsets"][0]) / facts["interval"]) for onset in facts["onsets"]}
    assert numbers == {n for n in range(max(numbers) + 1) if {skins[n % 8], hats[n % 8]} != {"."}}
