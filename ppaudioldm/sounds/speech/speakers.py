"""The four speakers: voices of flite, how each may be described, and how it may vary.

Every description belongs to one speaker, so that text and description determine the sound: what a small model learns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Speaker:
    """A speaker: a voice of flite, and phrases that describe it and no other speaker.

    voice: its name in flite. descriptions: phrases for the training split; held_out: for the test split. letters_per_s:
    how fast it speaks, spaces included. pitch_hz: the average pitch of a sentence that is described as low, and of one
    that is described as high; None for a voice that is never described so.
    """

    voice: str
    descriptions: tuple[str, ...]
    held_out: tuple[str, ...]
    letters_per_s: float
    pitch_hz: tuple[float, float] | None = None


SPEAKERS = {
    "man": Speaker(
        "rms",
        (
            "a man",
            "a man is speaking",
            "a man speaks",
            "an American man",
            "a male speaker",
            "a calm man",
            "a male voice",
            "a male reporter is speaking",
            "a man with an American accent",
            "a man says something",
        ),
        ("a calm male speaker", "an American man is speaking"),
        15.5,
    ),
    "woman": Speaker(
        "slt",
        (
            "a woman",
            "a woman is speaking",
            "a woman speaks",
            "a lady",
            "an American woman",
            "a female speaker",
            "a female voice",
            "a female reporter is speaking",
            "a girl is speaking",
            "a woman says something",
        ),
        ("a lady is speaking", "an American female voice"),
        18.0,
        (141.0, 215.0),
    ),
    "scottish": Speaker(
        "awb",
        (
            "a Scottish man",
            "a Scottish man is speaking",
            "a Scotsman",
            "a man from Scotland",
            "a man with a Scottish accent",
            "a Scottish speaker",
            "a Scottish voice",
            "a Scottish reporter is speaking",
            "a Scotsman speaks",
            "a male Scottish speaker",
        ),
        ("a Scotsman is speaking", "a voice from Scotland"),
        18.0,
        (105.0, 150.0),
    ),
    "deep": Speaker(
        "kal16",
        (
            "a man with a deep voice",
            "a man with a low voice",
            "a deep voice",
            "a deep male voice",
            "a robot",
            "a robot is speaking",
            "a robot with a deep voice",
            "a computer voice",
            "a man with a deep voice is speaking",
            "a monotonous male voice",
        ),
        ("a deep voice is speaking", "a man speaks in a deep voice"),
        19.0,
    ),
}
# Words of descriptions that say nothing of the speaker.
NAMELESS = "a accent an calm from in is reporter says something speaker speaking speaks voice with"
# What users say of a speaker and the model cannot do. These words are in descriptions so that they do not change the
# voice. Pace is among them: CLAP's embeddings hardly depend on it, and `ppaudioldm speak --speed` sets it exactly.
ADJECTIVES = ("cheerful", "friendly", "middle-aged", "nice", "polite", "serious", "tall", "young")
MANNERS = (
    "and tells a story",
    "clearly",
    "in a bright voice",
    "in a clear and firm voice",
    "in a lively voice",
    "in a natural and relaxed voice",
    "in a soft voice",
    "in a warm and friendly voice",
    "in an even voice",
    "quickly",
    "quietly",
    "slowly",
    "slowly and calmly",
    "softly and with feeling",
)
EMBELLISHED = 0.3  # share of descriptions with such words
FULL_STOP = 0.2  # share of descriptions that end with one
_NOUN = re.compile(r"\b(man|woman|lady|girl|speaker|voice|reporter|Scotsman|robot)\b")
PITCH_WORDS = (("{}, low", "{}, at a low pitch"), ("{}, high", "{}, at a high pitch"))


@dataclass(frozen=True)
class Delivery:
    """How a sentence is spoken, and by which speaker: a key of SPEAKERS. pitch_hz: None for the voice's own."""

    speaker: str
    description: str
    pitch_hz: float | None = None


def delivery(generator: np.random.Generator, split: str, speakers: tuple[str, ...], variation: float) -> Delivery:
    """A random delivery by one of `speakers`. variation: share of those at another pitch, which is said."""
    drawn = _delivery(generator, split, speakers, variation)
    ends = split == "train" and generator.random() < FULL_STOP
    return replace(drawn, description=f"{drawn.description}.") if ends else drawn


def _delivery(generator: np.random.Generator, split: str, speakers: tuple[str, ...], variation: float) -> Delivery:
    name = _choice(generator, speakers)
    speaker = SPEAKERS[name]
    description = _choice(generator, speaker.held_out if split == "test" else speaker.descriptions)
    if split == "train":
        description = _embellished(generator, description)
    if not speaker.pitch_hz or generator.random() >= variation:
        return Delivery(name, description)
    which = int(generator.integers(2))
    return Delivery(name, _choice(generator, PITCH_WORDS[which]).format(description), speaker.pitch_hz[which])


def _embellished(generator: np.random.Generator, description: str) -> str:
    if generator.random() < EMBELLISHED:
        if generator.random() < 0.5 or "voice" in description:
            description = _NOUN.sub(rf"{_choice(generator, ADJECTIVES)} \1", description, count=1)
        else:
            description = f"{description} {_choice(generator, MANNERS)}"
    return description


def descriptions() -> tuple[str, ...]:
    """Descriptions with all words of the training split: every plain one, with and without what is said of
    pitch, and one with each of the words that say nothing of the voice."""
    plain = [text for speaker in SPEAKERS.values() for text in speaker.descriptions]
    forms = ["{}", *(form for words in PITCH_WORDS for form in words)]
    embellished = [f"a {word} man." for word in ADJECTIVES] + [f"a woman speaks {manner}." for manner in MANNERS]
    return (*(form.format(text) for text in plain for form in forms), *embellished)


def describe(speakers: Sequence[str] = tuple(SPEAKERS)) -> list[tuple[str, str, str]]:
    """For each of `speakers` its name, its title and an example of a description."""
    return [(name, SPEAKERS[name].descriptions[0], SPEAKERS[name].descriptions[1]) for name in speakers]


def known_words(speakers: Sequence[str] = tuple(SPEAKERS)) -> frozenset[str]:
    """The words by which descriptions name `speakers`, in lower case."""
    texts = [text for name in speakers for text in (*SPEAKERS[name].descriptions, *SPEAKERS[name].held_out)]
    return frozenset(re.findall("[a-z]+", " ".join(texts).lower())) - set(NAMELESS.split())


def _choice(generator: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[generator.integers(len(values))]
