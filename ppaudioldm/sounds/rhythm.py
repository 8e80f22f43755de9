"""Regular rhythms: drum beats and ticking clocks."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    decay,
    harmonics,
    noise,
    repeat_times,
    ringing,
    uniform,
)

# Bars of eight eighth notes: kick (k) and snare drum (s), and the hi-hat (x).
DRUM_PATTERNS = (("k.s.k.s.", "xxxxxxxx"), ("k.s.kks.", "xxxxxxxx"), ("k..ks.k.", "x.x.x.x."), ("kks.k.s.", "x.xxx.xx"))


def kick(rng: Generator, sample_rate: int) -> np.ndarray:
    """A bass drum: a tone whose pitch falls fast."""
    samples = int(0.3 * sample_rate)
    frequency = uniform(rng, 45, 60) * (1 + 3 * np.exp(-np.arange(samples) / (0.03 * sample_rate)))
    return harmonics(frequency, (1, 0.2), samples, sample_rate) * decay(samples, sample_rate, 0.09)


def snare(rng: Generator, sample_rate: int) -> np.ndarray:
    """A snare drum: a short tone under a burst of noise."""
    samples = int(0.25 * sample_rate)
    head = ringing(np.array([185.0, 330.0]), np.array([0.8, 0.4]), np.array([0.06, 0.04]), samples, sample_rate)
    return head + 0.35 * noise(rng, samples, sample_rate, 1200, 7000) * decay(samples, sample_rate, 0.07)


def hat(rng: Generator, sample_rate: int, seconds: float = 0.03) -> np.ndarray:
    """A hi-hat: high-pass noise that decays in `seconds`; a closed hi-hat decays faster than an open one."""
    samples = int(min(0.5, 6 * seconds) * sample_rate)
    return 0.3 * noise(rng, samples, sample_rate, 6000, order=4) * decay(samples, sample_rate, seconds, 0.001)


def _draw_drums(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "bpm": uniform(rng, 75, 95) if speed == "slow" else uniform(rng, 150, 185),
        "pattern": int(rng.integers(len(DRUM_PATTERNS))),
        "onset": uniform(rng, 0.0, 0.2),
    }


def _drums(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    skins, hats = DRUM_PATTERNS[parameters["pattern"]]
    sounds = {"k": kick(rng, sample_rate), "s": snare(rng, sample_rate), "x": 0.7 * hat(rng, sample_rate)}
    times = repeat_times(rng, duration, 30 / parameters["bpm"], 0.01, parameters["onset"])
    for beat, time in enumerate(times):
        for sound in (skins[beat % 8], hats[beat % 8]):
            if sound in sounds:
                add(out, sounds[sound] * np.float32(uniform(rng, 0.8, 1)), time, sample_rate)
    return out


def _draw_clock(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.45, 0.6) if speed == "slow" else uniform(rng, 0.18, 0.25),
        "hertz": uniform(rng, 1800, 3000),
    }


def _clock(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.06 * sample_rate)
    case = np.array([1.0, 1.53, 2.1, 0.45])
    click = noise(rng, samples, sample_rate, 1500) * decay(samples, sample_rate, 0.003, 0.0005)
    sides = [
        0.4 * click
        + ringing(parameters["hertz"] * side * case, np.array([1, 0.7, 0.5, 0.4]), 0.008 / case, samples, sample_rate)
        for side in (1.0, uniform(rng, 0.78, 0.88))
    ]
    for number, time in enumerate(repeat_times(rng, duration, parameters["interval"], 0.005)):
        add(out, sides[number % 2] * np.float32(uniform(rng, 0.85, 1)), time, sample_rate)
    return out


DRUMS = Kind(
    "a drum beat, slow or fast",
    _draw_drums,
    _drums,
    Wording(
        (
            "drums",
            "a {speed} drum beat",
            "a {speed} rhythm on a drum kit",
            "a {speed} drum groove",
            "a drummer",
            "rock drums",
        ),
        ("a drummer plays {quickly}", "drums play a {speed} beat", "somebody plays a drum kit"),
    ),
    Wording(
        ("a {speed} beat on drums", "a {speed} rock beat", "a groove on a drum kit", "a drum rhythm"),
        ("drums play {quickly}", "a drummer plays a {speed} rhythm"),
    ),
)

CLOCK = Kind(
    "a ticking clock, slow or fast",
    _draw_clock,
    _clock,
    Wording(
        (
            "a clock",
            "a ticking clock",
            "the {speed} ticking of a clock",
            "a wall clock that ticks",
            "the tick and tock of a clock",
            "a {speed} ticking watch",
        ),
        ("a clock ticks", "a clock ticks {quickly}", "a watch ticks"),
    ),
    Wording(
        (
            "a {speed} ticking clock",
            "the ticking of a wall clock",
            "the tick of a watch",
            "a clock that ticks {quickly}",
        ),
        ("a wall clock ticks", "a clock is ticking"),
    ),
)
