"""Struck and plucked bodies, by modal synthesis: bells, guitar strings, chimes, xylophone bars."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    log_uniform,
    repeat_times,
    ringing,
    semitones,
    uniform,
)

# Partials of a church bell relative to its prime: hum, prime, tierce, quint, nominal and so on, textbook ratios.
BELL_RATIOS = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.0, 5.33, 6.6])
PENTATONIC = (0, 2, 4, 7, 9)


def melody(rng: Generator, count: int, octaves: int = 2) -> list[int]:
    """A random walk along a pentatonic scale, in steps of one to three notes: `count` numbers of semitones."""
    scale = [12 * octave + step for octave in range(octaves) for step in PENTATONIC]
    position = int(rng.integers(len(scale)))
    notes = []
    for _ in range(count):
        notes.append(scale[position])
        step = int(rng.integers(1, 4)) * (1 if rng.uniform() < 0.5 else -1)
        position = len(scale) - 1 - abs(len(scale) - 1 - abs(position + step))  # reflected at the ends
    return notes


def string(rng: Generator, hertz: float, samples: int, sample_rate: int, seconds: float, pluck: float) -> np.ndarray:
    """A string, plucked at the share `pluck` of its length: (samples,) float32. Higher partials decay faster."""
    k = np.arange(1, 17)
    amplitudes = np.abs(np.sin(np.pi * k * pluck)) / k**1.3
    frequencies = hertz * k * np.sqrt(1 + 0.0002 * k**2)  # stiffness makes partials a little sharp
    return ringing(frequencies, amplitudes, seconds / (1 + 0.25 * (k - 1)), samples, sample_rate)


def _draw_bell(rng: Generator, duration: float) -> Parameters:
    pitch = choose(rng, "low", "high")
    return {
        "pitch": pitch,
        "hertz": log_uniform(rng, 180, 320) if pitch == "low" else log_uniform(rng, 700, 1300),
        "seconds": uniform(rng, 0.7, 1.3),
        "interval": uniform(rng, 0.9, 1.6),
        "onset": uniform(rng, 0.02, 0.3),
    }


def _bell(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    frequencies = parameters["hertz"] * BELL_RATIOS * rng.uniform(0.995, 1.005, len(BELL_RATIOS))
    amplitudes = rng.uniform(0.5, 1.0, len(BELL_RATIOS)) / BELL_RATIOS**0.5
    decays = parameters["seconds"] * 1.5 / (0.6 + BELL_RATIOS**0.8)
    # Each mode is a pair of close frequencies, which beat as those of real bells do.
    pairs = np.concatenate([frequencies, frequencies + rng.uniform(0.8, 4, len(frequencies))])
    strike = ringing(pairs, np.tile(amplitudes, 2), np.tile(decays, 2), samples, sample_rate)
    times = repeat_times(rng, duration - 0.3, parameters["interval"], 0.02, parameters["onset"])
    for time in times:
        add(out, strike * np.float32(uniform(rng, 0.8, 1)), time, sample_rate)
    return out


def _draw_guitar(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.38, 0.55) if speed == "slow" else uniform(rng, 0.14, 0.2),
        "hertz": log_uniform(rng, 130, 220),
        "onset": uniform(rng, 0.02, 0.2),
    }


def _guitar(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    interval, pluck = parameters["interval"], uniform(rng, 0.12, 0.3)
    times = repeat_times(rng, duration, interval, 0.02, parameters["onset"])
    seconds = uniform(rng, 0.35, 0.6)
    samples = int(min(duration, 2.5 * seconds) * sample_rate)
    for time, note in zip(times, melody(rng, len(times)), strict=True):
        tone = string(rng, parameters["hertz"] * semitones(note), samples, sample_rate, seconds, pluck)
        add(out, tone * np.float32(uniform(rng, 0.6, 1)), time, sample_rate)
    return out


def _draw_chimes(rng: Generator, duration: float) -> Parameters:
    return {"hertz": log_uniform(rng, 1100, 1700), "per_second": uniform(rng, 3.5, 7)}


def _chimes(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(min(duration, 1.6) * sample_rate)
    modes = np.array([1.0, 2.76, 5.4])  # of a free tube
    strikes = max(3, int(rng.poisson(parameters["per_second"] * duration)))
    for time in [uniform(rng, 0.02, 0.2), *rng.uniform(0, duration - 0.1, strikes)]:
        hertz = parameters["hertz"] * semitones(PENTATONIC[int(rng.integers(5))])
        pair = np.concatenate([hertz * modes, hertz * modes + uniform(rng, 1, 5)])
        decays = uniform(rng, 0.4, 0.7) / np.array([1, 2.5, 6, 1, 2.5, 6])
        tone = ringing(pair, np.array([1, 0.5, 0.2, 1, 0.5, 0.2]), decays, samples, sample_rate)
        add(out, tone * np.float32(uniform(rng, 0.3, 1)), float(time), sample_rate)
    return out


def _draw_xylophone(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.32, 0.45) if speed == "slow" else uniform(rng, 0.12, 0.17),
        "hertz": log_uniform(rng, 450, 700),
    }


def _xylophone(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.4 * sample_rate)
    times = repeat_times(rng, duration, parameters["interval"], 0.03)
    for time, note in zip(times, melody(rng, len(times)), strict=True):
        # Xylophone bars are tuned so that the second mode has three times the frequency of the first.
        frequencies = parameters["hertz"] * semitones(note) * np.array([1.0, 3.0, 6.2])
        tone = ringing(frequencies, np.array([1, 0.5, 0.3]), np.array([0.09, 0.035, 0.012]), samples, sample_rate)
        add(out, tone * np.float32(uniform(rng, 0.6, 1)), time, sample_rate)
    return out


BELL = Kind(
    "a bell, big or small",
    _draw_bell,
    _bell,
    Wording(
        (
            "a bell",
            "a {size} bell",
            "a church bell",
            "a {size} ringing bell",
            "the ringing of a {size} bell",
            "the toll of a bell",
        ),
        ("a bell rings", "a {size} bell rings", "a {size} bell is struck", "a church bell tolls"),
    ),
    Wording(
        ("a {size} church bell", "the toll of a {size} bell", "a bell ringing", "the ringing of a church bell"),
        ("a {size} bell tolls", "a bell is struck and rings"),
    ),
)

GUITAR = Kind(
    "a melody on a plucked guitar, slow or fast",
    _draw_guitar,
    _guitar,
    Wording(
        (
            "a guitar",
            "a {speed} guitar melody",
            "an acoustic guitar",
            "a {speed} tune on a guitar",
            "plucked guitar strings",
            "a melody of plucked strings",
        ),
        ("a guitar plays a {speed} melody", "somebody plays the guitar", "guitar strings are plucked {quickly}"),
    ),
    Wording(
        (
            "a {speed} melody on an acoustic guitar",
            "a guitar tune",
            "a plucked guitar",
            "guitar strings plucked {quickly}",
        ),
        ("an acoustic guitar plays a tune", "somebody plays a {speed} guitar melody"),
    ),
)

CHIMES = Kind(
    "wind chimes",
    _draw_chimes,
    _chimes,
    Wording(
        (
            "wind chimes",
            "chimes",
            "a wind chime on a porch",
            "tinkling chimes",
            "the tinkling of wind chimes",
            "metal chimes in a breeze",
        ),
        ("wind chimes tinkle", "chimes tinkle in a breeze", "a wind chime hangs in the breeze"),
    ),
    Wording(
        ("the tinkling of metal chimes", "tinkling wind chimes", "chimes on a porch"),
        ("wind chimes tinkle in a breeze", "metal chimes tinkle on a porch"),
    ),
)

XYLOPHONE = Kind(
    "a melody on a xylophone, slow or fast",
    _draw_xylophone,
    _xylophone,
    Wording(
        (
            "a xylophone",
            "a {speed} xylophone melody",
            "a {speed} tune on a xylophone",
            "a marimba",
            "a {speed} marimba melody",
            "wooden bars struck with mallets",
        ),
        (
            "a xylophone plays a {speed} tune",
            "somebody plays the marimba {quickly}",
            "mallets strike the wooden bars of a xylophone",
        ),
    ),
    Wording(
        ("a {speed} melody on a xylophone", "a {speed} marimba tune", "a wooden xylophone"),
        ("a marimba plays a {speed} melody", "somebody plays the xylophone {quickly}"),
    ),
)
