"""Two sounds in a clip: one after the other, or both at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.processing import faded
from ppaudioldm.sounds.signals import Generator, add, uniform

SEQUENCE, TOGETHER = "sequence", "together"
PAIRS = (SEQUENCE, TOGETHER)
BACKGROUND = 0.75  # so often one of two sounds at the same time is one that lasts


def draw_pair(rng: Generator, material: Material, pair: str, components: Mapping[str, Kind], duration: float) -> Facts:
    """The facts of two different `components`, each with its own, and of a sequence, when the second begins."""
    names = list(components)
    if pair == SEQUENCE:
        first, second = _two(rng, names, names)
        switch = uniform(rng, 0.42, 0.58) * duration
        lengths = switch, duration - switch
        when: Facts = {"switch": switch}
    else:
        lasting = [name for name in names if components[name].lasting]
        first, second = _two(rng, names, lasting if len(lasting) > 1 and rng.uniform() < BACKGROUND else names)
        lengths, when = (duration, duration), {}
    facts: Facts = {"first": first, "second": second, **when}
    for place, name, length in zip(("first", "second"), (first, second), lengths, strict=True):
        own = components[name].draw(rng, material, length)
        start = when.get("switch", 0.0) if place == "second" else 0.0
        # Onsets count from the beginning of the clip, those by which the sound is made from its own.
        facts[f"{place}_parameters"] = own | ({"starts": start} if start else {})
    return facts


def _two(rng: Generator, names: Sequence[str], others: Sequence[str]) -> tuple[str, str]:
    """One of `names`, and another one of `others`."""
    second = others[int(rng.integers(len(others)))]
    rest = [name for name in names if name != second]
    return rest[int(rng.integers(len(rest)))], second


def render_pair(
    rng: Generator, material: Material, pair: str, components: Mapping[str, Kind], facts: Facts, duration: float
) -> np.ndarray:
    """(samples,) float32 at SAMPLE_RATE."""
    if pair == TOGETHER:
        first, second = (_component(rng, material, components, facts, place, duration) for place in ("first", "second"))
        is_background = components[facts["second"]].lasting
        return first + np.float32(uniform(rng, 0.3, 0.6) if is_background else uniform(rng, 0.6, 1)) * second
    out = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    switch = facts["switch"]
    for place, start, end in (("first", 0.0, switch), ("second", switch, duration)):
        sound = _component(rng, material, components, facts, place, end - start)
        add(out, faded(sound, SAMPLE_RATE, 0.005, uniform(rng, 0.03, 0.15)), start, SAMPLE_RATE)
    return out


def _component(
    rng: Generator, material: Material, components: Mapping[str, Kind], facts: Facts, place: str, duration: float
) -> np.ndarray:
    sound = components[facts[place]].render(rng, material, facts[f"{place}_parameters"], duration)
    # Over the geometric mean of its peak and 4 times its RMS: neither clicks nor hiss mask the other sound.
    peak, rms = float(np.max(np.abs(sound))), float(np.sqrt(np.mean(np.square(sound))))
    return sound / np.float32(max(1e-9, (peak * 4 * rms) ** 0.5))
