"""Birds and other animals."""

from __future__ import annotations

import numpy as np

from ppaudioldm.training.sounds.captions import Wording
from ppaudioldm.training.sounds.kind import Kind, Parameters
from ppaudioldm.training.sounds.signals import Generator, add, choose, gate, harmonics, log_uniform, uniform


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
        # A phrase: one chirp several times, then a pause.
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
        ("a singing bird", "birds chirping in a garden", "birdsong in the morning", "the song of a bird in the forest"),
        ("birds sing in a garden", "a songbird tweets"),
    ),
)
