"""A data set of synthesised sounds with captions, for training and evaluation; it needs NumPy alone."""

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
