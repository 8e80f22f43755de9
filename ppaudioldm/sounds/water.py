"""Water and fire: waves, bubbles, dripping, crackling."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    decay,
    harmonics,
    log_uniform,
    noise,
    repeat_times,
    uniform,
    wander,
)


def _draw_waves(rng: Generator, duration: float) -> Parameters:
    return {"period": uniform(rng, 1.7, 2.4), "phase": uniform(rng, 0, 1)}


def _waves(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    phase = (np.arange(samples) / sample_rate / parameters["period"] + parameters["phase"]) % 1
    # A wave rises slowly, breaks, and runs out as foam.
    swell = np.where(phase < 0.55, (phase / 0.55) ** 2, np.exp(-(phase - 0.55) * 6)).astype(np.float32)
    foam = np.interp(phase, [0, 0.45, 0.6, 1], [0.05, 0.1, 1, 0.1]).astype(np.float32)
    out = noise(rng, samples, sample_rate, 80, 600, order=1) * (0.15 + swell)
    return out + 0.8 * noise(rng, samples, sample_rate, 1000, 6000, order=1) * foam


def blip(rng: Generator, hertz: float, seconds: float, rise: float, sample_rate: int) -> np.ndarray:
    """An air bubble in water: a short tone that decays in `seconds` while its pitch rises by the ratio `rise`."""
    samples = int(3 * seconds * sample_rate)
    frequency = hertz * rise ** np.linspace(0, 1, samples)
    return harmonics(frequency, (1,), samples, sample_rate) * decay(samples, sample_rate, seconds, 0.004)


def _draw_bubbles(rng: Generator, duration: float) -> Parameters:
    return {"per_second": uniform(rng, 18, 30), "hertz": log_uniform(rng, 350, 600)}


def _bubbles(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    for time in rng.uniform(0, duration, max(1, int(rng.poisson(parameters["per_second"] * duration)))):
        hertz = parameters["hertz"] * log_uniform(rng, 0.6, 2.2)
        sound = blip(rng, hertz, uniform(rng, 0.015, 0.035), uniform(rng, 1.5, 2.6), sample_rate)
        add(out, sound * np.float32(uniform(rng, 0.3, 1)), float(time), sample_rate)
    return out


def _draw_drips(rng: Generator, duration: float) -> Parameters:
    return {"interval": uniform(rng, 0.4, 0.75), "hertz": log_uniform(rng, 900, 1700)}


def _drips(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    for time in repeat_times(rng, duration, parameters["interval"], 0.12):
        drop = blip(rng, parameters["hertz"] * uniform(rng, 0.85, 1.2), 0.025, 1.7, sample_rate)
        # Echoes from the walls of a basin.
        for echo in range(4):
            add(out, drop * np.float32(0.35**echo), time + 0.09 * echo, sample_rate)
        click = noise(rng, 300, sample_rate, 2500) * decay(300, sample_rate, 0.002, 0.0003)
        add(out, 0.5 * click, time, sample_rate)
    return out


def _draw_fire(rng: Generator, duration: float) -> Parameters:
    return {"per_second": uniform(rng, 12, 25)}


def _fire(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = 0.12 * noise(rng, samples, sample_rate, 40, 250) * (0.5 + wander(rng, samples, sample_rate, 9))
    for time in rng.uniform(0, duration, max(3, int(rng.poisson(parameters["per_second"] * duration)))):
        seconds = log_uniform(rng, 0.001, 0.012)
        centre = log_uniform(rng, 900, 4500)
        length = int(8 * seconds * sample_rate) + 16
        crack = noise(rng, length, sample_rate, centre / 1.6, centre * 1.6)
        level = np.float32(1.6 * uniform(rng, 0.3, 1.0) ** 2)
        add(out, crack * decay(length, sample_rate, seconds, 0.0003) * level, float(time), sample_rate)
    return out


WAVES = Kind(
    "waves on a beach",
    _draw_waves,
    _waves,
    Wording(
        (
            "waves",
            "ocean waves",
            "waves on a beach",
            "the surf of the sea",
            "breaking waves on the shore",
            "the sea at a sandy beach",
        ),
        ("waves break on the shore", "waves roll onto a beach", "the ocean washes over the beach"),
    ),
    Wording(
        ("ocean waves on the shore", "the breaking surf of the ocean", "waves of the sea on a beach"),
        ("ocean waves break on a beach", "the sea washes over the shore"),
    ),
)

BUBBLES = Kind(
    "bubbles in water",
    _draw_bubbles,
    _bubbles,
    Wording(
        (
            "bubbles",
            "bubbling water",
            "air bubbles in water",
            "bubbles rising in an aquarium",
            "the bubbling of an aquarium",
            "boiling water in a pot",
        ),
        ("water bubbles", "bubbles rise in water", "water boils in a pot"),
    ),
    Wording(
        ("the bubbling of water", "bubbles in an aquarium", "air bubbles rising in water"),
        ("water bubbles in a pot", "air bubbles rise in an aquarium"),
    ),
)

DRIPS = Kind(
    "dripping water",
    _draw_drips,
    _drips,
    Wording(
        (
            "dripping water",
            "a dripping tap",
            "water drops in a cave",
            "the drip of a leaking tap",
            "drops of water falling into a sink",
            "a leaking faucet",
        ),
        ("water drips", "a tap drips into a sink", "drops of water drip in a cave"),
    ),
    Wording(
        ("a dripping faucet", "water dripping into a sink", "the drip of water in a cave"),
        ("a leaking tap drips", "water drips into a sink"),
    ),
)

FIRE = Kind(
    "a crackling fire",
    _draw_fire,
    _fire,
    Wording(
        (
            "a crackling fire",
            "a campfire",
            "a fireplace",
            "the crackle of flames",
            "burning wood that crackles",
            "a wood fire burning",
        ),
        ("a fire crackles", "wood burns in a fireplace", "flames crackle in the campfire"),
    ),
    Wording(
        ("the crackle of a campfire", "a crackling fireplace", "crackling flames of burning wood"),
        ("a campfire crackles", "a fire burns in a fireplace"),
    ),
)
