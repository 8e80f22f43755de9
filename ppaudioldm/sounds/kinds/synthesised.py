"""Clips without a recording: the synthesised kinds of `ppaudioldm.sounds`, with the times at which they sound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppaudioldm.sounds.kind import Kind as SynthesisedKind
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.signals import Generator, uniform
from ppaudioldm.sounds.wording import Words

Onsets = Callable[[Facts], list[float]]


def synthesised(
    words: Words,
    kind: SynthesisedKind,
    onsets: Onsets | None = None,
    lasting: bool = False,
    placeable: bool = True,
) -> Kind:
    """The clips of a synthesised kind. onsets: from its parameters, where it has separate sounds."""

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        facts = kind.draw(rng, duration)
        if onsets:
            facts["onsets"] = onsets(facts)
        elif lasting:
            facts["onsets"] = [0.0]
        return facts

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        sound = kind.synthesise(rng, facts, duration, SAMPLE_RATE)
        return np.asarray(sound, np.float32)

    return Kind(words, draw, render, lasting, placeable)


def counted(
    words: Words, kind: SynthesisedKind, intervals_s: dict[str, tuple[float, float]], placeable: bool = True
) -> Kind:
    """One to five sounds of a synthesised kind that has the parameters "count", "interval" and "onset".

    intervals_s: a range for each speed; a speed of "" is not named.
    """

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        speed = list(intervals_s)[int(rng.integers(len(intervals_s)))]
        interval = uniform(rng, *intervals_s[speed])
        count = int(rng.integers(1, max(1, min(5, int((duration - 0.25) / interval))) + 1))
        latest = max(0.08, min(1.2, duration - 0.2 - count * interval))
        facts = kind.draw(rng, duration) | {"interval": interval, "count": count, "onset": uniform(rng, 0.05, latest)}
        facts.pop("speed", None)
        # A single one is neither slow nor fast.
        named = {"speed": speed} if speed and count > 1 else {}
        return facts | named | {"onsets": first_and_interval(facts)}

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        return np.asarray(kind.synthesise(rng, facts, duration, SAMPLE_RATE), np.float32)

    return Kind(words, draw, render, placeable=placeable)


def first_and_interval(facts: Facts) -> list[float]:
    """The onsets of "count" sounds, the first at "onset", the others every "interval" seconds."""
    return [facts["onset"] + number * facts["interval"] for number in range(facts["count"])]


def only_onset(facts: Facts) -> list[float]:
    """The onset of a single sound."""
    return [facts["onset"]]
