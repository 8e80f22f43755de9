"""Examples of the data set, each a function of its number: a clip, its caption and its parameters."""

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
PEAK_DB = (-12.0, -2.0)  # of full scale
FLOOR_DB = (-65.0, -55.0)  # of full scale, root mean square: no clip is digitally silent anywhere


@dataclass(frozen=True)
class Example:
    """One clip. waveform: (samples,) float32 at SAMPLE_RATE. kind: a name in KINDS. parameters: drawn by its kind.

    says: the names of the parameters, each of which the caption may tell.
    """

    waveform: np.ndarray
    caption: str
    kind: str
    parameters: Parameters

    @property
    def language(self) -> str:
        return "en"

    @property
    def says(self) -> frozenset[str]:
        return frozenset(self.parameters)


def example(seed: int, kinds: Sequence[str] = LEVEL_A, duration: float = 2.56, split: str = "train") -> Example:
    """Example number `seed` of `kinds`, `duration` seconds long: the same for the same four arguments.

    The splits "train" and "test" have no clip and no caption template in common.
    Raises ValueError for an unknown kind or split, a negative seed, or a duration outside 1 to 60 seconds.
    """
    _check(seed, kinds, duration, split)
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    name = kinds[int(rng.integers(len(kinds)))]
    kind = KINDS[name]
    parameters = kind.draw(rng, duration)
    sound = kind.synthesise(rng, parameters, duration, SAMPLE_RATE)
    text, is_noun_phrase = kind.describe(rng, parameters, split)
    return Example(as_recorded(rng, sound), caption(rng, text, is_noun_phrase, split), name, parameters)


def as_recorded(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """`sound` (samples,) at a random level, with a faint noise floor, as recordings have."""
    level = 10 ** (uniform(rng, *PEAK_DB) / 20) / max(1e-9, float(np.max(np.abs(sound))))
    floor = 10 ** (uniform(rng, *FLOOR_DB) / 20)
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
