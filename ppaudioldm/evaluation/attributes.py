"""Whether a clip of the collection has the attributes that its caption states: pitch, speed, direction, note, number.

No network judges. The border between low and high, and between slow and fast, is calibrated for each kind on real clips
of the training split: of several measures the one that separates these best, with the boundary in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppaudioldm.audio import pitch
from ppaudioldm.audio.onsets import count_onsets, onset_times
from ppaudioldm.evaluation.sound_sets import LabelledExample
from ppaudioldm.sounds.clips import example, facts

LARGEST_COUNT = 3  # larger numbers are not measured
CALIBRATION_CLIPS = 12  # of each value
CALIBRATION_NUMBERS = 220  # clips that are looked at for them, at most
LEAST_CALIBRATION_CLIPS = 3
SMALLEST_RATE = 0.1  # per second
NOTE_FRAMES = 4  # of the pitch track: the shortest note

PITCH, SPEED, DIRECTION = "low or high", "slow or fast", "rising or falling"
NOTE, COUNT = "note within half a semitone", "count of one to three"
Measure = Callable[[np.ndarray], float]


# ---- Measures


def onset_rate(waveform: np.ndarray) -> float:
    """Onsets a second, as a logarithm to base 2."""
    times = onset_times(waveform)
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    return math.log2(max(SMALLEST_RATE, rate))


def pitch_motion(waveform: np.ndarray) -> float:
    """Semitones a second by which the pitch moves either way, leaps of an octave at most, as a logarithm to base 2."""
    track = pitch.pitch_track(waveform)
    voiced = track.voiced()
    if voiced.sum() < 2:
        return math.log2(SMALLEST_RATE)
    steps = np.abs(np.diff(12 * np.log2(track.hertz[voiced])))
    return math.log2(max(SMALLEST_RATE, float(np.minimum(steps, 12).mean() / pitch.HOP_S)))


def note_shortness(waveform: np.ndarray) -> float:
    """How much shorter than a second the notes are, also those without onsets, as a logarithm to base 2.

    A note is a run of frames of one semitone, of NOTE_FRAMES at least; the median counts. 0 without any. On real clips
    of instruments without clear onsets, such as flutes and organs, it is right where the rate of onsets is not.
    """
    track = pitch.pitch_track(waveform)
    # Counted from 27.5 Hz, an A: notes in tune are in the middle of a semitone, so that vibrato does not leave it.
    semitones = np.where(track.voiced(), np.round(12 * np.log2(np.maximum(track.hertz, 27.5) / 27.5)), -1)
    starts = np.flatnonzero(np.diff(semitones, prepend=-2))
    lengths = np.diff(starts, append=len(semitones))[semitones[starts] >= 0]
    notes = lengths[lengths >= NOTE_FRAMES]
    return -math.log2(float(np.median(notes)) * pitch.HOP_S) if len(notes) else 0.0


def pitch_rise(waveform: np.ndarray) -> float:
    """Octaves from the median pitch of the first third of the frames that have one to that of the last."""
    track = pitch.pitch_track(waveform)
    return _rise(np.log2(track.hertz[track.voiced()]))


def brightness_rise(waveform: np.ndarray) -> float:
    """Octaves from the spectral centroid of the first third of a sound to that of the last, for the lowest notes."""
    loud = np.flatnonzero(np.abs(waveform) > 0.1 * np.max(np.abs(waveform)))
    pieces = np.array_split(waveform[loud[0] : loud[-1] + 1], 9) if len(loud) else []
    return _rise(np.array([brightness(piece) for piece in pieces if len(piece)]))


def _rise(values: np.ndarray) -> float:
    third = len(values) // 3
    return float(np.median(values[-third:]) - np.median(values[:third])) if third else 0.0


def pitch_octave(waveform: np.ndarray) -> float:
    """The median pitch in octaves above 1 Hz, 0 without one."""
    return math.log2(max(1.0, pitch.median_pitch(waveform)))


def brightness(waveform: np.ndarray) -> float:
    """The centroid of the power spectrum in octaves above 1 Hz."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    hertz = np.fft.rfftfreq(len(waveform), 1 / 16000)
    return math.log2(max(1.0, float((power * hertz).sum() / max(1e-12, float(power.sum())))))


def separate_onsets(waveform: np.ndarray) -> float:
    """The number of onsets by spectral flux, which counts notes that ring into each other."""
    return float(len(onset_times(waveform)))


def loud_onsets(waveform: np.ndarray) -> float:
    """The number of onsets by level, which counts sounds with silence between them."""
    return float(count_onsets(waveform))


