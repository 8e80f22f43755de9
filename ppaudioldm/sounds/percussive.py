"""Short noise bursts and thumps: hi-hats, claps, applause, heartbeats, footsteps, knocks."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.rhythm import hat
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    decay,
    gate,
    noise,
    repeat_times,
    ringing,
    uniform,
    wander,
)


def _draw_hats(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.3, 0.42) if speed == "slow" else uniform(rng, 0.11, 0.16),
        "open": int(rng.integers(3, 7)),
    }


def _hats(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    closed, opened = hat(rng, sample_rate, uniform(rng, 0.015, 0.03)), hat(rng, sample_rate, 0.12)
    for number, time in enumerate(repeat_times(rng, duration, parameters["interval"], 0.01)):
        sound = opened if number % parameters["open"] == parameters["open"] - 1 else closed
        add(out, sound * np.float32(uniform(rng, 0.6, 1)), time, sample_rate)
    return out


def clap(rng: Generator, sample_rate: int) -> np.ndarray:
    """One hand clap: three noise bursts within 20 ms, and a tail."""
    samples = int(0.2 * sample_rate)
    level = 0.5 * decay(samples, sample_rate, 0.04, 0.001)
    time = 0.0
    for _ in range(3):
        add(level, decay(samples, sample_rate, 0.004, 0.0005), time, sample_rate)
        time += uniform(rng, 0.006, 0.011)
    centre = uniform(rng, 1000, 1700)
    return noise(rng, samples, sample_rate, centre * 0.7, centre * 1.6) * level


def _draw_claps(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {"speed": speed, "interval": uniform(rng, 0.5, 0.65) if speed == "slow" else uniform(rng, 0.2, 0.28)}


def _claps(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    for time in repeat_times(rng, duration, parameters["interval"], 0.03):
        add(out, clap(rng, sample_rate) * np.float32(uniform(rng, 0.7, 1)), time, sample_rate)
    return out


def _draw_applause(rng: Generator, duration: float) -> Parameters:
    return {"per_second": uniform(rng, 60, 110)}


def _applause(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    palms = [clap(rng, sample_rate) for _ in range(12)]
    # The claps of a larger crowd further away merge into noise.
    crowd = noise(rng, samples, sample_rate, 700, 2500) * (0.08 + 0.06 * wander(rng, samples, sample_rate, 25))
    for time in rng.uniform(-0.1, duration, int(parameters["per_second"] * (duration + 0.1))):
        level = np.float32(uniform(rng, 0.15, 1) ** 2)
        add(out, palms[int(rng.integers(len(palms)))] * level, float(time), sample_rate)
    return out + crowd


def _draw_heart(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {"speed": speed, "interval": uniform(rng, 0.8, 1.0) if speed == "slow" else uniform(rng, 0.42, 0.52)}


def _heart(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.25 * sample_rate)
    hertz = uniform(rng, 45, 60)
    thumps = []
    for ratio, seconds in ((1.0, 0.05), (1.35, 0.035)):
        body = ringing(
            hertz * ratio * np.array([1.0, 1.9]), np.array([1, 0.5]), np.array([seconds, 0.02]), samples, sample_rate
        )
        thumps.append(body + 0.3 * noise(rng, samples, sample_rate, 30, 150) * decay(samples, sample_rate, seconds))
    gap = min(0.3, 0.42 * parameters["interval"])
    for time in repeat_times(rng, duration, parameters["interval"], 0.01):
        add(out, thumps[0], time, sample_rate)
        add(out, 0.7 * thumps[1], time + gap, sample_rate)
    return out


def _draw_steps(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {"speed": speed, "interval": uniform(rng, 0.5, 0.62) if speed == "slow" else uniform(rng, 0.26, 0.34)}


def _steps(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.2 * sample_rate)
    for time in repeat_times(rng, duration, parameters["interval"], 0.04):
        # The heel, then the sole on the gravel.
        heel = noise(rng, samples, sample_rate, 60, 220) * decay(samples, sample_rate, 0.03)
        grind = noise(rng, samples, sample_rate, 1200, 5000) * wander(rng, samples, sample_rate, 150) ** 2
        sole = grind * gate(samples, sample_rate, 0.03, 0.1)
        add(out, heel * np.float32(uniform(rng, 0.7, 1)), time, sample_rate)
        add(out, sole * np.float32(uniform(rng, 0.5, 0.9)), time + 0.03, sample_rate)
    return out


def _draw_knocks(rng: Generator, duration: float) -> Parameters:
    interval = uniform(rng, 0.2, 0.3)
    return {
        "count": int(rng.integers(1, max(1, min(5, int((duration - 0.3) / interval))) + 1)),
        "interval": interval,
        "hertz": uniform(rng, 170, 300),
        "onset": uniform(rng, 0.05, 0.2),
    }


def _knocks(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.2 * sample_rate)
    modes = parameters["hertz"] * np.array([1.0, 1.7, 2.6, 4.1])
    decays = np.array([0.03, 0.022, 0.015, 0.008])
    for number in range(parameters["count"]):
        wood = ringing(modes * uniform(rng, 0.99, 1.01), np.array([1, 0.8, 0.6, 0.4]), decays, samples, sample_rate)
        knuckle = 0.4 * noise(rng, samples, sample_rate, 400, 3000) * decay(samples, sample_rate, 0.006, 0.0005)
        time = parameters["onset"] + parameters["interval"] * (number + 0.04 * uniform(rng, -1, 1))
        add(out, (wood + knuckle) * np.float32(uniform(rng, 0.75, 1)), time, sample_rate)
    return out


HATS = Kind(
    "a hi-hat, slow or fast",
    _draw_hats,
    _hats,
    Wording(
        (
            "a hi-hat",
            "a {speed} hi-hat",
            "hi-hats alone",
            "a {speed} hi-hat rhythm",
            "a {speed} pattern on a hi-hat",
            "cymbals of a hi-hat, closed and open",
        ),
        ("a hi-hat is played {quickly}", "a drummer plays only the hi-hat", "hi-hats tick {quickly}"),
    ),
    Wording(
        ("a {speed} rhythm on a hi-hat", "a hi-hat alone", "a {speed} hi-hat pattern"),
        ("a drummer plays the hi-hat {quickly}", "only a hi-hat is played"),
    ),
)

CLAPS = Kind(
    "a person who claps, slow or fast",
    _draw_claps,
    _claps,
    Wording(
        (
            "hand claps",
            "{speed} hand claps",
            "a person clapping {quickly}",
            "{speed} clapping",
            "a {speed} rhythm of hand claps",
            "one person clapping hands",
        ),
        ("somebody claps {quickly}", "a person claps", "hands clap a {speed} rhythm"),
    ),
    Wording(
        ("a person clapping a {speed} rhythm", "{speed} claps of two hands", "one person clapping {quickly}"),
        ("a person claps {quickly}", "somebody claps hands"),
    ),
)

APPLAUSE = Kind(
    "applause",
    _draw_applause,
    _applause,
    Wording(
        (
            "applause",
            "a clapping audience",
            "the applause of a crowd",
            "a big crowd clapping",
            "applause in a theatre",
            "an applauding audience",
        ),
        ("an audience applauds", "a crowd claps", "people in a theatre applaud"),
    ),
    Wording(
        ("the applause of an audience", "an applauding crowd", "a crowd clapping in a theatre"),
        ("a crowd applauds", "the audience in a theatre claps"),
    ),
)

HEART = Kind(
    "a heartbeat, slow or fast",
    _draw_heart,
    _heart,
    Wording(
        (
            "a heartbeat",
            "a {speed} heartbeat",
            "a beating heart",
            "the {speed} beat of a heart",
            "a {speed} pulse through a stethoscope",
            "a heart beating {quickly}",
        ),
        ("a heart beats", "a heart beats {quickly}", "a heart pounds in the chest"),
    ),
    Wording(
        ("a {speed} beating heart", "the beat of a heart through a stethoscope", "a {speed} heartbeat in the chest"),
        ("a heart pounds {quickly}", "a heart is beating {quickly}"),
    ),
)

STEPS = Kind(
    "footsteps, walking or running",
    _draw_steps,
    _steps,
    Wording(
        (
            "footsteps",
            "{speed} footsteps",
            "footsteps on gravel",
            "{speed} steps on a gravel path",
            "a person going {quickly} over gravel",
            "crunching footsteps",
        ),
        ("somebody goes {quickly} on a gravel path", "footsteps crunch {quickly}", "somebody steps over gravel"),
    ),
    Wording(
        ("{speed} footsteps on gravel", "the crunching steps of a person", "{speed} crunching footsteps"),
        ("footsteps crunch on a gravel path", "a person goes over gravel {quickly}"),
    ),
)

KNOCKS = Kind(
    "one to five knocks on a door",
    _draw_knocks,
    _knocks,
    Wording(
        (
            "{count} knock{s}",
            "{count} knock{s} on a door",
            "exactly {count} knock{s} on wood",
            "a knock on the door, {times}",
            "{count} knock{s} on a wooden door",
            "somebody knocking {times}",
        ),
        ("somebody knocks {times}", "somebody knocks on a door {times}", "a hand knocks on wood {times}"),
    ),
    Wording(
        ("exactly {count} knock{s} on a door", "{count} wooden knock{s}", "somebody knocking on a door {times}"),
        ("a hand knocks on the door {times}", "somebody knocks on wood exactly {times}"),
    ),
)
