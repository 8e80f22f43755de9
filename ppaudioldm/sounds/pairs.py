"""Sound classes of two others: one sound after the other, or both at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ppaudioldm.sounds.captions import Wording, fill, with_articles
from ppaudioldm.sounds.kind import Kind, Parameters
from ppaudioldm.sounds.signals import Generator, add, gate, uniform

CROSSFADE_S = 0.04


@dataclass(frozen=True)
class Pair(Kind):
    """A sound class of two others, out of `components`.

    Its templates have the slots {first} and {second}, for noun phrases of these two.
    """

    components: Mapping[str, Kind] = field(default_factory=dict)

    def describe(self, rng: Generator, parameters: Parameters, split: str) -> tuple[str, bool]:
        templates = self.wording(split).noun_phrases
        descriptions = {}
        for place in ("first", "second"):
            choices = self.components[parameters[place]].wording(split).noun_phrases
            descriptions[place] = fill(rng, choices[int(rng.integers(len(choices)))], parameters[f"{place}_parameters"])
        return with_articles(templates[int(rng.integers(len(templates)))].format(**descriptions)), True


def pair_kinds(components: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kinds "sequence" and "together", each of any two different `components`."""

    def draw_sequence(rng: Generator, duration: float) -> Parameters:
        switch = uniform(rng, 0.46, 0.54) * duration
        return _draw_two(rng, (switch, duration - switch)) | {"switch": switch}

    def draw_together(rng: Generator, duration: float) -> Parameters:
        return _draw_two(rng, (duration, duration))

    def _draw_two(rng: Generator, durations: tuple[float, float]) -> Parameters:
        names = list(components)
        first, second = (names[int(index)] for index in rng.choice(len(names), 2, replace=False))
        return {
            "first": first,
            "second": second,
            "first_parameters": components[first].draw(rng, durations[0]),
            "second_parameters": components[second].draw(rng, durations[1]),
        }

    def component(rng: Generator, parameters: Parameters, place: str, duration: float, sample_rate: int) -> np.ndarray:
        kind = components[parameters[place]]
        return _as_loud(kind.synthesise(rng, parameters[f"{place}_parameters"], duration, sample_rate))

    def sequence(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
        out = np.zeros(round(duration * sample_rate), np.float32)
        switch = parameters["switch"]
        for place, start, end in (("first", 0.0, switch), ("second", switch, duration)):
            sound = component(rng, parameters, place, end - start, sample_rate)
            add(out, sound * gate(len(sound), sample_rate, CROSSFADE_S / 2, CROSSFADE_S / 2), start, sample_rate)
        return out

    def together(rng: Generator, parameters: Parameters, duration: float, sample_rate: int) -> np.ndarray:
        first, second = (component(rng, parameters, place, duration, sample_rate) for place in ("first", "second"))
        return first + np.float32(uniform(rng, 0.7, 1.0)) * second

    return {
        "sequence": Pair("one sound, then another", draw_sequence, sequence, *SEQUENCE, components=components),
        "together": Pair("two sounds at the same time", draw_together, together, *TOGETHER, components=components),
    }


def _as_loud(sound: np.ndarray) -> np.ndarray:
    """`sound` over the geometric mean of its peak and 4 times its RMS: neither clicks nor hiss mask the other sound."""
    peak, rms = np.max(np.abs(sound)), np.sqrt(np.mean(np.square(sound)))
    return sound / np.float32(max(1e-9, (peak * 4 * rms) ** 0.5))


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
