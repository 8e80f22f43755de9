"""Resampling, stretching, loops and rooms do what they say to known signals."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.pitch import median_pitch
from ppaudioldm.sounds.processing import faded, looped, placed, resample, stretched, without_offset

RATE = 16000


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("ratio", [0.794, 0.9, 1.1225, 1.26, 2.0])
def test_resampling_moves_pitch_and_length_by_the_ratio(ratio):
    out = resample(tone(440), ratio)
    assert len(out) == pytest.approx(RATE / ratio, abs=1)
    assert median_pitch(out) == pytest.approx(440 * ratio, rel=2e-3)
    middle = slice(len(out) // 4, 3 * len(out) // 4)
    assert np.sqrt(2 * np.mean(out[middle] ** 2)) == pytest.approx(1, rel=0.01)


def test_resampling_does_not_alias():
    out = resample(tone(7000), 1.26)  # to 8820 Hz, above what the rate can hold
    assert np.abs(out[800:-800]).max() < 0.02


def test_a_stretched_sound_keeps_its_pitch_and_attack():
    sound = tone(300) * np.exp(-np.arange(RATE, dtype=np.float32) / 6000)
    for factor in (0.85, 1.2):
        out = stretched(sound, factor, RATE)
        assert len(out) == pytest.approx(factor * RATE, rel=0.06)
        assert median_pitch(out) == pytest.approx(300, rel=0.01)
        assert np.abs(out[:200]).max() > 0.9 * np.abs(sound[:200]).max()


def test_a_loop_goes_on_without_a_gap_or_a_click():
    sound = tone(200, 1.0)
    out = looped(sound, 5 * RATE, 3000, RATE)
    assert len(out) == 5 * RATE and out.dtype == np.float32
    assert np.array_equal(out[:1000], sound[3000:4000])
    level = np.sqrt(np.mean(out[: len(out) // 400 * 400].reshape(-1, 400) ** 2, axis=1))
    assert level.min() > 0.4
    assert np.abs(np.diff(out)).max() < 1.5 * np.abs(np.diff(sound)).max()


def test_fades_and_offsets():
    out = faded(np.ones(RATE), RATE, 0.1, 0.2)
    assert out[0] == 0 and out[-1] == pytest.approx(0, abs=1e-3) and out[RATE // 2] == 1
    moved = without_offset(tone(200) + 0.3, RATE)
    assert abs(moved.mean()) < 1e-3 and np.abs(moved[2000:-2000]).max() == pytest.approx(1, rel=0.05)


def test_what_is_far_is_dull_and_has_an_echo_what_is_near_is_dry():
    click = np.zeros(RATE, np.float32)
    click[1000] = 1
    shares, tails = {}, {}
    for distance in ("near", "far"):
        out = np.stack([placed(np.random.default_rng(seed), click, distance, RATE) for seed in range(10)])
        power = np.abs(np.fft.rfft(out)) ** 2
        shares[distance] = float((power[:, 4000:].sum(1) / power.sum(1)).mean())
        tails[distance] = float(((out[:, 2000:] ** 2).sum(1) / (out**2).sum(1)).mean())
    assert shares["far"] < 0.25 * shares["near"]
    assert tails["near"] < 0.01 < 0.2 < tails["far"]
