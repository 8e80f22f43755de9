"""Pitched instruments: piano notes, electric piano chords, church organ, whistling."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import NOTES, Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.resonant import melody
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    gate,
    harmonics,
    log_uniform,
    noise,
    repeat_times,
    ringing,
    semitones,
    uniform,
    vibrato,
)

OCTAVES = {"low": 3, "middle": 4, "high": 5}  # in scientific pitch notation: middle C is C4
TRIADS = {"major": (0, 4, 7, 12), "minor": (0, 3, 7, 12)}  # semitones
# Organ stops, 16' to 1 1/3': their pitch relative to that of the key.
PIPES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def note_hertz(note: str, octave: int) -> float:
    """The frequency in Hz of a note in equal temperament, A4 = 440 Hz."""
    return 440 * semitones(NOTES.index(note) - NOTES.index("A") + 12 * (octave - 4))


def _draw_note(rng: Generator, duration: float) -> Parameters:
    note, octave = choose(rng, *NOTES), choose(rng, *OCTAVES)
    return {
        "note": note,
        "octave": octave,
        "hertz": note_hertz(note, OCTAVES[octave]),
        "onset": uniform(rng, 0.02, 0.12) * duration,
        "seconds": uniform(rng, 0.6, 1.1),
    }


def _note(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    k = np.arange(1, 15)
    frequencies = parameters["hertz"] * k * np.sqrt(1 + 0.0004 * k**2)  # stiffness makes partials a little sharp
    amplitudes = rng.uniform(0.6, 1.0, len(k)) / k ** uniform(rng, 1.2, 1.6)
    decays = parameters["seconds"] / (1 + 0.25 * (k - 1))
    # Two slightly detuned strings per key, one of which decays more slowly.
    both = np.concatenate([frequencies, frequencies * (1 + uniform(rng, 0.0005, 0.0015))])
    tone = ringing(both, np.tile(amplitudes, 2), np.concatenate([decays, 1.6 * decays]), samples, sample_rate)
    hammer = noise(rng, 800, sample_rate, 100, 2500, tilt=-3) * gate(800, sample_rate, 0.003, 0.04)
    add(tone, 0.1 * hammer, 0, sample_rate)
    add(out, tone, parameters["onset"], sample_rate)
    return out


def _draw_chord(rng: Generator, duration: float) -> Parameters:
    return {
        "quality": choose(rng, "major", "minor"),
        "hertz": log_uniform(rng, 150, 260),
        "onset": uniform(rng, 0.02, 0.12) * duration,
        "seconds": uniform(rng, 0.8, 1.4),
    }


def _chord(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    tone = np.zeros(samples, np.float32)
    partials = np.array([1.0, 2.0, 3.0, 7.0])  # the tine of an electric piano
    for note in TRIADS[parameters["quality"]]:
        seconds = parameters["seconds"] / np.array([1, 1.6, 2, 8])
        frequencies = parameters["hertz"] * semitones(note) * partials
        tone += ringing(frequencies, np.array([1, 0.35, 0.2, 0.3]), seconds, samples, sample_rate)
    add(out, tone * vibrato(rng, samples, sample_rate, 0.35, (4.5, 6.5)), parameters["onset"], sample_rate)
    return out


def _draw_organ(rng: Generator, duration: float) -> Parameters:
    return {"hertz": log_uniform(rng, 120, 200), "interval": uniform(rng, 0.7, 1.1), "pipes": int(rng.integers(4, 8))}


def _organ(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    shake = vibrato(rng, samples, sample_rate, uniform(rng, 0.004, 0.008), (5.0, 7.0))
    amplitudes = [0.0] * 12
    for pipe in PIPES[: parameters["pipes"]]:
        amplitudes[round(2 * pipe) - 1] = uniform(rng, 0.4, 1.0)  # partials of the lowest stop
    times = repeat_times(rng, duration - 0.2, parameters["interval"], 0.0, 0.02)
    length = int((parameters["interval"] + 0.03) * sample_rate)
    for time in times:
        root = (0, 5, 7, 9)[int(rng.integers(4))]
        quality = "minor" if root == 9 else "major"
        for note in TRIADS[quality][:3]:
            frequency = parameters["hertz"] / 2 * semitones(root + note)
            tone = harmonics(frequency * shake[:length], amplitudes, min(length, samples), sample_rate)
            add(out, tone * gate(len(tone), sample_rate, 0.02, 0.05), time, sample_rate)
    return out * vibrato(rng, samples, sample_rate, 0.15, (5.0, 7.0)).astype(np.float32)


def _draw_whistle(rng: Generator, duration: float) -> Parameters:
    return {"hertz": log_uniform(rng, 750, 1050), "interval": uniform(rng, 0.24, 0.4)}


def _whistle(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    place = np.arange(samples) / sample_rate
    starts = np.array(repeat_times(rng, duration, parameters["interval"], 0.1))
    notes = np.array(melody(rng, len(starts), 1), np.float64)
    # The lips glide from note to note in 60 ms.
    corners = np.stack([starts, starts + 0.06], 1).reshape(-1)[1:]
    heights = np.repeat(notes, 2)[:-1] if len(notes) > 1 else notes
    frequency = parameters["hertz"] * 2 ** (np.interp(place, corners[: len(heights)], heights) / 12)
    frequency = frequency * vibrato(rng, samples, sample_rate, uniform(rng, 0.01, 0.02), (4.5, 6.5))
    breath = 0.03 * noise(rng, samples, sample_rate, 1000, 5000)
    dips = (starts[:, None] + np.array([-0.05, 0, 0.05])).reshape(-1)
    level = np.interp(place, dips, np.tile([1, 0.35, 1], len(starts)))
    out = (harmonics(frequency, (1, 0.04), samples, sample_rate) + breath) * level
    out[: int(starts[0] * sample_rate)] = 0
    return (out * gate(samples, sample_rate, 0.01, 0.1)).astype(np.float32)


NOTE = Kind(
    "a named note on a piano, low, middle or high",
    _draw_note,
    _note,
    Wording(
        (
            "the note {note} on a piano",
            "a {octave} {note} on a piano",
            "the {octave} piano note {note}",
            "a piano playing a {octave} {note}",
            "a single piano note, the {octave} {note}",
            "the {octave} piano key {note}",
        ),
        (
            "a piano plays a {octave} {note}",
            "somebody plays the note {note} on a piano",
            "the piano key {note} is struck",
        ),
    ),
    Wording(
        ("a piano note, {octave} {note}", "a single {octave} {note} on a piano", "a piano playing the note {note}"),
        ("the {octave} piano key {note} is struck", "somebody plays a {octave} {note} on a piano"),
    ),
)

CHORD = Kind(
    "a major or minor chord on an electric piano",
    _draw_chord,
    _chord,
    Wording(
        (
            "a {quality} chord",
            "a {quality} chord on an electric piano",
            "an electric piano chord",
            "a {quality} chord on a keyboard",
            "a chord that sounds {quality}",
            "a {quality} triad on an electric keyboard",
        ),
        ("an electric piano plays a {quality} chord", "a {quality} chord is played on a keyboard"),
    ),
    Wording(
        ("a {quality} electric piano chord", "a {quality} triad", "a keyboard chord that sounds {quality}"),
        ("a keyboard plays a {quality} chord", "a {quality} chord is played on an electric piano"),
    ),
)

ORGAN = Kind(
    "a church organ",
    _draw_organ,
    _organ,
    Wording(
        (
            "an organ",
            "a church organ",
            "organ music",
            "a pipe organ",
            "long organ chords",
            "chords on the organ of a church",
        ),
        ("an organ plays", "somebody plays the church organ", "a pipe organ plays chords"),
    ),
    Wording(
        ("church organ music", "chords of a pipe organ", "the pipe organ of a church"),
        ("a church organ plays chords", "somebody plays a pipe organ"),
    ),
)

WHISTLE = Kind(
    "somebody who whistles a tune",
    _draw_whistle,
    _whistle,
    Wording(
        (
            "whistling",
            "a whistled tune",
            "a person whistling a melody",
            "a man whistling",
            "a whistled melody",
            "somebody whistling a song",
        ),
        ("somebody whistles", "a person whistles a tune", "a man whistles a song"),
    ),
    Wording(
        ("a person whistling a tune", "a whistled song", "somebody whistling a melody"),
        ("a man whistles a melody", "a person whistles a song"),
    ),
)
