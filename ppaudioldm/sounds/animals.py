"""Animals: birds, crickets, bees, frogs."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    gate,
    harmonics,
    log_uniform,
    repeat_times,
    ringing,
    uniform,
    wander,
)


def _draw_birds(rng: Generator, duration: float) -> Parameters:
    return {"hertz": log_uniform(rng, 2600, 4800), "chirp": choose(rng, "up", "down", "arch", "trill")}


def _chirp(rng: Generator, shape: str, hertz: float, seconds: float, sample_rate: int) -> np.ndarray:
    samples = int(seconds * sample_rate)
    place = np.linspace(0, 1, samples)
    bend = uniform(rng, 0.25, 0.5)
    curve = {
        "up": place - 0.5,
        "down": 0.5 - place,
        "arch": np.sin(np.pi * place) - 0.5,
        "trill": 0.5 * np.sin(2 * np.pi * uniform(rng, 35, 55) * seconds * place),
    }[shape]
    out = harmonics(hertz * (1 + bend) ** curve, (1, 0.12), samples, sample_rate)
    return out * gate(samples, sample_rate, 0.3 * seconds, 0.5 * seconds)


def _birds(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    time = uniform(rng, 0.02, 0.2)
    while time < duration - 0.1:
        # A phrase: the same chirp several times, then a pause.
        hertz, shape = parameters["hertz"] * log_uniform(rng, 0.8, 1.25), parameters["chirp"]
        if rng.uniform() < 0.4:
            shape = choose(rng, "up", "down", "arch")
        seconds = uniform(rng, 0.15, 0.28) if shape == "trill" else uniform(rng, 0.05, 0.12)
        for _ in range(int(rng.integers(2, 6))):
            level = np.float32(uniform(rng, 0.5, 1))
            add(out, level * _chirp(rng, shape, hertz, seconds, sample_rate), time, sample_rate)
            time += seconds + uniform(rng, 0.02, 0.06)
        time += uniform(rng, 0.05, 0.3)
    return out


def _draw_crickets(rng: Generator, duration: float) -> Parameters:
    return {"hertz": uniform(rng, 4000, 5200), "interval": uniform(rng, 0.28, 0.42)}


def _crickets(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    for cricket, level in enumerate((1.0, 0.45)):
        hertz = parameters["hertz"] * (1 + 0.07 * cricket)
        samples = int(0.016 * sample_rate)
        pulse = harmonics(hertz, (1,), samples, sample_rate) * gate(samples, sample_rate, 0.006, 0.008)
        for time in repeat_times(rng, duration, parameters["interval"] * (1 + 0.13 * cricket), 0.03):
            for number in range(4):
                add(out, pulse * np.float32(level * (0.6 + 0.13 * number)), time + 0.026 * number, sample_rate)
    return out


def _draw_bee(rng: Generator, duration: float) -> Parameters:
    return {"hertz": uniform(rng, 170, 240)}


def _bee(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    frequency = parameters["hertz"] * wander(rng, samples, sample_rate, 5, 0.9, 1.12)
    amplitudes = [k**-0.7 for k in range(1, 25)]
    near = 0.3 + 0.7 * wander(rng, samples, sample_rate, 2)  # it flies past
    flutter = wander(rng, samples, sample_rate, 40, 0.8, 1)
    return harmonics(frequency, amplitudes, samples, sample_rate) * near * flutter


def _draw_frog(rng: Generator, duration: float) -> Parameters:
    return {
        "pulses": uniform(rng, 32, 55),
        "hertz": uniform(rng, 550, 850),
        "seconds": uniform(rng, 0.22, 0.38),
        "pause": uniform(rng, 0.2, 0.4),
    }


def _frog(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    throat = parameters["hertz"] * np.array([1.0, 1.5, 2.7])
    pulse = ringing(throat, np.array([1, 0.6, 0.35]), np.array([0.011, 0.008, 0.006]), 1000, sample_rate)
    count = int(parameters["seconds"] * parameters["pulses"])
    for time in repeat_times(rng, duration, parameters["seconds"] + parameters["pause"], 0.06):
        for number in range(count):
            level = np.sin(np.pi * (number + 0.7) / (count + 0.4)) ** 0.5
            add(out, pulse * np.float32(level), time + number / parameters["pulses"], sample_rate)
    return out


BIRDS = Kind(
    "birds",
    _draw_birds,
    _birds,
    Wording(
        (
            "birds",
            "birdsong",
            "a chirping bird",
            "the chirping of birds",
            "a songbird in a garden",
            "tweeting birds in the morning",
        ),
        ("a bird sings", "birds chirp", "birds chirp in the forest", "a bird tweets"),
    ),
    Wording(
        (
            "a tweeting songbird",
            "birds chirping in a garden",
            "birdsong in the morning",
            "the chirping of a songbird in the forest",
        ),
        ("a songbird sings in a garden", "a songbird tweets"),
    ),
)

CRICKETS = Kind(
    "crickets",
    _draw_crickets,
    _crickets,
    Wording(
        (
            "crickets",
            "chirping crickets",
            "a cricket at night",
            "the chirping of crickets",
            "crickets in the grass",
            "a summer night with crickets",
        ),
        ("crickets chirp", "a cricket chirps in the grass", "crickets chirp on a summer night"),
    ),
    Wording(
        ("chirping crickets in the grass", "crickets on a summer night", "the chirping of a cricket"),
        ("a cricket chirps at night", "crickets chirp in the grass"),
    ),
)

BEE = Kind(
    "a buzzing bee",
    _draw_bee,
    _bee,
    Wording(
        (
            "a bee",
            "a buzzing bee",
            "a buzzing fly",
            "the buzz of an insect",
            "a flying bee",
            "an insect buzzing around",
        ),
        ("a bee buzzes", "a fly buzzes around", "an insect buzzes around a flower"),
    ),
    Wording(
        ("the buzz of a bee", "a fly buzzing around", "a buzzing insect"),
        ("a bee buzzes around a flower", "an insect buzzes"),
    ),
)

FROG = Kind(
    "a croaking frog",
    _draw_frog,
    _frog,
    Wording(
        (
            "a frog",
            "a croaking frog",
            "the croak of a frog",
            "frogs in a pond",
            "a toad by the water",
            "the croaking of a toad",
        ),
        ("a frog croaks", "a toad croaks by the pond", "frogs croak in the water"),
    ),
    Wording(
        ("the croaking of a frog", "a croaking toad", "a frog in a pond"),
        ("a toad croaks", "a frog croaks by the water"),
    ),
)
