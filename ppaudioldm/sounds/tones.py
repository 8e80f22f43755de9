"""Electronic tones: steady and gliding tones, sirens, laser zaps.

Steady tones have some vibrato: a vocoder with a hop of 10 ms renders a constant pitch well only at multiples of 100 Hz.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.captions import Wording
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import (
    Generator,
    add,
    choose,
    decay,
    gate,
    harmonics,
    log_uniform,
    repeat_times,
    uniform,
    vibrato,
)

LOW_TONE_HZ = (110.0, 260.0)
HIGH_TONE_HZ = (1000.0, 2400.0)


def _partials(rng: Generator, count: int, slope: float) -> list[float]:
    """Amplitudes (count,) of partials 1, 2, ...: k^-slope, all but the first times a random factor of 0.5 to 1.5."""
    return [k**-slope * (1.0 if k == 1 else uniform(rng, 0.5, 1.5)) for k in range(1, count + 1)]


def _draw_tone(rng: Generator, duration: float) -> Parameters:
    pitch = choose(rng, "low", "high")
    onset = uniform(rng, 0.0, 0.15) * duration
    return {
        "pitch": pitch,
        "hertz": log_uniform(rng, *(LOW_TONE_HZ if pitch == "low" else HIGH_TONE_HZ)),
        "onset": onset,
        "seconds": uniform(rng, 0.7, 0.97) * duration - onset,
    }


def _tone(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(parameters["seconds"] * sample_rate)
    frequency = parameters["hertz"] * vibrato(rng, samples, sample_rate, uniform(rng, 0.008, 0.02))
    amplitudes = _partials(rng, 6, uniform(rng, 1.3, 2.2))
    level = vibrato(rng, samples, sample_rate, uniform(rng, 0.05, 0.25), (2.0, 6.0))
    shape = gate(samples, sample_rate, uniform(rng, 0.02, 0.1), uniform(rng, 0.05, 0.25))
    add(out, harmonics(frequency, amplitudes, samples, sample_rate) * level * shape, parameters["onset"], sample_rate)
    return out


def _draw_sweep(rng: Generator, duration: float) -> Parameters:
    direction = choose(rng, "rising", "falling")
    low = log_uniform(rng, 160, 400)
    ends = [low, low * log_uniform(rng, 4, 9)]
    onset = uniform(rng, 0.0, 0.15) * duration
    return {
        "direction": direction,
        "from_hertz": ends[direction == "falling"],
        "to_hertz": ends[direction == "rising"],
        "onset": onset,
        "seconds": uniform(rng, 0.75, 0.98) * duration - onset,
    }


def _sweep(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(parameters["seconds"] * sample_rate)
    ratio = parameters["to_hertz"] / parameters["from_hertz"]
    frequency = parameters["from_hertz"] * ratio ** np.linspace(0, 1, samples)
    frequency *= vibrato(rng, samples, sample_rate, uniform(rng, 0, 0.01))
    amplitudes = _partials(rng, 5, uniform(rng, 1.4, 2.4))
    shape = gate(samples, sample_rate, uniform(rng, 0.02, 0.08), uniform(rng, 0.04, 0.15))
    add(out, harmonics(frequency, amplitudes, samples, sample_rate) * shape, parameters["onset"], sample_rate)
    return out


def _draw_siren(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "period": uniform(rng, 0.8, 1.15) if speed == "slow" else uniform(rng, 0.25, 0.42),
        "low_hertz": uniform(rng, 480, 650),
        "high_hertz": uniform(rng, 1050, 1500),
    }


def _siren(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    cycles = np.arange(samples) / sample_rate / parameters["period"] + rng.uniform()
    height = 0.5 - 0.5 * np.cos(2 * np.pi * cycles)
    frequency = parameters["low_hertz"] * (parameters["high_hertz"] / parameters["low_hertz"]) ** height
    return harmonics(frequency, _partials(rng, 8, 1.1), samples, sample_rate)


def _draw_laser(rng: Generator, duration: float) -> Parameters:
    seconds = uniform(rng, 0.12, 0.25)
    return {
        "seconds": seconds,
        "from_hertz": uniform(rng, 3000, 6000),
        "to_hertz": uniform(rng, 150, 400),
        "interval": seconds * uniform(rng, 1.3, 2.2) + 0.08,
    }


def _laser(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(parameters["seconds"] * sample_rate)
    ratio = parameters["to_hertz"] / parameters["from_hertz"]
    frequency = parameters["from_hertz"] * ratio ** np.sqrt(np.linspace(0, 1, samples))
    zap = harmonics(frequency, _partials(rng, 6, 1.0), samples, sample_rate)
    zap *= decay(samples, sample_rate, parameters["seconds"] / 1.5) * gate(samples, sample_rate, 0.002, 0.02)
    for time in repeat_times(rng, duration - parameters["seconds"], parameters["interval"], 0.1):
        add(out, zap * np.float32(uniform(rng, 0.6, 1)), time, sample_rate)
    return out


TONE = Kind(
    "a low or high tone",
    _draw_tone,
    _tone,
    Wording(
        (
            "a {pitch} tone",
            "a long {pitch} tone",
            "one {pitch} note that is held",
            "a steady tone, {pitch}",
            "a {pitch} electronic tone",
            "a tone of {pitch} pitch",
        ),
        ("a {pitch} tone sounds", "a tone is held, {pitch} and long"),
    ),
    Wording(
        (
            "a {pitch} held tone",
            "a steady {pitch} tone",
            "an electronic tone of {pitch} pitch",
            "a tone that is {pitch}",
        ),
        ("a long tone sounds, {pitch}",),
    ),
)

SWEEP = Kind(
    "a rising or falling tone",
    _draw_sweep,
    _sweep,
    Wording(
        (
            "a {rising} tone",
            "a tone that {rises}",
            "a {rising} glide",
            "a tone gliding {upwards}",
            "a {rising} electronic sweep",
            "a sweep {upwards}",
            "a tone with {rising} pitch",
        ),
        ("a tone {rises}", "the pitch of a tone {rises}", "a tone glides {upwards}"),
    ),
    Wording(
        (
            "a sweep of a tone {upwards}",
            "a glide of a tone {upwards}",
            "an electronic tone that {rises}",
            "a {rising} sweep",
        ),
        ("the pitch {rises}", "an electronic tone glides {upwards}"),
    ),
)

SIREN = Kind(
    "a siren, slow or fast",
    _draw_siren,
    _siren,
    Wording(
        (
            "a siren",
            "a {speed} siren",
            "a police siren",
            "the siren of an ambulance",
            "a {speed} wailing siren",
            "an emergency vehicle with its siren on",
        ),
        ("a siren wails", "a siren wails {quickly}", "a police car with a siren drives by"),
    ),
    Wording(
        ("a wailing siren", "the {speed} siren of a police car", "an ambulance siren", "an emergency siren"),
        ("an ambulance wails", "the siren of a police car wails {quickly}"),
    ),
)

LASER = Kind(
    "laser zaps",
    _draw_laser,
    _laser,
    Wording(
        (
            "laser zaps",
            "a laser gun",
            "laser shots",
            "shots of a ray gun",
            "science fiction laser fire",
            "a laser weapon in a space battle",
        ),
        ("a laser gun fires", "lasers are shot", "a space weapon fires laser shots"),
    ),
    Wording(
        (
            "zaps of a laser gun",
            "laser fire of a space weapon",
            "lasers in a science fiction battle",
            "laser weapon fire",
        ),
        ("a laser weapon fires", "a ray gun zaps"),
    ),
)
