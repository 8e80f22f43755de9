"""Where a sound begins and ends: its silence at both ends cut off, or a stretch from where it begins."""

from __future__ import annotations

import numpy as np

FRAME_S = 0.005  # seconds of a frame whose level is measured
# dB below the loudest frame that are silence: more where the sound has a noise floor, up to the second.
SILENCE_DB, HIGHEST_SILENCE_DB = -40.0, -30.0
NOTHING_DB = -200.0
FLOOR_MARGIN_DB = 5.0  # of the noise floor's loudest frames above its usual ones
BEGINNING_DB = -26.0  # below the loudest frame: the first such frame is where a sound begins that is to start at once
MARGIN_S = 0.004  # seconds of silence that stay on either side
FADE_IN_S, FADE_OUT_S = 0.002, 0.004  # within the margin, so that the sound itself is not faded


def trimmed(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """`waveform` (n,) without the silence at both ends but for MARGIN_S, faded in and out there: (m,) float32.

    Silence is what is 40 dB or more below the loudest frame of 5 ms, or within the noise floor. A sound that lasts to
    the very end is faded out there too; its beginning is never faded but in silence. Silence is returned as it is.
    """
    levels = frame_levels(waveform, sample_rate)
    loud = np.flatnonzero(levels > _silence(levels))
    if not len(loud):
        return waveform
    size, margin = _samples(FRAME_S, sample_rate), _samples(MARGIN_S, sample_rate)
    first = max(0, int(loud[0]) * size - margin)
    return _faded(waveform[first : (int(loud[-1]) + 1) * size + margin], sample_rate, first > 0)


def from_beginning(waveform: np.ndarray, sample_rate: int, samples: int) -> np.ndarray:
    """The `samples` of `waveform` (n,), no more than n, from where its sound begins: (samples,) float32.

    It is faded in before it begins, and out at the end. Of a sound that begins too late, the last samples.
    """
    levels = frame_levels(waveform, sample_rate)
    loud = np.flatnonzero(levels > BEGINNING_DB)
    beginning = int(loud[0]) * _samples(FRAME_S, sample_rate) if len(loud) else 0
    first = min(max(0, beginning - _samples(MARGIN_S, sample_rate)), len(waveform) - samples)
    return _faded(waveform[first : first + samples], sample_rate, first > 0)


def frame_levels(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """The level of each frame of `waveform` (n,) in dB above the loudest, (frames,), no less than NOTHING_DB."""
    size = _samples(FRAME_S, sample_rate)
    count = -(-len(waveform) // size)
    frames = np.pad(waveform.astype(np.float64), (0, count * size - len(waveform))).reshape(count, size)
    power = (frames**2).mean(1)
    lowest = 10 ** (NOTHING_DB / 10)
    return 10 * np.log10(np.maximum(power / max(power.max(initial=0), np.finfo(np.float64).tiny), lowest))


def _silence(levels: np.ndarray) -> float:
    """The level, in dB, up to which a frame is silent."""
    floor = float(np.percentile(levels, 5)) + FLOOR_MARGIN_DB if len(levels) else NOTHING_DB
    return float(np.clip(floor, SILENCE_DB, HIGHEST_SILENCE_DB))


def _faded(waveform: np.ndarray, sample_rate: int, fades_in: bool) -> np.ndarray:
    faded = waveform.astype(np.float32)
    if fades_in:
        count = min(_samples(FADE_IN_S, sample_rate), len(faded))
        faded[:count] *= _rise(count)
    count = min(_samples(FADE_OUT_S, sample_rate), len(faded))
    faded[len(faded) - count :] *= _rise(count)[::-1]
    return faded


def _rise(count: int) -> np.ndarray:
    """Weights from 0 to 1, (count,) float32."""
    return (np.sin(np.pi / 2 * (np.arange(count) + 0.5) / count) ** 2).astype(np.float32)


def _samples(seconds: float, sample_rate: int) -> int:
    return max(1, round(seconds * sample_rate))
