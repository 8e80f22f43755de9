"""Captions from the parameters of a sound: templates with slots, synonyms for each slot, and frames around them.

No template of the "test" split occurs in "train", but all of its words do: a text encoder that is trained from scratch
cannot know a word that it has never read.
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
    """Caption templates of one split: noun phrases ("a low tone"), which go into frames, clauses ("a bell rings")."""

    noun_phrases: tuple[str, ...]
    clauses: tuple[str, ...] = ()


# Slot of a template -> the parameter that it describes, and the synonyms for each value of that parameter.
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

# Frames around a noun phrase, in the singular or the plural.
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
    """A random template of `wording` with its slots filled, and whether it is a noun phrase, not a clause."""
    number = int(rng.integers(len(wording.noun_phrases) + len(wording.clauses)))
    template = (wording.noun_phrases + wording.clauses)[number]
    return fill(rng, template, parameters), number < len(wording.noun_phrases)


def fill(rng: np.random.Generator, template: str, parameters: Mapping[str, Any]) -> str:
    """`template` with a random synonym for the value of each parameter in its slots."""
    words = {}
    for slot in re.findall(r"{(\w+)}", template):
        parameter, table = SLOTS[slot]
        synonyms = table[parameters[parameter]]
        words[slot] = synonyms[int(rng.integers(len(synonyms)))]
    return with_articles(template.format(**words))


def caption(rng: np.random.Generator, text: str, is_noun_phrase: bool, split: str) -> str:
    """`text` as a caption: a noun phrase in a frame, some with a capital letter, some with a full stop."""
    if is_noun_phrase:
        frames = _FRAMES[split]
        text = with_articles(frames[int(rng.integers(len(frames)))].format(text))
    if rng.uniform() < 0.3:
        text = text[0].upper() + text[1:]
    return text + "." if rng.uniform() < 0.15 else text


def with_articles(text: str) -> str:
    """`text` with "an" in place of "a" before a vowel."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def words(text: str) -> set[str]:
    """The words of `text` in lower case."""
    return set(_WORD.findall(text.lower()))


def wordings(wording: Wording) -> Iterator[str]:
    """Texts with all words of `wording`: each template without its slots, and all synonyms for them one by one."""
    for template in wording.noun_phrases + wording.clauses:
        slots = re.findall(r"{(\w+)}", template)
        yield re.sub(r"{\w+}", " ", template)
        for slot in slots:
            for synonyms in SLOTS[slot][1].values() if slot in SLOTS else ():
                yield from synonyms


def frame_words(split: str) -> set[str]:
    """The words of the frames around noun phrases, which say nothing about the sound."""
    return set().union(*(words(frame) for frame in _FRAMES[split]))
