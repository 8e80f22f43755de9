"""What calls for attention: alarms, beeps, telephones."""

from __future__ import annotations

import numpy as np

from ppaudioldm.training.sounds.captions import Wording
from ppaudioldm.training.sounds.kind import Kind, Parameters
from ppaudioldm.training.sounds.signals import Generator, add, choose, gate, harmonics, repeat_times, uniform


def _draw_alarm(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.42, 0.55) if speed == "slow" else uniform(rng, 0.13, 0.19),
        # On the grid of 100 Hz that a vocoder can hold: a beep is too short for a vibrato.
        "hertz": 100.0 * int(rng.integers(15, 27)),
        "share": uniform(rng, 0.45, 0.6),
        "onset": uniform(rng, 0.0, 0.15),
    }


def _alarm(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(parameters["share"] * parameters["interval"] * sample_rate)
    beep = harmonics(parameters["hertz"], (1, 0, 0.35, 0, 0.2), samples, sample_rate)
    beep *= gate(samples, sample_rate, 0.006, 0.012)
    for time in repeat_times(rng, duration, parameters["interval"], 0, parameters["onset"]):
        add(out, beep, time, sample_rate)
    return out


ALARM = Kind(
    "a beeping alarm, slow or fast",
    _draw_alarm,
    _alarm,
    Wording(
        (
            "an alarm",
            "a {speed} alarm",
            "a beeping alarm",
            "the {speed} beeping of an alarm clock",
            "a {speed} electronic alarm",
            "a smoke alarm",
        ),
        ("an alarm beeps", "an alarm beeps {quickly}", "an alarm clock goes off", "the smoke alarm goes off"),
    ),
    Wording(
        ("a {speed} beeping alarm", "the beeping of an alarm", "an electronic alarm clock", "a {speed} smoke alarm"),
        ("an alarm clock beeps {quickly}", "an electronic alarm goes off"),
    ),
)
