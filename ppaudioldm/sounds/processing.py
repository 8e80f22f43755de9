"""What recordings go through before they become a clip: resampling, fades, loops, equaliser, distance and a room."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ppaudioldm.sounds.signals import Generator, log_uniform, uniform

_GUARD = 64  # samples of silence that keep the end of a resampled sound from ringing into its beginning
_MOST_SAMPLES = 1 << 23


@lru_cache(maxsize=1)
def _fast_sizes() -> np.ndarray:
    """All numbers up to _MOST_SAMPLES with no prime factor above 5, ascending: the sizes for which an FFT is fast."""
    sizes = np.array([1])
    for prime in (2, 3, 5):
        powers = prime ** np.arange(int(math.log(_MOST_SAMPLES, prime)) + 1)
        sizes = np.outer(sizes, powers).ravel()
        sizes = sizes[sizes <= _MOST_SAMPLES]
    return np.sort(sizes)


def resample(sound: np.ndarray, ratio: float) -> np.ndarray:
    """`sound` (samples,) played `ratio` times as fast, so that its pitch rises by that ratio; without aliasing.

    The ratio is met within 0.1 %, a sixtieth of a semitone: that is how close two fast sizes of an FFT come to it.
    """
    if abs(ratio - 1) < 5e-4:
        return sound
    sizes = _fast_sizes()
    padded = len(sound) + _GUARD
    inputs = sizes[np.searchsorted(sizes, padded) :][:40]
    outputs = sizes[np.minimum(np.searchsorted(sizes, inputs / ratio), len(sizes) - 1)]
    below = sizes[np.maximum(np.searchsorted(sizes, inputs / ratio) - 1, 0)]
    pairs = np.concatenate([np.stack([inputs, outputs], 1), np.stack([inputs, below], 1)])
    errors = np.abs(pairs[:, 0] / pairs[:, 1] / ratio - 1)
    good = np.flatnonzero(errors < 1e-3)
    best = int(good[np.argmin(pairs[good, 0])] if len(good) else np.argmin(errors))
    size, new_size = (int(n) for n in pairs[best])
    spectrum = np.fft.rfft(sound.astype(np.float32, copy=False), size)
    bins = min(len(spectrum), new_size // 2 + 1)
    shorter = np.zeros(new_size // 2 + 1, np.complex64)
    shorter[:bins] = spectrum[:bins]
    out = np.fft.irfft(shorter, new_size)
    return (out[: max(1, round(len(sound) / ratio))] * (new_size / size)).astype(np.float32, copy=False)


def faded(sound: np.ndarray, sample_rate: int, attack_s: float = 0.0, release_s: float = 0.02) -> np.ndarray:
    """A copy of `sound` that rises over its first `attack_s` and falls over its last `release_s` seconds."""
    out = np.array(sound, np.float32)
    for edge, seconds in ((slice(None), attack_s), (slice(None, None, -1), release_s)):
        samples = min(len(out), int(seconds * sample_rate))
        if samples > 1:
            out[edge][:samples] *= np.sin(np.linspace(0, np.pi / 2, samples, dtype=np.float32)) ** 2
    return out


def without_offset(sound: np.ndarray, sample_rate: int, lowest_hz: float = 25.0) -> np.ndarray:
    """`sound` minus its average over 1 / `lowest_hz` seconds: neither a constant offset nor infrasound remains."""
    size = max(3, int(sample_rate / lowest_hz))
    sums = np.cumsum(np.pad(sound.astype(np.float64), (size - size // 2, size // 2), mode="edge"))
    return (sound - (sums[size:] - sums[:-size]) / size).astype(np.float32)


def looped(sound: np.ndarray, samples: int, start: int, sample_rate: int, crossfade_s: float = 0.15) -> np.ndarray:
    """`samples` samples of `sound` from `start` on; it starts again when it ends, with a crossfade of equal power."""
    overlap = min(int(crossfade_s * sample_rate), len(sound) // 3)
    period = len(sound) - overlap
    start %= max(1, period)
    if start + samples <= len(sound):
        return np.array(sound[start : start + samples], np.float32)
    place = np.linspace(0, np.pi / 2, overlap, dtype=np.float32)
    one_turn = np.array(sound[:period], np.float32)
    one_turn[:overlap] = one_turn[:overlap] * np.sin(place) + sound[period:] * np.cos(place)
    turns = np.resize(one_turn, start + samples)
    # The first time round nothing has ended before.
    turns[: min(overlap, len(turns))] = sound[: min(overlap, len(turns))]
    return turns[start:]


def stretched(sound: np.ndarray, factor: float, sample_rate: int) -> np.ndarray:
    """`sound` (samples,) `factor` times as long at the same pitch, from overlapping pieces that fit (WSOLA)."""
    size = int(0.04 * sample_rate) // 2 * 2
    hop, reach = size // 2, int(0.008 * sample_rate)
    frames = int(len(sound) * factor) // hop
    if frames < 3 or abs(factor - 1) < 0.02:
        return sound
    window = np.hanning(size + 1)[:size].astype(np.float32)
    padded = np.pad(sound.astype(np.float32, copy=False), (0, 2 * size + reach))
    out = np.zeros(frames * hop + size, np.float32)
    position = 0
    for frame in range(frames):
        if frame:
            # Among the places near the ideal one, that which continues the piece before most smoothly.
            ideal = int(frame * hop / factor)
            first = max(0, ideal - reach)
            target = padded[position + hop : position + hop + size : 2]
            region = padded[first : first + 2 * reach + size]
            candidates = np.lib.stride_tricks.sliding_window_view(region, size)[::4, ::2]
            position = first + 4 * int(np.argmax(candidates @ target))
        out[frame * hop : frame * hop + size] += window * padded[position : position + size]
    # The rise of the first window would soften the attack.
    out[:hop] = sound[:hop]
    return out[: int(len(sound) * factor)]


def placed(rng: Generator, sound: np.ndarray, distance: str, sample_rate: int) -> np.ndarray:
    """`sound` (samples,) through a random equaliser, and in a room or in the open.

    distance: "far", dull and with much reverberation; "near", dry and full; "" is between.
    """
    room_s = 0.0
    if distance == "far":
        room_s = uniform(rng, 0.5, 1.1)
    elif not distance and rng.uniform() < 0.35:
        room_s = log_uniform(rng, 0.12, 0.6)
    reverberation = _room(rng, room_s, distance, sample_rate) if room_s else np.zeros(0, np.float32)
    sizes = _fast_sizes()
    size = int(sizes[np.searchsorted(sizes, len(sound) + max(_GUARD, len(reverberation)))])
    size += size % 2
    octaves, hertz = _octaves(size, sample_rate)
    # A tilt, and a broad rise or dip somewhere; all gains in dB.
    gains = uniform(rng, -1.0, 1.0) * octaves
    gains += uniform(rng, -4, 4) * np.exp(-(((octaves - uniform(rng, -2.5, 2)) / 0.8) ** 2))
    if distance == "far":
        gains -= 10 * np.log10(1 + (hertz / uniform(rng, 1600, 2600)) ** 4)  # air and obstacles: a low-pass filter
    elif distance == "near":
        gains += 2.5 * np.exp(-(((octaves + 2.5) / 1.0) ** 2))  # the proximity effect of a microphone
    spectrum = np.fft.rfft(sound.astype(np.float32, copy=False), size) * (10 ** (gains / 20)).astype(np.float32)
    if len(reverberation):
        spectrum *= np.fft.rfft(reverberation, size)
    return np.fft.irfft(spectrum, size)[: len(sound)].astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _octaves(size: int, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each bin of an FFT of `size`, the octaves above 1 kHz and the frequency in Hz, float32."""
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 20).astype(np.float32)
    return np.log2(hertz / 1000), hertz


def _room(rng: Generator, seconds: float, distance: str, sample_rate: int) -> np.ndarray:
    """The impulse response of a room in which sound decays by 60 dB in `seconds`: the direct sound, then noise."""
    samples = int(seconds * sample_rate)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    tail = rng.standard_normal(samples, dtype=np.float32) * np.exp(-6.9 * time / np.float32(seconds))
    tail[: int(0.004 * sample_rate)] = 0  # the first reflection comes from a metre away
    wet = uniform(rng, 1.0, 2.0) if distance == "far" else uniform(rng, 0.15, 0.6)
    response = tail * np.float32(wet / max(1e-6, float(np.sqrt(np.sum(tail**2)))))
    response[0] += 1
    return response
