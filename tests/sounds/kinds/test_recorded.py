"""Clips of recordings: what is counted can be counted, begins when the facts say, and fits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.sounds.bank import open_bank
from ppaudioldm.sounds.collection import SINGLE_KINDS
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Material, levels
from ppaudioldm.sounds.kinds.recorded import event_times


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(open_bank(), "train")


@pytest.mark.parametrize("duration", [1.0, 2.56, 5.12])
@pytest.mark.parametrize("body", [0.05, 0.4, 2.0, 9.0])
def test_events_fit_and_do_not_overlap(duration, body):
    counts = set()
    for seed in range(100):
        times = event_times(np.random.default_rng(seed), duration, body, 5, (0.2, 0.8))
        counts.add(len(times))
        assert 0 <= times[0] < duration / 2 or body < duration
        assert all(after - before >= body + 0.199 for before, after in itertools.pairwise(times))
        assert len(times) == 1 or times[-1] + body < duration
    assert counts == set(range(1, 6)) if 5 * (body + 0.2) < duration else 1 in counts


@pytest.mark.parametrize("name", ["dog", "metal", "gunshot", "knocks", "beeps"])
def test_what_is_counted_is_there_so_often(material, name):
    right = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        facts = SINGLE_KINDS[name].draw(rng, material, 5.12)
        waveform = SINGLE_KINDS[name].render(rng, material, facts, 5.12)
        if "count" in facts:
            right.append(count_onsets(waveform) == facts["count"])
        for onset in facts["onsets"]:
            before, after = int((onset - 0.05) * SAMPLE_RATE), int((onset + 0.1) * SAMPLE_RATE)
            assert np.abs(waveform[max(0, before) : after]).max() > 0.1 * np.abs(waveform).max(), (seed, onset)
    assert len(right) > 6 and np.mean(right) >= 0.75, right


def test_slow_steps_are_further_apart_than_fast_ones(material):
    intervals: dict[str, list[float]] = {"slow": [], "fast": []}
    for seed in range(60):
        facts = SINGLE_KINDS["steps"].draw(np.random.default_rng(seed), material, 5.12)
        if "speed" in facts:
            intervals[facts["speed"]].append(facts["interval"])
    assert len(intervals["slow"]) > 5 and max(intervals["fast"]) < 0.7 * min(intervals["slow"])


def test_an_ambience_lasts_and_starts_at_another_moment_each_time(material):
    sounds = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        facts = SINGLE_KINDS["sea"].draw(rng, material, 20.0)
        sounds.append(SINGLE_KINDS["sea"].render(rng, material, facts, 20.0))
        level = levels(sounds[-1]).reshape(-1, 100).max(axis=1)
        assert len(sounds[-1]) == 20 * SAMPLE_RATE and level.min() > 0.05 * level.max()
    assert abs(np.corrcoef(*sounds)[0, 1]) < 0.2


def test_light_rain_is_softer_and_brighter_than_heavy_rain(material):
    measured: dict[str, list[float]] = {"light": [], "heavy": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        facts = SINGLE_KINDS["rain"].draw(rng, material, 2.56)
        power = np.abs(np.fft.rfft(SINGLE_KINDS["rain"].render(rng, material, facts, 2.56))) ** 2
        measured[facts["strength"]].append(float(power[: len(power) // 12].sum() / power.sum()))
    assert np.mean(measured["light"]) < 0.5 * np.mean(measured["heavy"])


def test_held_out_recordings_are_not_those_of_training():
    bank = open_bank()
    train, test = Material(bank, "train"), Material(bank, "test")
    held_out = [kind for kind in bank.kinds if bank.recordings(kind, "test")]
    for kind in held_out:
        assert not set(train.recordings(kind)) & set(test.recordings(kind)) or not bank.recordings(kind, "train"), kind
    assert "dog_bark" in held_out
