"""Integrated loudness and true peak (ITU-R BS.1770-5), and loudness normalisation."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np
import soxr

from ppaudioldm.errors import quoted

logger = logging.getLogger(__name__)

MIN_LOUDNESS, MAX_LOUDNESS = -70.0, -5.0  # LUFS, of a normalised sound
MAX_TRUE_PEAK = -1.0  # dBFS, of a normalised sound: lossy encoders such as MP3 overshoot somewhat
# The standard's K-weighting at this rate: a high shelf for the head and a high-pass, numerator and denominator each.
FILTER_RATE = 48000
SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
HOP_S = 0.1  # a gating block is 4 hops
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE = -10.0  # LU
OVERSAMPLING = 4
PIECE_S = 10  # seconds that are filtered at once, with a margin on either side
MARGIN_S = 1  # the high-pass has decayed by more than 200 dB by then


def loudness(waveform: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS of `waveform` (samples,) or (samples, channels); -inf for silence.

    All channels have the weight of left and right. A sound of less than 0.4 s is one gating block.
    """
    power = _hop_powers(waveform.reshape(len(waveform), -1), sample_rate)
    blocks = np.convolve(power, np.ones(4), "valid") / 4 if len(power) >= 4 else power.mean(keepdims=True)
    gated = blocks[_lufs(blocks) > ABSOLUTE_GATE]
    if not len(gated):
        return -math.inf
    gated = gated[_lufs(gated) > _lufs(gated.mean()) + RELATIVE_GATE]
    return float(_lufs(gated.mean()))


def true_peak(waveform: np.ndarray, sample_rate: int) -> float:
    """The peak in dBFS of `waveform` (samples,) or (samples, channels), also between the samples; -inf for silence."""
    peak = 0.0
    for piece, before, after in _pieces(waveform.reshape(len(waveform), -1), sample_rate):
        high = np.abs(soxr.resample(piece.astype(np.float32), sample_rate, OVERSAMPLING * sample_rate))
        # Without the margins: the resampler rings at the ends of a piece.
        high = high[OVERSAMPLING * before : len(high) - OVERSAMPLING * after]
        peak = max(peak, float(high.max(initial=0)), float(np.abs(piece).max(initial=0)))
    return 20 * math.log10(peak) if peak else -math.inf


def at_loudness(waveform: np.ndarray, sample_rate: int, target: float) -> np.ndarray:
    """`waveform` at `target` LUFS, or below it if the true peak would exceed MAX_TRUE_PEAK.

    Silence is returned as it is. A target that is not reached is a warning in the log. Raises ValueError for a target
    out of range.
    """
    check_loudness(target)
    current = loudness(waveform, sample_rate)
    if current == -math.inf:
        logger.warning("silence has no loudness: it is left as it is")
        return waveform
    gain = target - current
    headroom = MAX_TRUE_PEAK - true_peak(waveform, sample_rate)
    if gain > headroom + 0.05:
        logger.warning(
            "loudness is %.1f LUFS, not %g: more would take the peaks above %g dB",
            current + headroom,
            target,
            MAX_TRUE_PEAK,
        )
    return waveform * np.float32(10 ** (min(gain, headroom) / 20))


def check_loudness(target: float) -> None:
    """Raise ValueError for a `target` outside MIN_LOUDNESS to MAX_LOUDNESS, in LUFS."""
    if not MIN_LOUDNESS <= target <= MAX_LOUDNESS:
        raise ValueError(f"loudness is {quoted(target)}, allowed: {MIN_LOUDNESS:g} to {MAX_LOUDNESS:g} LUFS")


def _hop_powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """K-weighted power of each whole hop of `samples` (n, channels), summed over the channels: (hops,).

    Of a sound shorter than a hop, its power.
    """
    hop = round(HOP_S * FILTER_RATE)
    powers, rest = [], np.zeros((0, samples.shape[1]))
    for piece, before, after in _pieces(samples, sample_rate):
        if sample_rate != FILTER_RATE:
            piece = soxr.resample(piece, sample_rate, FILTER_RATE)
        ratio = FILTER_RATE / sample_rate
        weighted = _weighted(piece)[round(before * ratio) : len(piece) - round(after * ratio)]
        rest = np.concatenate([rest, weighted])
        count = len(rest) // hop
        powers.append((rest[: count * hop].reshape(count, hop, rest.shape[1]) ** 2).mean(1).sum(1))
        rest = rest[count * hop :]
    power = np.concatenate(powers)
    return power if len(power) else (rest**2).mean(0).sum(keepdims=True)


def _weighted(samples: np.ndarray) -> np.ndarray:
    """`samples` (n, channels) at FILTER_RATE after K-weighting: (n, channels)."""
    # In the frequency domain, as NumPy has no recursive filters; the padding keeps their tails from wrapping around.
    size = len(samples) + MARGIN_S * FILTER_RATE
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    response = np.ones(len(delay), complex)
    for numerator, denominator in (SHELF, HIGH_PASS):
        response *= np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
    return np.fft.irfft(np.fft.rfft(samples, size, axis=0) * response[:, None], size, axis=0)[: len(samples)]


def _pieces(samples: np.ndarray, sample_rate: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """`samples` (n, channels) as float64 in overlapping pieces, each with the lengths of its two margins in samples."""
    size, margin = PIECE_S * sample_rate, MARGIN_S * sample_rate
    for start in range(0, len(samples), size):
        first, last = max(0, start - margin), min(len(samples), start + size + margin)
        end = min(len(samples), start + size)
        yield samples[first:last].astype(np.float64), start - first, last - end


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)
