"""Sounds with captions, for training and evaluation.

`clips` and `collection` are those that models are trained on: made in `kinds`, described in `words`, from the
recordings of `bank`. The names below are the synthesised sounds that `tiny` and the package's sound classifier know.
"""

from ppaudioldm.sounds.catalogue import KINDS, LEVEL_A, LEVEL_B, SINGLE_KINDS, describe, known_words
from ppaudioldm.sounds.examples import SAMPLE_RATE, Example, example
from ppaudioldm.sounds.kind import Kind

__all__ = [
    "KINDS",
    "LEVEL_A",
    "LEVEL_B",
    "SAMPLE_RATE",
    "SINGLE_KINDS",
    "Example",
    "Kind",
    "describe",
    "example",
    "known_words",
]
