"""What can be measured of a sound without a network: its pitch, where that goes, and how often something strikes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LOWEST_PITCH, HIGHEST_PITCH = 70.0, 3000.0  # Hz
BETWEEN_LOW_AND_HIGH = 500.0  # Hz: a "low" tone is below, a "high" one above
FRAME_SECONDS = 0.064
HOP_SECONDS = 0.016
DIP = 0.15  # of YIN's normalised difference: the first one this deep is the period


@dataclass(frozen=True)
class PitchTrack:
    """For each frame: seconds, hertz, how periodic it is (0 to 1) and its level (root mean square). All (frames,)."""

    seconds: np.ndarray
    hertz: np.ndarray
    clarity: np.ndarray
    level: np.ndarray

    def heard(self) -> np.ndarray:
        """Which frames have a pitch and are not much quieter than the loudest: boolean (frames,)."""
        return (self.clarity > 0.5) & (self.level > 0.1 * self.level.max(initial=0))


def pitch_track(waveform: np.ndarray, sample_rate: int = 16000) -> PitchTrack:
    """The pitch of `waveform` (samples,) over time, by YIN (de Cheveigné and Kawahara, JASA 111(4), 2002)."""
    size, hop = int(FRAME_SECONDS * sample_rate), int(HOP_SECONDS * sample_rate)
    waveform = np.pad(np.asarray(waveform, np.float64), (0, max(0, size - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, size)[::hop]
    longest = int(sample_rate / LOWEST_PITCH) + 2
    difference = _differences(frames, longest)
    lags = np.arange(1, longest)
    normalised = difference[:, 1:] * lags / np.maximum(np.cumsum(difference[:, 1:], 1), 1e-12)
    shortest = max(2, int(sample_rate / HIGHEST_PITCH))
    lag = np.array([_period(row, shortest) for row in normalised])
    depth = normalised[np.arange(len(lag)), lag - 1]
    exact = np.array([_vertex(row, place) for row, place in zip(normalised, lag, strict=True)])
    level = np.sqrt(np.mean(frames**2, 1))
    seconds = (np.arange(len(frames)) * hop + size / 2) / sample_rate
    return PitchTrack(seconds, sample_rate / exact, np.clip(1 - depth, 0, 1), level)


def _differences(frames: np.ndarray, longest: int) -> np.ndarray:
    """(frames, longest): the squared difference of each frame's first part and itself `lag` later."""
    size = frames.shape[1]
    part = size - longest
    spectrum = np.fft.rfft(frames, 2 * size)
    first = np.fft.rfft(frames[:, :part], 2 * size)
    product = np.fft.irfft(spectrum * np.conj(first), 2 * size)[:, :longest]
    power = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), 1)
    energy = power[:, part : part + longest] - power[:, :longest]
    return np.maximum(energy[:, :1] + energy - 2 * product, 0)


def _period(normalised: np.ndarray, shortest: int) -> int:
    """The lag of the first deep dip, or else of the deepest; `normalised` begins at lag 1."""
    values = normalised[shortest - 1 :]
    deep = np.flatnonzero(values < max(DIP, 1.2 * values.min()))
    place = int(deep[0]) if len(deep) else int(values.argmin())
    while place + 1 < len(values) and values[place + 1] < values[place]:
        place += 1
    return place + shortest


def _vertex(normalised: np.ndarray, lag: int) -> float:
    """Where the parabola through the three values around `lag` is lowest."""
    if not 2 <= lag < len(normalised):
        return float(lag)
    before, here, after = normalised[lag - 2 : lag + 1]
    curvature = before - 2 * here + after
    return lag + (0.5 * (before - after) / curvature if curvature > 1e-12 else 0.0)


def median_pitch(waveform: np.ndarray, sample_rate: int = 16000) -> float:
    """Hz: the median pitch of where `waveform` has one; 0 where it has none."""
    track = pitch_track(waveform, sample_rate)
    heard = track.heard()
    return float(np.median(track.hertz[heard])) if heard.any() else 0.0


def pitch_height(waveform: np.ndarray, sample_rate: int = 16000) -> str:
    """ "low" or "high"; "" for a sound without a pitch."""
    hertz = median_pitch(waveform, sample_rate)
    return "" if not hertz else "low" if hertz < BETWEEN_LOW_AND_HIGH else "high"


def pitch_direction(waveform: np.ndarray, sample_rate: int = 16000) -> str:
    """ "rising" or "falling": where the pitch goes on the whole; "" if it stays within two semitones or has none."""
    track = pitch_track(waveform, sample_rate)
    heard = track.heard()
    if heard.sum() < 6:
        return ""
    heights = 12 * np.log2(track.hertz[heard])
    third = len(heights) // 3
    # Medians, so that a few frames an octave off do not matter.
    change = float(np.median(heights[-third:]) - np.median(heights[:third]))
    return "" if abs(change) < 2 else "rising" if change > 0 else "falling"


def semitones_off(waveform: np.ndarray, hertz: float, sample_rate: int = 16000) -> float:
    """How far the median pitch is from `hertz`, in semitones; infinite for a sound without a pitch."""
    found = median_pitch(waveform, sample_rate)
    return abs(12 * math.log2(found / hertz)) if found else math.inf


def count_strikes(waveform: np.ndarray, sample_rate: int = 16000) -> int:
    """How many separate beeps, knocks or strikes are in `waveform`: how often it gets loud after it was quiet."""
    hop = sample_rate // 100
    padded = np.pad(np.asarray(waveform, np.float64), (hop, 2 * hop))
    power = np.convolve(padded**2, np.ones(2 * hop) / (2 * hop), "same")[::hop]
    decibels = 10 * np.log10(power + 1e-12)
    decibels -= decibels.max()
    quiet = max(-24.0, float(np.percentile(decibels, 10)) + 4)  # between strikes, even in a noisy clip
    count, armed = 0, True
    for value in decibels:
        if armed and value > -9:
            count, armed = count + 1, False
        elif value < min(quiet, -13):
            armed = True
    return count


def in_order(first_part: np.ndarray, second_part: np.ndarray, first: int, second: int) -> bool:
    """Whether label `first` is heard before `second`: from a classifier's probabilities (labels,) of both halves."""
    parts = np.log(np.stack([first_part, second_part]) + 1e-9)
    return bool(parts[0, first] + parts[1, second] > parts[0, second] + parts[1, first])
