"""A clip and its caption by number: the same ones every time, in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppaudioldm.sounds.captions import SPLITS, caption
from ppaudioldm.sounds.catalogue import KINDS, LEVEL_A
from ppaudioldm.sounds.kind import Parameters
from ppaudioldm.sounds.signals import uniform

SAMPLE_RATE = 16000  # Hz
PEAK_DECIBELS = (-12.0, -2.0)  # of full scale
FLOOR_DECIBELS = (-65.0, -55.0)  # of full scale, root mean square: no clip is digitally silent anywhere


@dataclass(frozen=True)
class Example:
    """waveform: (samples,) float32 at SAMPLE_RATE. parameters: what was drawn for it, as its kind names them."""

    waveform: np.ndarray
    caption: str
    kind: str
    parameters: Parameters


def example(seed: int, kinds: Sequence[str] = LEVEL_A, duration: float = 2.56, split: str = "train") -> Example:
    """Example number `seed` of `kinds`: a function of the four arguments, nothing else.

    The splits "train" and "test" share no clip and no caption template. Raises ValueError on an unknown kind or split,
    a negative seed, or a duration outside 1 to 60 seconds.
    """
    _check(seed, kinds, duration, split)
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    name = kinds[int(rng.integers(len(kinds)))]
    kind = KINDS[name]
    parameters = kind.draw(rng, duration)
    sound = kind.synthesise(rng, parameters, duration, SAMPLE_RATE)
    text, is_thing = kind.tell(rng, parameters, split)
    return Example(finished(rng, sound), caption(rng, text, is_thing, split), name, parameters)


def finished(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """`sound` at a random level, over a faint hiss, as a recording has."""
    level = 10 ** (uniform(rng, *PEAK_DECIBELS) / 20) / max(1e-9, float(np.max(np.abs(sound))))
    floor = 10 ** (uniform(rng, *FLOOR_DECIBELS) / 20)
    hiss = rng.standard_normal(len(sound), dtype=np.float32)
    return np.float32(level) * sound + np.float32(floor) * hiss


def _check(seed: int, kinds: Sequence[str], duration: float, split: str) -> None:
    unknown = [name for name in kinds if name not in KINDS]
    if unknown or not kinds:
        raise ValueError(f"unknown kind of sound {(unknown or [''])[0]!r}, choose from {', '.join(KINDS)}")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, choose from {', '.join(SPLITS)}")
    if seed < 0:
        raise ValueError(f"seed is {seed}, allowed: 0 or more")
    if not (math.isfinite(duration) and 1 <= duration <= 60):
        raise ValueError(f"duration is {duration}, allowed: 1 to 60 seconds")
