"""A sound class: how the parameters of a clip are drawn, how it is synthesised, and how it is described in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppaudioldm.sounds.captions import Wording, phrase

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A sound class, as a title for lists of classes, two functions and the templates of its captions.

    draw: (rng, duration in s) -> the parameters of a clip.
    synthesise: (rng, parameters, duration in s, sample rate in Hz) -> (samples,) float32, at any level.
    train, test: the caption templates of either split.
    """

    title: str
    draw: Callable[[np.random.Generator, float], Parameters]
    synthesise: Callable[[np.random.Generator, Parameters, float, int], np.ndarray]
    train: Wording
    test: Wording

    def wording(self, split: str) -> Wording:
        """The caption templates of the split "train" or "test"."""
        return self.train if split == "train" else self.test

    def describe(self, rng: np.random.Generator, parameters: Parameters, split: str) -> tuple[str, bool]:
        """A description of the clip with `parameters`, and whether it is a noun phrase, not a clause: see `phrase`."""
        return phrase(rng, self.wording(split), parameters)
