"""Counting onsets, without a network: how often a sound gets loud after it was quiet."""

from __future__ import annotations

import numpy as np

FLUX_HOP_S = 0.005
FLUX_LEVEL_FRAMES = 4  # before and after, between which the level has to rise


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


def onset_times(waveform: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """(n,) seconds at which sounds begin in `waveform` (samples,): ticks, beats, notes, also over others that ring on.

    Where the spectral flux, the sum of what each band of the spectrum gains in 5 ms on a logarithmic scale, has a peak
    of at least a quarter of its largest one, at least 60 ms after one that is as high. Source: Dixon, "Onset detection
    revisited", DAFx 2006.
    """
    flux = spectral_flux(waveform, sample_rate)
    reach = int(0.03 / FLUX_HOP_S)
    padded = np.pad(flux, reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
    peaks = np.flatnonzero((flux == highest) & (flux > 0.25 * flux.max(initial=0)))
    kept: list[int] = []
    for peak in peaks:
        if not kept or peak - kept[-1] > 2 * reach:
            kept.append(int(peak))
    # The vertex of the parabola through the three values around a peak.
    before, here, after = (padded[reach + np.array(kept, int) + shift] for shift in (-1, 0, 1))
    curvature = np.maximum(2 * here - before - after, 1e-12)
    return (np.array(kept) + 0.5 * (after - before) / curvature) * FLUX_HOP_S


def spectral_flux(waveform: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """(frames,) gain of logarithmic magnitude from the frame before, one frame each FLUX_HOP_S, summed over the bands.

    0 where the level is not higher 20 ms later than 20 ms before: the end of a beep is a gain in bands besides its own.
    Magnitudes 30 dB below the loudest count as silence.
    """
    size, hop = int(0.032 * sample_rate), int(FLUX_HOP_S * sample_rate)
    padded = np.pad(np.asarray(waveform, np.float64), (size // 2 + hop, size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(size)))
    bands = magnitude[:, : len(magnitude[0]) // 8 * 8].reshape(len(magnitude), -1, 8).mean(2)
    logarithm = np.log(bands / max(1e-9, float(bands.max())) + 0.03)
    level = np.pad(np.square(magnitude).sum(1), FLUX_LEVEL_FRAMES, mode="edge")
    rises = level[2 * FLUX_LEVEL_FRAMES :] > 1.1 * level[: -2 * FLUX_LEVEL_FRAMES]
    return np.maximum(np.diff(logarithm, axis=0), 0).sum(1) * rises[1:]
