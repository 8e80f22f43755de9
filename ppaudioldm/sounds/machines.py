"""Machines: engines, helicopters, steam trains."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import Generator, add, decay, harmonics, noise, repeat_times, uniform, wander


def _draw_engine(rng: Generator, duration: float) -> Parameters:
    return {"hertz": uniform(rng, 28, 48), "hiss": uniform(rng, 0.15, 0.4)}


def _engine(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    firing = parameters["hertz"] * wander(rng, samples, sample_rate, 9, 0.93, 1.07)
    # Two ignitions per revolution, of which every second one is weaker; an exhaust resonance near 150 Hz.
    k = np.arange(1, 40)
    resonance = 1 / (1 + ((k * parameters["hertz"] - 150) / 160) ** 2)
    amplitudes = (resonance + 0.05) * np.where(k % 2, 0.5, 1.0) * rng.uniform(0.5, 1.0, len(k))
    hum = harmonics(firing, list(amplitudes), samples, sample_rate)
    strokes = 0.5 + 0.5 * harmonics(2 * firing, (1,), samples, sample_rate)
    out = hum / np.std(hum) + parameters["hiss"] * noise(rng, samples, sample_rate, 200, 2500, order=1) * strokes
    return out * (0.85 + wander(rng, samples, sample_rate, 6, 0, 0.3))


def _draw_helicopter(rng: Generator, duration: float) -> Parameters:
    return {"interval": uniform(rng, 0.075, 0.1), "hertz": uniform(rng, 300, 450)}


def _helicopter(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    passes = np.cumsum(1 / (parameters["interval"] * wander(rng, samples, sample_rate, 2, 0.98, 1.02))) / sample_rate
    chop = np.exp(-(passes % 1) * 4).astype(np.float32)
    blades = (
        noise(rng, samples, sample_rate, 50, 350) * chop + 0.3 * noise(rng, samples, sample_rate, 500, 3000) * chop**2
    )
    whine = harmonics(
        parameters["hertz"] * wander(rng, samples, sample_rate, 4, 0.97, 1.03), (1, 0.6, 0.4), samples, sample_rate
    )
    return blades + 0.06 * whine + 0.1 * noise(rng, samples, sample_rate, 100, 2000, order=1)


def _draw_train(rng: Generator, duration: float) -> Parameters:
    return {"interval": uniform(rng, 0.19, 0.27), "hiss": uniform(rng, 0.04, 0.1)}


def _train(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = parameters["hiss"] * noise(rng, samples, sample_rate, 1500, 6000, order=1)
    length = int(parameters["interval"] * 1.2 * sample_rate)
    for number, time in enumerate(repeat_times(rng, duration, parameters["interval"], 0.02)):
        # Four piston strokes per revolution of the wheels, the first of them the loudest.
        steam = noise(rng, length, sample_rate, 250, 2500, order=1) * decay(
            length, sample_rate, parameters["interval"] / 4, 0.02
        )
        add(out, steam * np.float32(1.0 if number % 4 == 0 else uniform(rng, 0.45, 0.6)), time, sample_rate)
    return out


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

HELICOPTER = Kind(
    "a helicopter",
    _draw_helicopter,
    _helicopter,
    Wording(
        (
            "a helicopter",
            "a flying helicopter",
            "the rotor of a helicopter",
            "chopping rotor blades",
            "a chopper overhead",
            "a helicopter hovering in the air",
        ),
        ("a helicopter flies overhead", "a helicopter hovers", "rotor blades chop the air"),
    ),
    Wording(
        ("a hovering helicopter", "the rotor blades of a helicopter", "a helicopter overhead"),
        ("a chopper hovers overhead", "the blades of a helicopter chop the air"),
    ),
)

TRAIN = Kind(
    "a steam train",
    _draw_train,
    _train,
    Wording(
        (
            "a steam train",
            "a steam locomotive",
            "a chugging train",
            "the puffing of a locomotive",
            "an old train with steam",
            "a puffing steam locomotive",
        ),
        ("a steam train puffs", "a locomotive chugs along", "an old train chugs along the track"),
    ),
    Wording(
        ("an old steam locomotive", "the puffing of a steam train", "a chugging locomotive"),
        ("a steam locomotive chugs along", "a train puffs along the track"),
    ),
)
