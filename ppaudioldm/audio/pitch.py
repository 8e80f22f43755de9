"""Pitch tracking by YIN, without a network: the pitch of a sound, and whether it rises or falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LOWEST_PITCH, HIGHEST_PITCH = 70.0, 3000.0  # Hz
LOW_HIGH_BOUNDARY_HZ = 500.0  # a "low" tone is below, a "high" one above
FRAME_S = 0.064
HOP_S = 0.016
THRESHOLD = 0.15  # of YIN's normalised difference: the first dip below is the period


@dataclass(frozen=True)
class PitchTrack:
    """Of each frame, all (frames,): its time in s, pitch in Hz, periodicity (0 to 1) and root mean square."""

    seconds: np.ndarray
    hertz: np.ndarray
    clarity: np.ndarray
    level: np.ndarray

    def voiced(self) -> np.ndarray:
        """Which frames have a pitch and are within 20 dB of the loudest: (frames,) bool."""
        return (self.clarity > 0.5) & (self.level > 0.1 * self.level.max(initial=0))


def pitch_track(waveform: np.ndarray, sample_rate: int = 16000) -> PitchTrack:
    """The pitch of `waveform` (samples,) over time, by YIN (de Cheveigné and Kawahara, JASA 111(4), 2002)."""
    size, hop = int(FRAME_S * sample_rate), int(HOP_S * sample_rate)
    waveform = np.pad(np.asarray(waveform, np.float64), (0, max(0, size - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, size)[::hop]
    longest = int(sample_rate / LOWEST_PITCH) + 2
    difference = _differences(frames, longest)
    lags = np.arange(1, longest)
    normalised = difference[:, 1:] * lags / np.maximum(np.cumsum(difference[:, 1:], 1), 1e-12)
    shortest = max(2, int(sample_rate / HIGHEST_PITCH))
    lag = np.array([_period(row, shortest) for row in normalised])
    depth = normalised[np.arange(len(lag)), lag - 1]
    exact = np.array([_vertex(row, period) for row, period in zip(normalised, lag, strict=True)])
    level = np.sqrt(np.mean(frames**2, 1))
    seconds = (np.arange(len(frames)) * hop + size / 2) / sample_rate
    return PitchTrack(seconds, sample_rate / exact, np.clip(1 - depth, 0, 1), level)


def _differences(frames: np.ndarray, longest: int) -> np.ndarray:
    """YIN's difference function (frames, longest): of the start of each frame and the frame `lag` samples later."""
    size = frames.shape[1]
    compared = size - longest
    spectrum = np.fft.rfft(frames, 2 * size)
    first = np.fft.rfft(frames[:, :compared], 2 * size)
    product = np.fft.irfft(spectrum * np.conj(first), 2 * size)[:, :longest]
    power = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), 1)
    energy = power[:, compared : compared + longest] - power[:, :longest]
    return np.maximum(energy[:, :1] + energy - 2 * product, 0)


def _period(normalised: np.ndarray, shortest: int) -> int:
    """The lag of the first dip below THRESHOLD, or else of the deepest; `normalised` (lags,) begins at lag 1."""
    values = normalised[shortest - 1 :]
    deep = np.flatnonzero(values < max(THRESHOLD, 1.2 * values.min()))
    index = int(deep[0]) if len(deep) else int(values.argmin())
    while index + 1 < len(values) and values[index + 1] < values[index]:
        index += 1
    return index + shortest


def _vertex(normalised: np.ndarray, lag: int) -> float:
    """The lag at the vertex of the parabola through the three values around `lag`."""
    if not 2 <= lag < len(normalised):
        return float(lag)
    before, here, after = normalised[lag - 2 : lag + 1]
    curvature = before - 2 * here + after
    return lag + (0.5 * (before - after) / curvature if curvature > 1e-12 else 0.0)


def median_pitch(waveform: np.ndarray, sample_rate: int = 16000) -> float:
    """The median pitch in Hz of the voiced frames of `waveform` (samples,); 0 if there are none."""
    track = pitch_track(waveform, sample_rate)
    voiced = track.voiced()
    return float(np.median(track.hertz[voiced])) if voiced.any() else 0.0


def pitch_height(waveform: np.ndarray, sample_rate: int = 16000) -> str:
    """ "low" or "high": on which side of LOW_HIGH_BOUNDARY_HZ the median pitch is; "" for a sound without a pitch."""
    hertz = median_pitch(waveform, sample_rate)
    return "" if not hertz else "low" if hertz < LOW_HIGH_BOUNDARY_HZ else "high"


def pitch_direction(waveform: np.ndarray, sample_rate: int = 16000) -> str:
    """ "rising" or "falling", from the first to the last third of `waveform`.

    "" if the pitch changes by less than two semitones, or if fewer than six frames have one.
    """
    track = pitch_track(waveform, sample_rate)
    voiced = track.voiced()
    if voiced.sum() < 6:
        return ""
    semitones = 12 * np.log2(track.hertz[voiced])
    third = len(semitones) // 3
    # Medians, so that a few frames an octave off do not matter.
    change = float(np.median(semitones[-third:]) - np.median(semitones[:third]))
    return "" if abs(change) < 2 else "rising" if change > 0 else "falling"


def semitones_off(waveform: np.ndarray, hertz: float, sample_rate: int = 16000) -> float:
    """The distance of the median pitch from `hertz` in semitones; infinite for a sound without a pitch."""
    measured = median_pitch(waveform, sample_rate)
    return abs(12 * math.log2(measured / hertz)) if measured else math.inf
