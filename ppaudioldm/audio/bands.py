"""Frequency bands: a linear-phase band filter, the VAE's latent bands, and the upper edge of a band-limited spectrum.

A sound is split into the bands that the filter passes and the sound minus these: the two add up to the sound itself,
sample for sample, which the frames of a masked STFT would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ppaudioldm.audio.mel_filters import MelConfig, mel_edges

CROSSOVER_HZ = 100.0  # width of a filter's transition band, centred on the edge of the band that passes
REJECTION_DB = 80.0  # attenuation beyond the transition band
BLOCK = 1 << 17  # samples that are filtered at once

# A spectrum ends where it drops by MIN_DROP_DB and stays below; natural sounds fall off gently.
MIN_DROP_DB = 20.0
MIN_END_HZ = 1500.0  # a sound whose spectrum ends below is dull, not upsampled from a lower rate
SPECTRUM_FFT = 4096

Band = tuple[float, float]  # Hz
Number = TypeVar("Number", int, float)


def band_filter(bands: Sequence[Band], sample_rate: float) -> np.ndarray:
    """The taps, float64 and odd in number, of a linear-phase filter that passes `bands`, which must not overlap.

    At the edges of a band half of the amplitude passes. A band that ends at half the sample rate has no upper edge, one
    that begins at 0 no lower edge. The filter is a sinc under a Kaiser window, designed by Kaiser's formulas.
    """
    width = 2 * np.pi * CROSSOVER_HZ / sample_rate
    half = int(np.ceil((REJECTION_DB - 7.95) / (2.285 * width) / 2))
    n = np.arange(-half, half + 1)
    taps = np.zeros(len(n))
    for low, high in bands:
        for sign, edge in ((1, min(high, sample_rate / 2)), (-1, low)):
            taps += sign * 2 * edge / sample_rate * np.sinc(2 * edge / sample_rate * n)
    return taps * np.kaiser(len(n), 0.1102 * (REJECTION_DB - 8.7))


def filtered(samples: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`samples` (n, channels) convolved with `taps` (an odd number), without delay: (n, channels).

    Before and after the samples silence is assumed.
    """
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
    """`ranges` (start, end) sorted, with those that overlap or are no further than `gap` apart merged into one."""
    result: list[tuple[Number, Number]] = []
    for start, end in sorted(ranges):
        if result and start <= result[-1][1] + gap:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return result


def neighbours(bands: Sequence[Band], nyquist: float) -> list[Band]:
    """The bands beside `bands`, up to an octave below and above each, without any of `bands`, up to `nyquist` Hz.

    They are there to compare levels in: those no wider than a filter's transition band are left out.
    """
    disjoint = merged(bands)
    edges = [0.0, *(edge for band in disjoint for edge in band), nyquist]
    result = []
    for low, high in zip(edges[::2], edges[1::2], strict=True):  # the gaps
        octaves = [(max(low, high / 2), high)] if high < nyquist else []
        octaves += [(low, min(high, 2 * low))] if low > 0 else []
        result += [(a, b) for a, b in merged(octaves) if b - a > CROSSOVER_HZ]
    return result


def latent_bands(bands: Sequence[Band], config: MelConfig, mels_per_band: int) -> np.ndarray:
    """Which rows of the latents along frequency, (n_mels / mels_per_band,) bool, overlap with any of `bands`.

    A row stands for `mels_per_band` mel filters, and covers all frequencies that their triangles reach.
    """
    edges = mel_edges(config)
    low = edges[:-2][::mels_per_band]
    high = edges[2:][mels_per_band - 1 :: mels_per_band]
    held = np.zeros(len(low), bool)
    for start, end in bands:
        held |= (low < end) & (high > start)
    return held


def spectrum_end(samples: np.ndarray, sample_rate: float) -> float | None:
    """The frequency in Hz at which the spectrum of `samples` (n, channels) ends; None if it does not end below Nyquist.

    The end is where the long-term level drops by at least MIN_DROP_DB within a twentieth of the frequency, and stays
    below for all higher frequencies. Upsampled recordings and lossy encoders leave such an edge.
    """
    power = _long_term_power(samples)
    if not power.any():
        return None
    # Relative to the loudest bin, with a floor at -120 dB, so that rounding noise of the arithmetic is no edge.
    level = 10 * np.log10(np.maximum(power / power.max(), 1e-12))
    hertz = np.arange(len(level)) * sample_rate / SPECTRUM_FFT
    # The level of the loudest bin at each frequency and above.
    above = np.maximum.accumulate(level[::-1])[::-1]
    drops = np.full(len(level), -np.inf)
    for i in np.flatnonzero(hertz >= MIN_END_HZ):
        low, high = int(i * 0.95), min(len(level) - 1, int(np.ceil(i * 1.025)))
        drops[i] = np.median(level[low : i + 1]) - above[high]
    best = int(drops.argmax())
    if drops[best] < MIN_DROP_DB:
        return None
    # The edge proper: the last bin that is less than half the drop below the level before it.
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
