"""Counting onsets, without a network: how often a sound gets loud after it was quiet."""

from __future__ import annotations

import numpy as np


def count_onsets(waveform: np.ndarray, sample_rate: int = 16000) -> int:
    """The number of separate beeps, knocks or strikes in `waveform` (samples,).

    An onset is where the level, smoothed over 20 ms, comes within 9 dB of its maximum after it was below -13 dB and
    below the threshold of a quiet passage.
    """
    hop = sample_rate // 100
    padded = np.pad(np.asarray(waveform, np.float64), (hop, 2 * hop))
    power = np.convolve(padded**2, np.ones(2 * hop) / (2 * hop), "same")[::hop]
    decibels = 10 * np.log10(power + 1e-12)
    decibels -= decibels.max()
    # Between onsets a noisy clip does not fall to -24 dB, only to its noise floor.
    quiet = max(-24.0, float(np.percentile(decibels, 10)) + 4)
    count, armed = 0, True
    for value in decibels:
        if armed and value > -9:
            count, armed = count + 1, False
        elif value < min(quiet, -13):
            armed = True
    return count
