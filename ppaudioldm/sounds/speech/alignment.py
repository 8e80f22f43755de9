"""When each phoneme of a sentence is spoken: the phonemes of espeak, which a model reads, along the phones of flite.

Both name the same sounds in other alphabets and do not always agree, so they are aligned by dynamic programming, as
sequences are for an edit distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PAUSE = "pau"  # flite's phone for silence
_VOWELS = frozenset(["iy", "ih", "ey", "eh", "ae", "aa", "ao", "ow", "uh", "uw", "ah", "ax", "er", "ay", "aw", "oy"])
# A symbol of espeak's -> the phones of flite that it may be. Others, such as stress marks, go with their neighbours.
_PHONES = {
    symbol: frozenset(phones.split())
    for symbol, phones in {
        "p": "p", "b": "b", "t": "t ch d", "d": "d jh t", "k": "k", "ɡ": "g", "f": "f", "v": "v", "θ": "th",
        "ð": "dh", "s": "s z", "z": "z s", "ʃ": "sh ch", "ʒ": "zh jh", "h": "hh", "m": "m", "n": "n", "ŋ": "ng n",
        "l": "l", "ɹ": "r er", "w": "w", "j": "y", "ɾ": "t d", "ʔ": "t",
        "i": "iy", "ɪ": "ih ey ay oy ax", "e": "ey", "ɛ": "eh", "æ": "ae", "ɑ": "aa ao", "ɔ": "ao oy aa",
        "o": "ow ao", "ʊ": "uh ow aw", "u": "uw", "ʌ": "ah ax", "ɐ": "ax ah", "ə": "ax ah ih", "ɚ": "er", "ɜ": "er",
        "a": "ay aw aa", "ᵻ": "ih ax iy",
    }.items()
}  # fmt: skip
# Scores of a symbol for a phone, and the cost of a phone that no symbol is spoken in.
MATCH, OTHER_VOWEL, MISMATCH, IN_PAUSE, SKIPPED = 2.0, 0.5, -1.5, -2.0, 1.0


@dataclass(frozen=True)
class Phone:
    """A sound of flite's and its times in seconds."""

    name: str
    start: float
    end: float


def phoneme_times(phonemes: str, phones: Sequence[Phone]) -> np.ndarray:
    """Start and end of each symbol of `phonemes` and of the silence behind them, (symbols + 1, 2) float32, in seconds.

    Each symbol ends where the next one begins: a pause belongs to the comma or the space before it. Symbols that are
    spoken in the same phone share its time equally. phones: those of the same sentence, in order. The silence ends at
    infinity. Raises ValueError without phones or symbols.
    """
    if not phonemes or not phones:
        raise ValueError(f"phonemes are {phonemes!r} and there are {len(phones)} phones, allowed: one or more of each")
    spoken_in = _aligned(phonemes, phones)
    times = np.empty((len(phonemes) + 1, 2), np.float32)
    for index, phone in enumerate(phones):
        (symbols,) = np.nonzero(spoken_in == index)
        times[symbols, 0] = np.linspace(phone.start, phone.end, len(symbols), endpoint=False)
    times[-1] = max((phone.end for phone in phones if phone.name != PAUSE), default=phones[-1].end), np.inf
    times[:-1, 1] = times[1:, 0]
    return times


def _aligned(phonemes: str, phones: Sequence[Phone]) -> np.ndarray:
    """The index of the phone that each symbol is spoken in, (symbols,), in order: the assignment of the best score."""
    scores = np.array([[_score(symbol, phone.name) for phone in phones] for symbol in phonemes])
    before = np.cumsum([0.0, *(SKIPPED * (phone.name != PAUSE) for phone in phones)])  # costs of all earlier phones
    # From phone i to phone j > i, those between are skipped.
    skips = np.maximum(0.0, before[None, :-1] - before[1:, None])
    skips[np.tril_indices(len(phones), -1)] = np.inf  # time does not run backwards
    total, choices = scores[0] - before[:-1], []
    for row in scores[1:]:
        candidates = total[:, None] - skips
        choices.append(candidates.argmax(0))
        total = candidates.max(0) + row
    path = [int((total - (before[-1] - before[1:])).argmax())]
    for choice in reversed(choices):
        path.append(int(choice[path[-1]]))
    return np.array(path[::-1])


def _score(symbol: str, phone: str) -> float:
    allowed = _PHONES.get(symbol)
    if allowed is None:
        return 0.0
    if phone in allowed:
        return MATCH
    if phone == PAUSE:
        return IN_PAUSE
    return OTHER_VOWEL if phone in _VOWELS and allowed & _VOWELS else MISMATCH
