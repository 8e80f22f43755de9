"""How regular a sound is, without a network: even beats, a steady pitch, partials that stand out from noise.

Real clips have values of their own, to which those of generated ones are compared.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.onsets import onset_times
from ppaudioldm.audio.pitch import median_pitch, pitch_track
from ppaudioldm.evaluation.sound_sets import LabelledExample

PARTIALS = 8  # as many at most are looked at
HIGHEST_PARTIAL_HZ = 6000.0
SPECTRUM_SIZE = 4096  # samples, 256 ms: partials 12 Hz apart are separate
EVEN_KINDS = ("clock", "alarm", "drums")


def regularity(waveform: np.ndarray, request: LabelledExample) -> dict[str, float]:
    """The measures below by name, of those that make sense for what `request` asks for; some are not a number."""
    if request.kind in EVEN_KINDS:
        return {f"uneven intervals of {request.kind}, beats": interval_deviation(waveform)}
    if request.kind != "tone" and request.parameters.get("form") != "note":
        return {}
    hertz = median_pitch(waveform)
    return {
        "unsteady pitch of notes, semitones": pitch_deviation(waveform),
        "partials above noise, dB": partials_above_noise(waveform, hertz) if hertz else float("nan"),
    }


def interval_deviation(waveform: np.ndarray, sample_rate: int = 16000) -> float:
    """How far the intervals between onsets are from even, as a share of the shortest: 0 for a perfect clock.

    Intervals may be any whole number of beats. The root mean square of their distance from it, in beats; not a number
    with fewer than four onsets. Uneven ones come out at 0.3 at most, and above 0.2 they are underestimated.
    """
    intervals = np.diff(onset_times(waveform, sample_rate))
    if len(intervals) < 3:
        return float("nan")
    beat = float(np.percentile(intervals, 25))
    beats = np.maximum(1, np.round(intervals / beat))
    beat = float(intervals.sum() / beats.sum())
    return float(np.sqrt(np.mean((intervals / beat - beats) ** 2)))


def pitch_deviation(waveform: np.ndarray, sample_rate: int = 16000) -> float:
    """The standard deviation in semitones of the pitch of a single note; not a number without a pitch.

    Frames that are over a semitone and a half off, such as those where YIN takes another octave, are left out.
    """
    track = pitch_track(waveform, sample_rate)
    voiced = track.voiced()
    if voiced.sum() < 4:
        return float("nan")
    semitones = 12 * np.log2(track.hertz[voiced])
    off = semitones - np.median(semitones)
    return float(np.std(off[np.abs(off) < 1.5]))


def partials_above_noise(waveform: np.ndarray, hertz: float, sample_rate: int = 16000) -> float:
    """By how many dB the partials of a note of `hertz` stand out from what is between them: the median over partials.

    A partial is the highest value within a third of a semitone of its frequency; between two of them counts the median
    of the middle half. Of the spectrum averaged over the frames that are within 20 dB of the loudest.
    """
    padded = np.pad(np.asarray(waveform, np.float64), (0, max(0, SPECTRUM_SIZE - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SPECTRUM_SIZE)[:: SPECTRUM_SIZE // 4]
    power = np.abs(np.fft.rfft(frames * np.blackman(SPECTRUM_SIZE))) ** 2
    level = power.sum(1)
    spectrum = power[level >= 0.01 * level.max()].mean(0)
    frequencies = np.fft.rfftfreq(SPECTRUM_SIZE, 1 / sample_rate)
    decibels = []
    for number in range(1, min(PARTIALS, int(HIGHEST_PARTIAL_HZ / hertz)) + 1):
        # Partials of strings are a little sharp of whole multiples, hence a third of a semitone, at least two bins.
        near = np.abs(frequencies - number * hertz) <= max(0.02 * number * hertz, 2 * frequencies[1])
        between = np.abs(frequencies - (number + 0.5) * hertz) <= max(0.25 * hertz, frequencies[1])
        decibels.append(10 * np.log10((spectrum[near].max() + 1e-12) / (np.median(spectrum[between]) + 1e-12)))
    return float(np.median(decibels)) if decibels else float("nan")
