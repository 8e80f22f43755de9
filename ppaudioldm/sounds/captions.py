"""How a sound's parameters become words: templates with slots, synonyms, and sentences around them.

A template of the "test" split never occurs in "train": what is kept back is how it is put, not the words themselves,
for a text encoder that starts from nothing cannot know a word that it never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SPLITS = ("train", "test")
NOTES = ("C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B")


@dataclass(frozen=True)
class Wording:
    """Templates of one split. things fit into sentences ("a low tone"), clauses do not ("a bell rings")."""

    things: tuple[str, ...]
    clauses: tuple[str, ...] = ()


# Slot of a template -> the parameter it tells, and the words for each of its values.
SLOTS: dict[str, tuple[str, dict[Any, tuple[str, ...]]]] = {
    "pitch": ("pitch", {"low": ("low", "deep", "low-pitched"), "high": ("high", "shrill", "high-pitched")}),
    "size": ("pitch", {"low": ("big", "large", "deep"), "high": ("small", "little", "bright")}),
    "speed": ("speed", {"slow": ("slow", "unhurried"), "fast": ("fast", "quick", "rapid")}),
    "quickly": ("speed", {"slow": ("slowly", "unhurriedly"), "fast": ("fast", "quickly", "rapidly")}),
    "rising": ("direction", {"rising": ("rising", "ascending"), "falling": ("falling", "descending")}),
    "rises": ("direction", {"rising": ("rises", "goes up", "climbs"), "falling": ("falls", "goes down", "drops")}),
    "upwards": ("direction", {"rising": ("upwards", "up"), "falling": ("downwards", "down")}),
    "heavy": ("strength", {"light": ("light", "gentle", "soft"), "heavy": ("heavy", "strong", "hard")}),
    "count": ("count", {1: ("one", "a single"), 2: ("two",), 3: ("three",), 4: ("four",), 5: ("five",)}),
    "times": ("count", {1: ("once",), 2: ("twice",), 3: ("three times",), 4: ("four times",), 5: ("five times",)}),
    "note": ("note", {note: (note,) for note in NOTES}),
    "octave": ("octave", {"low": ("low", "deep"), "middle": ("middle",), "high": ("high",)}),
    "quality": ("quality", {"major": ("major", "happy"), "minor": ("minor", "sad")}),
    "s": ("count", {1: ("",), 2: ("s",), 3: ("s",), 4: ("s",), 5: ("s",)}),
}  # fmt: skip

# Sentences around a thing, be it one or many.
_FRAMES = {
    "train": (
        "{}",
        "{}",
        "{}",
        "the sound of {}",
        "a recording of {}",
        "you can hear {}",
        "we hear {}",
        "an audio clip with {}",
        "this is a clip of {}",
        "this sounds like {}",
    ),
    "test": (
        "{}",
        "audio of {}",
        "a clip with {}",
        "you hear {}",
        "this is the sound of {}",
        "a recording with {}",
    ),
}

_WORD = re.compile(r"[a-z][a-z'-]*")


def phrase(rng: np.random.Generator, wording: Wording, parameters: Mapping[str, Any]) -> tuple[str, bool]:
    """One template of `wording` with its slots filled, and whether it is a thing, not a clause."""
    number = int(rng.integers(len(wording.things) + len(wording.clauses)))
    template = (wording.things + wording.clauses)[number]
    return fill(rng, template, parameters), number < len(wording.things)


def fill(rng: np.random.Generator, template: str, parameters: Mapping[str, Any]) -> str:
    """`template` with a random synonym of each parameter in its slots."""
    words = {}
    for slot in re.findall(r"{(\w+)}", template):
        parameter, table = SLOTS[slot]
        synonyms = table[parameters[parameter]]
        words[slot] = synonyms[int(rng.integers(len(synonyms)))]
    return with_articles(template.format(**words))


def caption(rng: np.random.Generator, text: str, is_thing: bool, split: str) -> str:
    """A sentence around `text`, which people start with a capital or not, and end with a full stop or not."""
    if is_thing:
        frames = _FRAMES[split]
        text = with_articles(frames[int(rng.integers(len(frames)))].format(text))
    if rng.uniform() < 0.3:
        text = text[0].upper() + text[1:]
    return text + "." if rng.uniform() < 0.15 else text


def with_articles(text: str) -> str:
    """ "a" before a consonant, "an" before a vowel."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def words(text: str) -> set[str]:
    """The words of `text` in lower case."""
    return set(_WORD.findall(text.lower()))


def wordings(wording: Wording) -> Iterator[str]:
    """Every template of `wording` with every synonym, one slot at a time: all its words, not all its sentences."""
    for template in wording.things + wording.clauses:
        slots = re.findall(r"{(\w+)}", template)
        yield re.sub(r"{\w+}", " ", template)
        for slot in slots:
            for synonyms in SLOTS[slot][1].values() if slot in SLOTS else ():
                yield from synonyms


def frame_words(split: str) -> set[str]:
    """The words of the sentences around things: they tell nothing of the sound."""
    return set().union(*(words(frame) for frame in _FRAMES[split]))
