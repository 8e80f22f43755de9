"""What synthesised sounds are made of: oscillators, ringing bodies, noise, envelopes. NumPy only, and vectorised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Generator = np.random.Generator
NYQUIST_SHARE = 0.48  # partials above this share of the sample rate are left out: they would alias
_BLOCK = 256  # samples


def uniform(rng: Generator, low: float, high: float) -> float:
    """A number between `low` and `high`."""
    return float(rng.uniform(low, high))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A number between `low` and `high`, evenly spread by ratio, as pitch is heard."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def choose(rng: Generator, *values: str) -> str:
    """One of `values`."""
    return values[int(rng.integers(len(values)))]


def harmonics(frequency: np.ndarray | float, amplitudes: Sequence[float], samples: int, sample_rate: int) -> np.ndarray:
    """(samples,) float32: a tone with partials at 1, 2, 3... times `frequency` in Hz, fixed or (samples,).

    Partial k has amplitudes[k - 1]. Made by sin(kx) = 2 cos(x) sin((k-1)x) - sin((k-2)x): two calls a tone, not two a
    partial.
    """
    cycles = np.cumsum(np.broadcast_to(np.asarray(frequency, np.float64), samples)) / sample_rate
    angle = (2 * np.pi * (cycles % 1)).astype(np.float32)
    audible = max(1, min(len(amplitudes), int(NYQUIST_SHARE * sample_rate / np.max(frequency))))
    before, current, twice_cosine = np.zeros_like(angle), np.sin(angle), 2 * np.cos(angle)
    out = np.float32(amplitudes[0]) * current
    for amplitude in amplitudes[1:audible]:
        before, current = current, twice_cosine * current - before
        if amplitude:
            out += np.float32(amplitude) * current
    return out


def vibrato(
    rng: Generator, samples: int, sample_rate: int, depth: float, hertz: tuple[float, float] = (4.0, 7.0)
) -> np.ndarray:
    """(samples,) factors around 1 that swing by +- `depth`, for a pitch or a level."""
    rate, phase = uniform(rng, *hertz), uniform(rng, 0, 2 * np.pi)
    return 1 + depth * np.sin(2 * np.pi * rate * np.arange(samples) / sample_rate + phase)


def ringing(
    frequencies: np.ndarray, amplitudes: np.ndarray, decays: np.ndarray, samples: int, sample_rate: int
) -> np.ndarray:
    """(samples,) float32: a struck or plucked body. Mode m rings at frequencies[m] Hz and falls to 1/e in decays[m] s.

    exp(z t) with t = block + place splits into a product of two short tables. Not as a matrix product of all modes:
    BLAS would start threads for it, which wait for each other longer than they work where the cores are busy.
    """
    heard = frequencies < NYQUIST_SHARE * sample_rate
    z = (-1 / decays[heard] + 2j * np.pi * frequencies[heard]) / sample_rate
    blocks = np.arange(math.ceil(samples / _BLOCK)) * _BLOCK
    by_block = amplitudes[heard, None] * np.exp(np.outer(z, blocks))
    by_place = np.exp(np.outer(z, np.arange(_BLOCK)))
    # The imaginary part starts at zero, so that a strike does not click.
    tables = [np.ascontiguousarray(x, np.float32) for x in (by_block.real, by_block.imag, by_place.real, by_place.imag)]
    out = np.zeros((len(blocks), _BLOCK), np.float32)
    for block_real, block_imag, place_real, place_imag in zip(*tables, strict=True):
        out += np.outer(block_real, place_imag)
        out += np.outer(block_imag, place_real)
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
    """(samples,) float32 Gaussian noise of unit power between `low` and `high` Hz, with slopes of 6 dB * order beyond.

    tilt: dB per octave on top; -3 is pink, -6 brown.
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
    """The next size that an FFT likes: at most four bits that are set."""
    step = 1 << max(0, samples.bit_length() - 4)
    return -(-samples // step) * step


def decay(samples: int, sample_rate: int, seconds: float, attack: float = 0.002) -> np.ndarray:
    """(samples,) float32: up in `attack` seconds, then down to 1/e in `seconds`."""
    time = np.arange(samples, dtype=np.float32) / sample_rate
    return np.exp(-time / np.float32(seconds)) * np.minimum(time / np.float32(attack), 1)


def gate(samples: int, sample_rate: int, attack: float = 0.01, release: float = 0.01) -> np.ndarray:
    """(samples,) float32: in over `attack` seconds and out over `release`, both smoothly, 1 between."""
    place = np.arange(samples, dtype=np.float32)
    rise = np.minimum(place / max(1.0, attack * sample_rate), 1)
    fall = np.minimum((samples - 1 - place) / max(1.0, release * sample_rate), 1)
    return np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2


def wander(
    rng: Generator, samples: int, sample_rate: int, hertz: float, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """(samples,) float32: a curve that goes to a new random place between `low` and `high`, `hertz` times a second."""
    count = max(2, math.ceil(samples / sample_rate * hertz) + 2)
    places = (np.arange(count) - rng.uniform()) * sample_rate / hertz
    return np.interp(np.arange(samples), places, rng.uniform(low, high, count)).astype(np.float32)


def add(out: np.ndarray, piece: np.ndarray, seconds: float, sample_rate: int) -> None:
    """Add `piece` to `out` from `seconds` on; what is past its end is lost."""
    start = max(0, int(seconds * sample_rate))
    length = min(len(piece), len(out) - start)
    if length > 0:
        out[start : start + length] += piece[:length]


def repeat_times(
    rng: Generator, duration: float, interval: float, jitter: float = 0.0, first: float | None = None
) -> list[float]:
    """Seconds at which something happens every `interval` seconds, each up to `jitter` intervals off."""
    start = uniform(rng, 0.02, min(interval, 0.4)) if first is None else first
    count = max(1, math.floor((duration - 0.05 - start) / interval) + 1)
    return [max(0.0, start + interval * (k + jitter * uniform(rng, -1, 1))) for k in range(count)]


def semitones(count: float) -> float:
    """The ratio of two frequencies that are `count` semitones apart."""
    return float(2 ** (count / 12))
