"""Wind, rain and thunder, from filtered noise."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import Generator, add, choose, decay, gate, noise, uniform, wander


def _draw_strength(rng: Generator, duration: float) -> Parameters:
    return {"strength": choose(rng, "light", "heavy")}


def _wind(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    heavy = parameters["strength"] == "heavy"
    gusts = 1.4 if heavy else 0.7  # per second
    out = noise(rng, samples, sample_rate, 60, 250) * (0.3 + wander(rng, samples, sample_rate, gusts))
    # The howl: a narrow band whose centre moves, approximated by three fixed bands with changing levels.
    low = uniform(rng, 350, 450)
    place = wander(rng, samples, sample_rate, gusts, 0, 2 if heavy else 1)
    for number in range(3):
        centre = low * 1.5**number
        level = np.maximum(0, 1 - np.abs(place - number))
        out += (1.0 if heavy else 0.5) * level * noise(rng, samples, sample_rate, centre / 1.05, centre * 1.05, order=8)
    return out


def drops(rng: Generator, samples: int, sample_rate: int, per_second: float) -> np.ndarray:
    """Impulses (samples,) float32 at random times with random heights, most of them small."""
    out = np.zeros(samples, np.float32)
    count = int(rng.poisson(per_second * samples / sample_rate))
    np.add.at(out, rng.integers(0, samples, count), rng.exponential(1.0, count).astype(np.float32) ** 2)
    return out


def _rain(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    heavy = parameters["strength"] == "heavy"
    hiss = noise(rng, samples, sample_rate, 1500 if not heavy else 500, tilt=-2 if heavy else 0, order=1)
    # Nearby drops are short bursts of high-frequency noise.
    burst = noise(rng, 256, sample_rate, 2500) * decay(256, sample_rate, 0.003, 0.0003)
    size = samples + len(burst)
    impulses = drops(rng, samples, sample_rate, 160 if heavy else 40)
    near = np.fft.irfft(np.fft.rfft(impulses, size) * np.fft.rfft(burst, size), size)[:samples]
    level = 0.9 + 0.1 * wander(rng, samples, sample_rate, 2)
    return ((1.0 if heavy else 0.35) * hiss * level + 0.8 * near).astype(np.float32)


def _draw_thunder(rng: Generator, duration: float) -> Parameters:
    return {
        "onset": uniform(rng, 0.02, 0.2) * duration,
        "seconds": uniform(rng, 0.5, 0.9),
        "claps": int(rng.integers(2, 5)),
    }


def _thunder(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    level = np.zeros(samples, np.float32)
    time = parameters["onset"]
    for number in range(parameters["claps"]):
        seconds = parameters["seconds"] * uniform(rng, 0.5, 1.2)
        add(
            level,
            decay(samples, sample_rate, seconds, 0.03) * np.float32(uniform(rng, 0.5, 1) / (1 + 0.3 * number)),
            time,
            sample_rate,
        )
        time += uniform(rng, 0.1, 0.5)
    level *= 0.7 + 0.3 * wander(rng, samples, sample_rate, 12)
    rumble = noise(rng, samples, sample_rate, 25, 130) * level
    crack = np.zeros(samples, np.float32)
    add(crack, decay(samples, sample_rate, 0.15, 0.005), parameters["onset"], sample_rate)
    out = rumble + 0.35 * crack * noise(rng, samples, sample_rate, 100, 1800, tilt=-3, order=1)
    return out * gate(samples, sample_rate, 0.001, 0.1)


WIND = Kind(
    "wind, light or strong",
    _draw_strength,
    _wind,
    Wording(
        (
            "wind",
            "a {heavy} wind",
            "howling wind",
            "the howling of a {heavy} wind",
            "gusts of {heavy} wind",
            "wind in the trees",
        ),
        ("the wind blows", "a {heavy} wind blows", "the wind howls around the house"),
    ),
    Wording(
        ("a {heavy} howling wind", "gusts of wind", "the wind howling in the trees", "{heavy} wind"),
        ("a {heavy} wind howls", "wind blows around the house"),
    ),
)

RAIN = Kind(
    "rain, light or heavy",
    _draw_strength,
    _rain,
    Wording(
        (
            "rain",
            "{heavy} rain",
            "{heavy} rain on a roof",
            "falling rain",
            "a {heavy} rain shower",
            "raindrops on a window",
        ),
        ("it rains", "{heavy} rain falls", "rain falls on the roof", "rain patters on a window"),
    ),
    Wording(
        ("{heavy} rain on a window", "a shower of rain", "{heavy} falling rain", "raindrops falling on a roof"),
        ("{heavy} rain falls on a window", "a rain shower patters on the roof"),
    ),
)

THUNDER = Kind(
    "thunder",
    _draw_thunder,
    _thunder,
    Wording(
        (
            "thunder",
            "rolling thunder",
            "a thunderclap",
            "the rumble of thunder",
            "a thunderstorm with a loud thunderclap",
            "thunder and lightning",
        ),
        ("thunder rolls", "thunder rumbles in the sky", "lightning strikes and thunder follows"),
    ),
    Wording(
        ("the rumble of a thunderstorm", "loud thunder", "a rolling thunderclap", "the rumble of loud thunder"),
        ("a thunderstorm rumbles", "loud thunder rolls in the sky"),
    ),
)
