"""Signals: alarms, beeps, telephones, car horns."""

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
    repeat_times,
    ringing,
    uniform,
    vibrato,
)


def _draw_alarm(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    return {
        "speed": speed,
        "interval": uniform(rng, 0.42, 0.55) if speed == "slow" else uniform(rng, 0.13, 0.19),
        # A multiple of 100 Hz, which a vocoder renders as a constant pitch: a beep is too short for vibrato.
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


def _draw_beeps(rng: Generator, duration: float) -> Parameters:
    speed = choose(rng, "slow", "fast")
    interval = uniform(rng, 0.4, 0.48) if speed == "slow" else uniform(rng, 0.2, 0.26)
    return {
        "speed": speed,
        "interval": interval,
        "count": int(rng.integers(1, max(1, min(5, int((duration - 0.2) / interval))) + 1)),
        "hertz": 100.0 * int(rng.integers(6, 12)),
        "onset": uniform(rng, 0.05, 0.15),
    }


def _beeps(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.55 * parameters["interval"] * sample_rate)
    beep = harmonics(parameters["hertz"], (1, 0.08), samples, sample_rate) * gate(samples, sample_rate, 0.008, 0.015)
    for number in range(parameters["count"]):
        add(out, beep, parameters["onset"] + number * parameters["interval"], sample_rate)
    return out


def _draw_telephone(rng: Generator, duration: float) -> Parameters:
    return {
        "hertz": uniform(rng, 1050, 1500),
        "ring": uniform(rng, 0.7, 1.1),
        "pause": uniform(rng, 0.35, 0.6),
        "strikes": uniform(rng, 19, 25),
    }


def _telephone(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    samples = round(duration * sample_rate)
    out = np.zeros(samples, np.float32)
    gongs = []
    for side in (1.0, 1.26):
        modes = parameters["hertz"] * side * np.array([1.0, 2.3, 3.9])
        gongs.append(ringing(modes, np.array([1, 0.6, 0.3]), np.array([0.15, 0.08, 0.05]), 4000, sample_rate))
    period = parameters["ring"] + parameters["pause"]
    for start in repeat_times(rng, duration, period, 0, uniform(rng, 0, 0.15)):
        for strike in range(int(parameters["ring"] * parameters["strikes"])):
            level = np.float32(uniform(rng, 0.8, 1))
            add(out, gongs[strike % 2] * level, start + strike / parameters["strikes"], sample_rate)
    return out


DTMF_ROWS, DTMF_COLUMNS = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)  # Hz; ITU-T Q.23


def _draw_dialling(rng: Generator, duration: float) -> Parameters:
    interval = uniform(rng, 0.17, 0.26)
    count = max(1, int((duration - 0.1) / interval))
    return {"interval": interval, "digits": "".join(str(int(digit)) for digit in rng.integers(0, 10, count))}


def _dialling(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(0.6 * parameters["interval"] * sample_rate)
    shape = gate(samples, sample_rate, 0.004, 0.006)
    for number, digit in enumerate(parameters["digits"]):
        row, column = divmod((int(digit) - 1) % 10, 3) if digit != "0" else (3, 1)
        pair = (DTMF_ROWS[row], DTMF_COLUMNS[column])
        tone = sum(harmonics(hertz, (1,), samples, sample_rate) for hertz in pair)
        add(out, tone * shape, 0.05 + number * parameters["interval"], sample_rate)
    return out


def _draw_horn(rng: Generator, duration: float) -> Parameters:
    count = int(rng.integers(1, 4 if duration > 2 else 2))
    room = (duration - 0.2) / count
    return {
        "count": count,
        "hertz": uniform(rng, 340, 420),
        "seconds": uniform(rng, 0.55, 0.75) * min(room, 1.5),
        "interval": min(room, 1.5),
        "onset": uniform(rng, 0.02, 0.15),
    }


def _horn(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
    out = np.zeros(round(duration * sample_rate), np.float32)
    samples = int(parameters["seconds"] * sample_rate)
    k = np.arange(1, 16)
    amplitudes = list((1 + 2 * np.exp(-(((k * parameters["hertz"] - 2200) / 900) ** 2))) / k**0.8)
    shake = vibrato(rng, samples, sample_rate, 0.004, (8.0, 14.0))
    # Two reeds, a third apart.
    honk = sum(harmonics(parameters["hertz"] * side * shake, amplitudes, samples, sample_rate) for side in (1.0, 1.26))
    honk = honk * gate(samples, sample_rate, 0.02, 0.03)
    for number in range(parameters["count"]):
        add(out, honk, parameters["onset"] + number * parameters["interval"], sample_rate)
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

BEEPS = Kind(
    "one to five beeps",
    _draw_beeps,
    _beeps,
    Wording(
        (
            "{count} beep{s}",
            "{count} {speed} beep{s}",
            "{count} electronic beep{s}",
            "{count} {speed} electronic beep{s}",
            "exactly {count} beep{s}",
            "{count} beep{s} of a machine",
        ),
        ("a machine beeps {times}", "something beeps {times}", "a device beeps {times}"),
    ),
    Wording(
        ("exactly {count} electronic beep{s}", "{count} {speed} beep{s} of a machine", "{count} beep{s} of a device"),
        ("an electronic device beeps {times}", "a machine beeps exactly {times}"),
    ),
)

TELEPHONE = Kind(
    "a ringing telephone",
    _draw_telephone,
    _telephone,
    Wording(
        (
            "a telephone",
            "a ringing telephone",
            "an old telephone",
            "the ringing of a phone",
            "a rotary phone that rings",
            "a telephone call coming in",
        ),
        ("a telephone rings", "an old phone rings", "somebody calls and the phone rings"),
    ),
    Wording(
        ("an old ringing phone", "the ringing of an old telephone", "a phone that rings"),
        ("a rotary telephone rings", "the telephone rings, somebody calls"),
    ),
)

DIALLING = Kind(
    "a number dialled on a telephone keypad",
    _draw_dialling,
    _dialling,
    Wording(
        (
            "touch tones",
            "dialling on a keypad",
            "a telephone number being dialled",
            "the keypad tones of a phone",
            "touch tone dialling",
            "digits typed on a phone keypad",
        ),
        ("somebody dials a number", "a phone number is dialled", "somebody types digits on a phone"),
    ),
    Wording(
        ("a phone number being dialled on a keypad", "touch tones of a telephone", "the tones of a keypad"),
        ("somebody dials digits on a keypad", "a telephone number is dialled"),
    ),
)

HORN = Kind(
    "a car horn, once to three times",
    _draw_horn,
    _horn,
    Wording(
        (
            "a car horn",
            "a honking car",
            "the horn of a car",
            "{count} honk{s} of a car horn",
            "a driver honking {times}",
            "an angry driver honking the horn",
        ),
        ("a car honks", "a car honks {times}", "a driver honks the horn {times}"),
    ),
    Wording(
        ("a car horn honking {times}", "{count} honk{s} of a horn", "an angry honking driver"),
        ("the horn of a car honks {times}", "an angry driver honks"),
    ),
)
