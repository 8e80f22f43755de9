"""From an original to recordings: single events, stretches of steady sounds, and notes, trimmed and at one level."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.bank.reading import SAMPLE_RATE

EVENT_PEAK = 0.9
STRETCH_RMS, STRETCH_PEAK = 0.1, 0.95
_FRAME_S = 0.005
_LEAD_S = 0.005  # kept before an attack


def event(samples: np.ndarray, floor_db: float = -45, lead_db: float = -45, longest_s: float = 6) -> np.ndarray:
    """One event: without silence before and after, faded at both ends, with a peak of 0.9.

    samples: (n,) float32 at 16 kHz. The event begins where the envelope first exceeds `lead_db`, and ends where it last
    exceeds `floor_db`, both relative to the peak. For a sudden sound in a noisy recording `lead_db` should be near 0,
    so that the noise before it is left out.
    """
    samples = _centred(samples)
    envelope, peak = _envelope(samples), _peak(samples)
    first = np.flatnonzero(envelope > peak * 10 ** (lead_db / 20))[0]
    last = np.flatnonzero(envelope > peak * 10 ** (floor_db / 20))[-1]
    begin = max(0, round((first * _FRAME_S - _LEAD_S) * SAMPLE_RATE))
    end = min(round((last + 2) * _FRAME_S * SAMPLE_RATE), begin + round(longest_s * SAMPLE_RATE))
    return _with_peak(_faded(samples[begin:end], 0.002, 0.02 if end - begin > SAMPLE_RATE // 4 else 0.008), EVENT_PEAK)


def events(
    samples: np.ndarray, gap_s: float = 0.1, floor_db: float = -26, shortest_s: float = 0.05, weakest_db: float = -16
) -> list[np.ndarray]:
    """The single events of a recording of several.

    gap_s: the shortest pause between two events. floor_db: relative to the peak of the recording; what is quieter is
    pause. Events that are shorter than `shortest_s`, or whose peak is below `weakest_db` in the same measure, are left
    out.
    """
    samples = _centred(samples)
    envelope = _envelope(samples)
    loud = np.flatnonzero(envelope > _peak(samples) * 10 ** (floor_db / 20))
    breaks = np.flatnonzero(np.diff(loud) > gap_s / _FRAME_S)
    spans = zip(loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]], strict=True)
    found = []
    for first, last in spans:
        # What follows an event until the next one belongs to it: it dies away below the floor.
        after = loud[loud > last]
        tail = min(0.1 / _FRAME_S, (after[0] - last) * 0.6 if len(after) else np.inf)
        begin, end = max(0.0, first * _FRAME_S - 0.02), (last + 1 + tail) * _FRAME_S
        piece = samples[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        if (last - first + 1) * _FRAME_S >= shortest_s and _peak(piece) >= _peak(samples) * 10 ** (weakest_db / 20):
            found.append(event(piece, floor_db=-40))
    return found


def stretches(samples: np.ndarray, longest_s: float = 10, most: int = 6) -> list[np.ndarray]:
    """A steady sound in at most `most` equal pieces of at most `longest_s`, spread over it, at an RMS of 0.1.

    Rare peaks that would pass 0.95, such as clicks, are softened; the RMS is then a little lower.
    """
    samples = _centred(samples)
    longest = round(longest_s * SAMPLE_RATE)
    count = min(most, max(1, len(samples) // longest))
    length = min(longest, len(samples) // count)
    starts = np.linspace(0, len(samples) - length, count).round().astype(int)
    return [_at_level(_faded(samples[start : start + length], 0.01, 0.01)) for start in starts]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two recordings are nearly the same samples: their correlation reaches 0.97 where they fit best."""
    size = 1 << (len(one) + len(other) - 1).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size).conj(), size)
    return float(np.abs(correlation).max()) > 0.97 * float(np.linalg.norm(one)) * float(np.linalg.norm(other))


def onset_s(samples: np.ndarray) -> float:
    """When the sound first reaches a tenth of its peak."""
    loud = np.flatnonzero(np.abs(samples) > 0.1 * _peak(samples))
    return float(loud[0]) / SAMPLE_RATE


def _centred(samples: np.ndarray) -> np.ndarray:
    return np.asarray(samples - samples.mean(), dtype=np.float32)


def _peak(samples: np.ndarray) -> float:
    peak = float(np.abs(samples).max(initial=0))
    if peak < 1e-4:
        raise ValueError(f"a sound of {len(samples) / SAMPLE_RATE:.2f} s is silent: its peak is {peak:.2g}")
    return peak


def _envelope(samples: np.ndarray) -> np.ndarray:
    """The peak of every frame of 5 ms."""
    frame = round(_FRAME_S * SAMPLE_RATE)
    padded = np.pad(np.abs(samples), (0, -len(samples) % frame))
    return padded.reshape(-1, frame).max(1)


def _faded(samples: np.ndarray, in_s: float, out_s: float) -> np.ndarray:
    samples = samples.copy()
    rise, fall = (min(len(samples) // 2, round(seconds * SAMPLE_RATE)) for seconds in (in_s, out_s))
    samples[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    samples[len(samples) - fall :] *= np.linspace(1, 0, fall, dtype=np.float32)
    return samples


def _with_peak(samples: np.ndarray, peak: float) -> np.ndarray:
    return samples * np.float32(peak / _peak(samples))


def _at_level(samples: np.ndarray) -> np.ndarray:
    return _limited(samples * np.float32(STRETCH_RMS / np.sqrt(np.mean(samples**2))))


def _limited(samples: np.ndarray) -> np.ndarray:
    """`samples`, softer for some milliseconds around what would pass 0.95."""
    frame = round(_FRAME_S * SAMPLE_RATE)
    needed = np.minimum(1, STRETCH_PEAK / np.maximum(_envelope(samples), 1e-9))
    # The least of each frame and its neighbours: a line from middle to middle of frames then never exceeds it.
    padded = np.pad(needed, 1, mode="edge")
    gains = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    middles = (np.arange(len(gains)) + 0.5) * frame
    return (samples * np.interp(np.arange(len(samples)), middles, gains)).astype(np.float32)