# Attribute -> the fact that says it, and measures for its values.
GRADUAL: dict[str, tuple[str, tuple[Measure, ...]]] = {
    PITCH: ("pitch", (pitch_octave, brightness)),
    SPEED: ("speed", (onset_rate, note_shortness, pitch_motion)),
    DIRECTION: ("direction", (pitch_rise, brightness_rise)),
}
COUNTERS: tuple[Measure, ...] = (loud_onsets, separate_onsets)


# ---- The judge


@dataclass(frozen=True)
class Boundary:
    """Values of `measure` below `at` mean `below`, others `above`."""

    measure: Measure
    at: float
    below: str
    above: str

    def value(self, waveform: np.ndarray) -> str:
        """The value of the attribute that `waveform` (samples,) has."""
        return self.below if self.measure(waveform) < self.at else self.above


@dataclass
class AttributeJudge:
    """Checks clips of the collection, `duration` seconds long.

    It calibrates itself for a kind when it first meets it, with a few dozen real clips: about a second.
    """

    duration: float
    _boundaries: dict[tuple[str, str], Boundary | None] = field(default_factory=dict)
    _counters: dict[str, Measure] = field(default_factory=dict)

    def __call__(self, waveform: np.ndarray, request: LabelledExample) -> dict[str, bool]:
        """Attribute -> whether `waveform` (samples,) at 16 kHz has it, for those that the request's caption states."""
        says, found = request.says, {}
        for name, (fact, _) in GRADUAL.items():
            boundary = self._boundary(request.kind, name) if fact in says else None
            if boundary:
                found[name] = boundary.value(waveform) == request.parameters[fact]
        if says & {"note", "key"}:
            found[NOTE] = note_distance(waveform, request.parameters["hertz"]) < 0.5
        if "count" in says and request.parameters["count"] <= LARGEST_COUNT:
            found[COUNT] = self._counter(request.kind)(waveform) == request.parameters["count"]
        return found

    def _boundary(self, kind: str, name: str) -> Boundary | None:
        """None where the training clips do not have both values often enough."""
        if (kind, name) not in self._boundaries:
            fact, measures = GRADUAL[name]
            clips = self._calibration(kind, fact, lambda value: True)
            enough = {value: found for value, found in clips.items() if len(found) >= LEAST_CALIBRATION_CLIPS}
            self._boundaries[kind, name] = best_boundary(measures, enough) if len(enough) == 2 else None
        return self._boundaries[kind, name]

    def _counter(self, kind: str) -> Measure:
        if kind not in self._counters:
            clips = self._calibration(kind, "count", lambda count: count <= LARGEST_COUNT)
            counted = [(count, clip) for count, found in clips.items() for clip in found]
            right = [sum(measure(clip) == count for count, clip in counted) for measure in COUNTERS]
            self._counters[kind] = COUNTERS[int(np.argmax(right))]
        return self._counters[kind]

    def _calibration(
        self, kind: str, fact: str, is_measured: Callable[[Any], bool]
    ) -> dict[str | int, list[np.ndarray]]:
        """The first real training clips of `kind` by their value of `fact`, CALIBRATION_CLIPS at most of each."""
        clips: dict[str | int, list[np.ndarray]] = {}
        for number in range(CALIBRATION_NUMBERS):
            value = facts(number, kind, self.duration).get(fact)
            found = clips.setdefault(value, []) if value is not None and is_measured(value) else None
            if found is not None and len(found) < CALIBRATION_CLIPS:
                found.append(example(number, (kind,), self.duration).waveform)
        return clips


def best_boundary(measures: Sequence[Measure], clips: Mapping[str | int, Sequence[np.ndarray]]) -> Boundary:
    """The boundary between two groups of clips by that one of `measures` that separates them best.

    That is, which puts the most clips on the right side; of several the one whose medians are furthest apart, in units
    of the deviations within the groups.
    """

    def boundary(measure: Measure) -> tuple[tuple[float, float], Boundary]:
        groups = {str(value): np.array([measure(clip) for clip in found]) for value, found in clips.items()}
        (below, low), (above, high) = sorted(groups.items(), key=lambda group: float(np.median(group[1])))
        distance, spread = float(np.median(high) - np.median(low)), float(np.std(high) + np.std(low))
        at = float(np.median(low)) + distance / 2
        right = float(np.mean(low < at) + np.mean(high >= at))
        return (right, distance / max(spread, 1e-6)), Boundary(measure, at, below, above)

    return max((boundary(measure) for measure in measures), key=lambda found: found[0])[1]


def note_distance(waveform: np.ndarray, hertz: float) -> float:
    """Semitones from the median pitch of `waveform` to `hertz`, octaves aside: 0 to 6; infinite without a pitch.

    A caption names an octave only at times, and YIN finds another one in notes with a weak fundamental.
    """
    measured = pitch.median_pitch(waveform)
    if not measured:
        return math.inf
    semitones = 12 * math.log2(measured / hertz)
    return abs((semitones + 6) % 12 - 6)
