"""Engines and other machines."""

from __future__ import annotations

import numpy as np

from ppaudioldm.training.sounds.captions import Wording
from ppaudioldm.training.sounds.kind import Kind, Parameters
from ppaudioldm.training.sounds.signals import Generator, harmonics, noise, uniform, wander


def _draw_engine(rng: Generator, duration: float) -> Parameters:
    return {"hertz": uniform(rng, 28, 48), "hiss": uniform(rng, 0.15, 0.4)}


def _engine(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    firing = parameters["hertz"] * wander(rng, samples, sample_rate, 9, 0.93, 1.07)
    # Firing at twice the turns, every second stroke a little weaker; an exhaust resonance near 150 Hz.
    k = np.arange(1, 40)
    resonance = 1 / (1 + ((k * parameters["hertz"] - 150) / 160) ** 2)
    amplitudes = (resonance + 0.05) * np.where(k % 2, 0.5, 1.0) * rng.uniform(0.5, 1.0, len(k))
    hum = harmonics(firing, list(amplitudes), samples, sample_rate)
    strokes = 0.5 + 0.5 * harmonics(2 * firing, (1,), samples, sample_rate)
    out = hum / np.std(hum) + parameters["hiss"] * noise(rng, samples, sample_rate, 200, 2500, order=1) * strokes
    return out * (0.85 + wander(rng, samples, sample_rate, 6, 0, 0.3))


ENGINE = Kind(
    "a running engine",
    _draw_engine,
    _engine,
    Wording(
        (
            "an engine",
            "a running engine",
            "the engine of a car",
            "an idling motor",
            "the hum of a motor",
            "a truck with its engine running",
        ),
        ("an engine runs", "a motor hums", "the engine of a truck idles"),
    ),
    Wording(
        ("an idling engine", "the motor of a truck", "a car engine running", "the hum of an engine"),
        ("a car engine idles", "the motor of a car runs"),
    ),
)
