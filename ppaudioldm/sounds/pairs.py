"""Two sounds: one after the other, or together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ppaudioldm.sounds.captions import Wording, fill, with_articles
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import Generator, add, gate, uniform

CROSSFADE = 0.04  # seconds


@dataclass(frozen=True)
class Pair(Kind):
    """A kind of two others. Its templates have the slots {first} and {second}, for things that `parts` tell."""

    parts: Mapping[str, Kind] = field(default_factory=dict)

    def tell(self, rng: Generator, parameters: Parameters, split: str) -> tuple[str, bool]:
        templates = self.wording(split).things
        things = {}
        for place in ("first", "second"):
            choices = self.parts[parameters[place]].wording(split).things
            things[place] = fill(rng, choices[int(rng.integers(len(choices)))], parameters[f"{place}_parameters"])
        return with_articles(templates[int(rng.integers(len(templates)))].format(**things)), True


def pair_kinds(parts: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kinds "sequence" and "together", of any two different `parts`."""

    def draw_sequence(rng: Generator, duration: float) -> Parameters:
        switch = uniform(rng, 0.46, 0.54) * duration
        return _draw_two(rng, (switch, duration - switch)) | {"switch": switch}

    def draw_together(rng: Generator, duration: float) -> Parameters:
        return _draw_two(rng, (duration, duration))

    def _draw_two(rng: Generator, durations: tuple[float, float]) -> Parameters:
        names = list(parts)
        first, second = (names[int(index)] for index in rng.choice(len(names), 2, replace=False))
        return {
            "first": first,
            "second": second,
            "first_parameters": parts[first].draw(rng, durations[0]),
            "second_parameters": parts[second].draw(rng, durations[1]),
        }

    def part(rng: Generator, parameters: Parameters, place: str, duration: float, sample_rate: int) -> np.ndarray:
        kind = parts[parameters[place]]
        return _as_loud(kind.synthesise(rng, parameters[f"{place}_parameters"], duration, sample_rate))

    def sequence(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
        out = np.zeros(round(duration * sample_rate), np.float32)
        switch = parameters["switch"]
        for place, start, end in (("first", 0.0, switch), ("second", switch, duration)):
            sound = part(rng, parameters, place, end - start, sample_rate)
            add(out, sound * gate(len(sound), sample_rate, CROSSFADE / 2, CROSSFADE / 2), start, sample_rate)
        return out

    def together(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
        first, second = (part(rng, parameters, place, duration, sample_rate) for place in ("first", "second"))
        return first + np.float32(uniform(rng, 0.7, 1.0)) * second

    return {
        "sequence": Pair("one sound, then another", draw_sequence, sequence, *SEQUENCE, parts=parts),
        "together": Pair("two sounds at the same time", draw_together, together, *TOGETHER, parts=parts),
    }


def _as_loud(sound: np.ndarray) -> np.ndarray:
    """`sound` at a level between equal peaks and equal power: neither clicks nor hisses drown the other."""
    peak, power = np.max(np.abs(sound)), np.sqrt(np.mean(np.square(sound)))
    return sound / np.float32(max(1e-9, (peak * 4 * power) ** 0.5))


SEQUENCE = (
    Wording(
        (
            "{first}, then {second}",
            "{first} followed by {second}",
            "first {first}, then {second}",
            "{first} and then {second}",
            "{first}, after that {second}",
            "{second} after {first}",
            "at first {first}, later {second}",
        )
    ),
    Wording(("{first}, later {second}", "first {first}, after that {second}", "at first {first}, then {second}")),
)

TOGETHER = (
    Wording(
        (
            "{first} and {second}",
            "{first} together with {second}",
            "{first} and {second} at the same time",
            "{first} with {second} in the background",
            "{first} during {second}",
            "a mix of {first} and {second}",
            "{first}, mixed with {second}",
        )
    ),
    Wording(("{first} and {second} together", "{first} mixed with {second}", "{first} and at the same time {second}")),
)
