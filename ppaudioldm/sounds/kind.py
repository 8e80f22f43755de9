"""One kind of sound: how its parameters are drawn, how it is made, how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppaudioldm.sounds.captions import Wording, phrase

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """draw(rng, duration) gives parameters; synthesise(rng, parameters, duration, sample_rate) (samples,) float32.

    The level of what `synthesise` returns does not matter. title: what a list of kinds says.
    """

    title: str
    draw: Callable[[np.random.Generator, float], Parameters]
    synthesise: Callable[[np.random.Generator, Parameters, float, int], np.ndarray]
    train: Wording
    test: Wording

    def wording(self, split: str) -> Wording:
        """The templates of "train" or "test"."""
        return self.train if split == "train" else self.test

    def tell(self, rng: np.random.Generator, parameters: Parameters, split: str) -> tuple[str, bool]:
        """What is heard, in words, and whether that is a thing, which fits into a sentence."""
        return phrase(rng, self.wording(split), parameters)
