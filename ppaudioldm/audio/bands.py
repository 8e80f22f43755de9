"""Frequency bands: filters that part a sound without loss, the latents' bands, and where a spectrum ends.

A band is parted from its neighbours by a linear-phase filter, and the rest is the sound minus that band: the two always
add up to the sound itself, sample for sample, and without the blocks of a masked STFT there is nothing to overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ppaudioldm.audio.mel import MelConfig, mel_edges

CROSSOVER = 100.0  # Hz, over which a band gives way to its neighbour, centred on the band's edge
REJECTION = 80.0  # dB, of what lies further away
BLOCK = 1 << 17  # samples that are filtered at once

# A spectrum ends where it falls by DROP and stays below; natural sounds fall off gently.
DROP = 20.0  # dB
LOWEST_CUTOFF = 1500.0  # Hz; what ends below is a dull sound, not one that was made from fewer samples
SPECTRUM_FFT = 4096

Band = tuple[float, float]  # Hz
Number = TypeVar("Number", int, float)


def band_filter(bands: Sequence[Band], sample_rate: float) -> np.ndarray:
    """Taps (odd,) float64 of a linear-phase filter that passes `bands`; they must not overlap.

    Half the amplitude passes at a band's edges. A band that ends at half the sample rate has no upper edge, one that
    begins at 0 no lower. A windowed sinc under Kaiser's window.
    """
    width = 2 * np.pi * CROSSOVER / sample_rate
    half = int(np.ceil((REJECTION - 7.95) / (2.285 * width) / 2))
    n = np.arange(-half, half + 1)
    taps = np.zeros(len(n))
    for low, high in bands:
        for sign, edge in ((1, min(high, sample_rate / 2)), (-1, low)):
            taps += sign * 2 * edge / sample_rate * np.sinc(2 * edge / sample_rate * n)
    return taps * np.kaiser(len(n), 0.1102 * (REJECTION - 8.7))


def filtered(samples: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`samples` (n, channels) through `taps` (odd,), without delay, of the same shape; silence lies around them."""
    size = max(BLOCK, 1 << (4 * len(taps) - 1).bit_length())
    step = size - len(taps) + 1
    spectrum = np.fft.rfft(taps, size)[:, None]
    whole = np.zeros((len(samples) + len(taps) - 1, samples.shape[1]), samples.dtype)
    for start in range(0, len(samples), step):
        block = samples[start : start + step]
        end = start + len(block) + len(taps) - 1
        whole[start:end] += np.fft.irfft(np.fft.rfft(block, size, axis=0) * spectrum, size, axis=0)[: end - start]
    half = len(taps) // 2
    return whole[half : half + len(samples)]


def merged(ranges: Sequence[tuple[Number, Number]], gap: float = 0) -> list[tuple[Number, Number]]:
    """`ranges` in order, those that overlap or lie no further than `gap` apart made one."""
    result: list[tuple[Number, Number]] = []
    for start, end in sorted(ranges):
        if result and start <= result[-1][1] + gap:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return result


def neighbours(bands: Sequence[Band], nyquist: float) -> list[Band]:
    """What lies up to an octave below and above `bands` and belongs to none of them: there their level is measured."""
    apart = merged(bands)
    edges = [0.0, *(edge for band in apart for edge in band), nyquist]
    result = []
    for low, high in zip(edges[::2], edges[1::2], strict=True):  # the gaps
        # Of a gap between two bands, an octave above the lower and one below the upper.
        parts = [(max(low, high / 2), high)] if high < nyquist else []
        parts += [(low, min(high, 2 * low))] if low > 0 else []
        result += [(a, b) for a, b in merged(parts) if b - a > CROSSOVER]
    return result


def latent_bands(bands: Sequence[Band], config: MelConfig, mels_per_band: int) -> np.ndarray:
    """Which of the latents' bands, (n_mels / mels_per_band,) bool, hold any of `bands`.

    A latent band stands for `mels_per_band` mel bins, each a triangle: all it reaches counts.
    """
    edges = mel_edges(config)
    low = edges[:-2][::mels_per_band]
    high = edges[2:][mels_per_band - 1 :: mels_per_band]
    held = np.zeros(len(low), bool)
    for start, end in bands:
        held |= (low < end) & (high > start)
    return held


def spectrum_end(samples: np.ndarray, sample_rate: float) -> float | None:
    """The frequency in Hz at which the spectrum of `samples` (n, channels) ends; None where it has no such edge.

    It is where the long-term level falls by at least DROP dB within a twentieth of its frequency, and nothing above
    comes near again: what resampling leaves of a recording with fewer samples, or a lossy encoder of a full one.
    """
    power = _long_term_power(samples)
    if not power.any():
        return None
    # Relative to the loudest, 120 dB below it being nothing: rounding noise of the arithmetic makes no edge.
    level = 10 * np.log10(np.maximum(power / power.max(), 1e-12))
    hertz = np.arange(len(level)) * sample_rate / SPECTRUM_FFT
    # What the loudest bin from each frequency up has.
    above = np.maximum.accumulate(level[::-1])[::-1]
    drops = np.full(len(level), -np.inf)
    for i in np.flatnonzero(hertz >= LOWEST_CUTOFF):
        low, high = int(i * 0.95), min(len(level) - 1, int(np.ceil(i * 1.025)))
        drops[i] = np.median(level[low : i + 1]) - above[high]
    best = int(drops.argmax())
    if drops[best] < DROP:
        return None
    # The edge proper: the last bin within half the drop of what lies below it.
    edge = above[min(len(level) - 1, int(np.ceil(best * 1.025)))] + drops[best] / 2
    return float(hertz[np.flatnonzero(level >= edge)[-1]])


def _long_term_power(samples: np.ndarray) -> np.ndarray:
    """Mean power (SPECTRUM_FFT // 2 + 1,) over time and channels, smoothed over neighbouring bins."""
    total = np.zeros(SPECTRUM_FFT // 2 + 1)
    window = np.hanning(SPECTRUM_FFT + 1)[:-1, None]
    hop = SPECTRUM_FFT // 2
    padded = np.pad(samples, ((0, max(0, SPECTRUM_FFT - len(samples))), (0, 0)))
    for start in range(0, len(padded) - SPECTRUM_FFT + 1, hop):
        frame = np.fft.rfft(padded[start : start + SPECTRUM_FFT] * window, axis=0)
        total += (np.abs(frame) ** 2).sum(1)
    return np.convolve(total, np.ones(5) / 5, mode="same")
