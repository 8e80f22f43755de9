"""Gains that match the loudness of generated sound to a recording's."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.levels import MAX_DRIVE, MAX_GAIN, channel_loudness, gain_to_loudness, limiter_block, peak_limit
from ppaudioldm.audio.limiter import attenuation
from ppaudioldm.audio.loudness import loudness

RATE = 16000
NOISE = np.random.default_rng(0).normal(0, 0.05, RATE)
SILENCE = np.zeros(RATE)


@pytest.mark.parametrize("by", [-30.0, -5.0, 0.0, 12.0])
def test_the_gain_brings_the_loudness_into_the_range(by):
    current = loudness(NOISE, RATE)
    found = gain_to_loudness(NOISE, SILENCE, current + by - 1, current + by + 1, RATE, 10.0)
    expected = np.clip(0, by - 1, by + 1)
    assert 20 * np.log10(found) == pytest.approx(expected, abs=1e-6)


def test_the_gain_makes_up_for_the_limiter():
    """Noise as loud as a tone of full scale, whose peaks are half as high for its level."""
    target = loudness(np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE)
    gain = gain_to_loudness(NOISE, SILENCE, target - 1.5, target + 1.5, RATE, 1.0)
    limited = gain * NOISE * attenuation(SILENCE, gain * NOISE, 1.0, limiter_block(RATE))
    assert np.abs(limited).max() <= 1.0 + 1e-9
    assert abs(loudness(limited, RATE) - target) <= 3


def test_gains_are_bounded():
    assert gain_to_loudness(1e-2 * NOISE, SILENCE, 60.0, 61.0, RATE, np.inf) == MAX_GAIN
    click = np.where(np.arange(RATE) == 8000, 1.0, 0.0)
    assert gain_to_loudness(click, SILENCE, -1.0, 0.0, RATE, 1.0) <= MAX_GAIN * MAX_DRIVE
    assert gain_to_loudness(SILENCE, SILENCE, -20.0, -10.0, RATE, 1.0) == 1
    assert gain_to_loudness(NOISE, SILENCE, -np.inf, -np.inf, RATE, 1.0) == 0
    assert gain_to_loudness(NOISE, SILENCE, -np.inf, np.inf, RATE, 1.0) == 1


def test_levels_of_channels():
    found = channel_loudness(np.stack([NOISE, 0.5 * NOISE, SILENCE], 1), RATE)
    assert found[0] - found[1] == pytest.approx(6.02, abs=0.01) and found[2] == -np.inf
    assert (channel_loudness(np.zeros((0, 2)), RATE) == -np.inf).all()
    assert peak_limit(NOISE) == 1 and peak_limit(np.array([[-1.5, 1]])) == 1.5 and peak_limit(np.zeros((0, 1))) == 1
