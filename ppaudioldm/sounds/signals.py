"""Signal generators for all sound classes: oscillators, modal synthesis, filtered noise, envelopes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Generator = np.random.Generator
MAX_PARTIAL = 0.48  # of the sample rate: partials above are left out, as they would alias
_BLOCK = 256  # samples


def uniform(rng: Generator, low: float, high: float) -> float:
    """A random number, uniform between `low` and `high`."""
    return float(rng.uniform(low, high))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A random number whose logarithm is uniform between those of `low` and `high`, as suits pitches."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def choose(rng: Generator, *values: str) -> str:
    """A random one of `values`."""
    return values[int(rng.integers(len(values)))]


def harmonics(frequency: np.ndarray | float, amplitudes: Sequence[float], samples: int, sample_rate: int) -> np.ndarray:
    """A harmonic tone (samples,) float32 with partials at 1, 2, 3... times `frequency` in Hz, constant or (samples,).

    Partial k has amplitudes[k - 1]. It follows from the recurrence sin(kx) = 2 cos(x) sin((k-1)x) - sin((k-2)x), which
    needs one sine and one cosine for all partials.
    """
    cycles = np.cumsum(np.broadcast_to(np.asarray(frequency, np.float64), samples)) / sample_rate
    angle = (2 * np.pi * (cycles % 1)).astype(np.float32)
    partials = max(1, min(len(amplitudes), int(MAX_PARTIAL * sample_rate / np.max(frequency))))
    previous, current, twice_cosine = np.zeros_like(angle), np.sin(angle), 2 * np.cos(angle)
    out = np.float32(amplitudes[0]) * current
    for amplitude in amplitudes[1:partials]:
        previous, current = current, twice_cosine * current - previous
        if amplitude:
            out += np.float32(amplitude) * current
    return out


def vibrato(
    rng: Generator, samples: int, sample_rate: int, depth: float, hertz: tuple[float, float] = (4.0, 7.0)
) -> np.ndarray:
    """Factors (samples,) for a pitch or a level: a sine around 1 with amplitude `depth` and a rate within `hertz`."""
    rate, phase = uniform(rng, *hertz), uniform(rng, 0, 2 * np.pi)
    return 1 + depth * np.sin(2 * np.pi * rate * np.arange(samples) / sample_rate + phase)


def ringing(
    frequencies: np.ndarray, amplitudes: np.ndarray, decays: np.ndarray, samples: int, sample_rate: int
) -> np.ndarray:
    """A struck or plucked body by modal synthesis, (samples,) float32: a sum of exponentially decaying sines.

    Mode m has frequencies[m] Hz and amplitudes[m], and decays to 1/e in decays[m] seconds.
    exp(z t) with t = block + offset is a product of two short tables. The sum over the modes is no matrix product:
    BLAS would start threads for it, which on busy cores wait for each other longer than they compute.
    """
    audible = frequencies < MAX_PARTIAL * sample_rate
    z = (-1 / decays[audible] + 2j * np.pi * frequencies[audible]) / sample_rate
    blocks = np.arange(math.ceil(samples / _BLOCK)) * _BLOCK
    by_block = amplitudes[audible, None] * np.exp(np.outer(z, blocks))
    by_offset = np.exp(np.outer(z, np.arange(_BLOCK)))
    # The imaginary part starts at zero, so that the onset does not click.
    parts = (by_block.real, by_block.imag, by_offset.real, by_offset.imag)
    tables = [np.ascontiguousarray(part, np.float32) for part in parts]
    out = np.zeros((len(blocks), _BLOCK), np.float32)
    for block_real, block_imag, offset_real, offset_imag in zip(*tables, strict=True):
        out += np.outer(block_real, offset_imag)
        out += np.outer(block_imag, offset_real)
    return out.reshape(-1)[:samples]


def noise(
    rng: Generator,
    samples: int,
    sample_rate: int,
    low: float = 0.0,
    high: float = math.inf,
    tilt: float = 0.0,
    order: int = 2,
) -> np.ndarray:
    """Gaussian noise (samples,) float32 of unit power between `low` and `high` Hz.

    order: beyond these frequencies the level falls by 6 dB * order per octave. tilt: dB per octave in addition; -3 is
    pink noise, -6 brown noise.
    """
    size = _fast_size(max(samples, 64))
    bins = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), sample_rate / size / 2)
    gain = (bins / 1000) ** (tilt / 6.02) if tilt else np.ones_like(bins)
    if low > 0:
        gain = gain / np.sqrt(1 + (low / bins) ** (2 * order))
    if high < sample_rate / 2:
        gain = gain / np.sqrt(1 + (bins / high) ** (2 * order))
    gain *= size / np.sqrt(2 * np.sum(gain**2))
    spectrum = rng.standard_normal(2 * len(bins), dtype=np.float32).view(np.complex64) * (gain / 2**0.5).astype(
        np.float32
    )
    return np.fft.irfft(spectrum, size)[:samples].astype(np.float32)


def _fast_size(samples: int) -> int:
    """The next size that suits an FFT: `samples` rounded up to four significant bits."""
    step = 1 << max(0, samples.bit_length() - 4)
    return -(-samples // step) * step


def decay(samples: int, sample_rate: int, seconds: float, attack: float = 0.002) -> np.ndarray:
    """An envelope (samples,) float32 that rises within `attack` seconds and decays to 1/e in `seconds`."""
    time = np.arange(samples, dtype=np.float32) / sample_rate
    return np.exp(-time / np.float32(seconds)) * np.minimum(time / np.float32(attack), 1)


def gate(samples: int, sample_rate: int, attack: float = 0.01, release: float = 0.01) -> np.ndarray:
    """An envelope (samples,) float32 of 1 that fades in over `attack` seconds and out over `release` seconds."""
    index = np.arange(samples, dtype=np.float32)
    rise = np.minimum(index / max(1.0, attack * sample_rate), 1)
    fall = np.minimum((samples - 1 - index) / max(1.0, release * sample_rate), 1)
    return np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2


def wander(
    rng: Generator, samples: int, sample_rate: int, hertz: float, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """A random curve (samples,) float32: `hertz` times a second a new value between `low` and `high`, lines between."""
    count = max(2, math.ceil(samples / sample_rate * hertz) + 2)
    corners = (np.arange(count) - rng.uniform()) * sample_rate / hertz
    return np.interp(np.arange(samples), corners, rng.uniform(low, high, count)).astype(np.float32)


def add(out: np.ndarray, piece: np.ndarray, seconds: float, sample_rate: int) -> None:
    """Add `piece` to `out` from `seconds` on, in place; samples beyond the end of `out` are dropped."""
    start = max(0, int(seconds * sample_rate))
    length = min(len(piece), len(out) - start)
    if length > 0:
        out[start : start + length] += piece[:length]


def repeat_times(
    rng: Generator, duration: float, interval: float, jitter: float = 0.0, first: float | None = None
) -> list[float]:
    """Times in s, one every `interval` seconds, each moved by up to `jitter` intervals either way.

    first: the time of the first one before it is moved; random by default.
    """
    start = uniform(rng, 0.02, min(interval, 0.4)) if first is None else first
    count = max(1, math.floor((duration - 0.05 - start) / interval) + 1)
    return [max(0.0, start + interval * (k + jitter * uniform(rng, -1, 1))) for k in range(count)]


def semitones(count: float) -> float:
    """The frequency ratio of an interval of `count` semitones."""
    return float(2 ** (count / 12))
