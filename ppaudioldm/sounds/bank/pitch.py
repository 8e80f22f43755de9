"""The pitch of a note, measured where it sounds steadily."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.bank.reading import SAMPLE_RATE

_SPAN_CENTS = 1450  # on either side of the nominal pitch: an octave, and more
_HARMONICS = 8
_TOLERANCE_CENTS = 50
_RATIOS = (1.0, 2.0, 0.5, 1.5)


def measured_pitch_hz(samples: np.ndarray, nominal_hz: float) -> float:
    """The pitch of a note: of all within some 14 semitones of `nominal_hz`, the one with the strongest harmonics.

    samples: (n,) at 16 kHz. Each harmonic counts by the square root of its magnitude, and less the higher it is, so
    that neither half the pitch (of whose harmonics every other one is absent) nor twice the pitch is chosen.
    Raises ValueError for a note of less than 0.16 s.
    """
    steady = samples[round(0.06 * SAMPLE_RATE) :][: round(0.9 * SAMPLE_RATE)]
    if len(steady) < 0.1 * SAMPLE_RATE:
        raise ValueError(f"a note of {len(samples) / SAMPLE_RATE:.2f} s is too short for its pitch")
    bins = 1 << 18
    magnitudes = np.sqrt(np.abs(np.fft.rfft(steady * np.hanning(len(steady)), bins)))
    candidates = nominal_hz * 2 ** (np.arange(-_SPAN_CENTS, _SPAN_CENTS + 1) / 1200)
    harmonics = np.arange(1, _HARMONICS + 1)
    positions = np.outer(candidates, harmonics) * bins / SAMPLE_RATE
    inside = positions < bins / 2
    strengths = np.where(inside, magnitudes[np.where(inside, positions, 0).round().astype(int)], 0)
    scores = (strengths / harmonics**0.7).sum(1)
    return float(candidates[np.argmax(scores)])


def pitch_near_hz(samples: np.ndarray, nominal_hz: float) -> float | None:
    """The pitch of a note that should be `nominal_hz`; None if that is more than half a semitone away.

    Bells, drums and organs can have partials an octave below, an octave above or a fifth above their pitch that are
    stronger than it. A measured pitch at such an interval is therefore converted back to the note's own.
    """
    measured_hz = measured_pitch_hz(samples, nominal_hz)
    found = [
        measured_hz / ratio for ratio in _RATIOS if abs(cents(measured_hz / ratio, nominal_hz)) <= _TOLERANCE_CENTS
    ]
    return found[0] if found else None


def cents(one_hz: float, other_hz: float) -> float:
    """How far `one_hz` is above `other_hz`, in hundredths of a semitone."""
    return float(1200 * np.log2(one_hz / other_hz))
