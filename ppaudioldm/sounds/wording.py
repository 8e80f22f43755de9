"""Captions in English and Chinese from the facts of a clip: templates with slots, and synonyms for what fills them.

A template is used only where the facts of the clip have a value for each of its slots: what a caption says is true.
No template of the "test" split occurs in "train", but all of its words (in Chinese, its characters) do: a text encoder
that is trained from scratch cannot know what it has never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ppaudioldm.sounds.words import slots

LANGUAGES = ("en", "zh")
SPLITS = ("train", "test")
Facts = Mapping[str, Any]

_SLOT = re.compile(r"{(\w+)}")
_ENGLISH_WORD = re.compile(r"[a-z][a-z'#-]*")
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Both:
    """The same templates in both languages, separated by semicolons."""

    en: str = ""
    zh: str = ""

    def of(self, language: str) -> tuple[str, ...]:
        """The templates of "en" or "zh"."""
        return tuple(part.strip() for part in getattr(self, language).split(";") if part.strip())


@dataclass(frozen=True)
class Words:
    """How a kind of sound is named. title: for lists, ("a barking dog", "狗叫").

    nouns: noun phrases ("a dog barking"), which go into frames. clauses: sentences ("a dog barks"). test_nouns,
    test_clauses: the held-out ones.
    """

    title: tuple[str, str]
    nouns: Both
    clauses: Both = Both()
    test_nouns: Both = Both()
    test_clauses: Both = Both()

    def templates(self, language: str, split: str) -> list[tuple[str, bool]]:
        """The templates of a language and split, each with whether it is a noun phrase, not a clause."""
        nouns, clauses = (self.nouns, self.clauses) if split == "train" else (self.test_nouns, self.test_clauses)
        return [(text, True) for text in nouns.of(language)] + [(text, False) for text in clauses.of(language)]


class Description(NamedTuple):
    """A sound in words. is_noun: a noun phrase, not a clause. says: the facts of the clip that it states."""

    text: str
    is_noun: bool
    says: frozenset[str] = frozenset()


def fitting(templates: list[tuple[str, bool]], language: str, facts: Facts) -> list[tuple[str, bool]]:
    """Those of `templates` whose slots all have words for what `facts` says."""
    table = slots.SLOTS[language]
    return [
        (text, is_noun)
        for text, is_noun in templates
        if all(facts.get(table[slot][0]) in table[slot][1] for slot in _SLOT.findall(text))
    ]


def facts_of(template: str, language: str) -> set[str]:
    """The facts that `template` tells."""
    return {slots.SLOTS[language][slot][0] for slot in _SLOT.findall(template)}


def describe(
    rng: np.random.Generator, words: Words, facts: Facts, language: str, split: str, form: str = "*"
) -> Description:
    """A random description of a clip with `facts`.

    form: N for a noun phrase, C for a clause, * for either.
    """
    choices = fitting(words.templates(language, split), language, facts)
    if form != "*":
        choices = [choice for choice in choices if choice[1] == (form == "N")]
    # What says more is chosen more often: a generation that is asked for three beeps has to have seen many threes.
    weights = np.array([1.0 + len(facts_of(text, language)) for text, _ in choices])
    text, is_noun = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
    return Description(fill(rng, text, facts, language), is_noun, frozenset(facts_of(text, language)))


def fill(rng: np.random.Generator, template: str, facts: Facts, language: str) -> str:
    """`template` with a random synonym for the value of each fact in its slots."""

    def word(match: re.Match[str]) -> str:
        fact, table = slots.SLOTS[language][match[1]]
        synonyms = table[facts[fact]]
        return synonyms[int(rng.integers(len(synonyms)))]

    return with_articles(_SLOT.sub(word, template))


def modified(rng: np.random.Generator, text: str, is_noun: bool, facts: Facts, language: str) -> str:
    """`text` with words for distance and loudness, where `facts` has them."""
    for fact in ("distance", "loudness"):
        forms = slots.MODIFIERS[language].get((fact, facts.get(fact, "")))
        if forms:
            choices = [form for form in forms if _suits(form, text, is_noun)]
            text = _modify(choices[int(rng.integers(len(choices)))], text)
    return text


def _suits(form: str, text: str, is_noun: bool) -> bool:
    """Whether the modifier `form` goes with `text`; it begins with N for nouns, A for nouns with "a", C for clauses."""
    if form[0] == "A":
        return is_noun and bool(re.match(r"an? ", text))
    if form[0] == "P":  # a Chinese name of a sound, without a numeral
        return is_noun and bool(re.fullmatch(r"[^一两三四五\d].*[声音鸣鼓铃笛琴]|[^一两三四五\d].?", text))
    return (form[0] == "N") == is_noun or form[0] == "*"


def _modify(form: str, text: str) -> str:
    if form[0] == "A":
        text = re.sub(r"^an? ", "", text)
    return with_articles(form[2:].format(text))


def caption(rng: np.random.Generator, text: str, is_noun: bool, language: str, split: str) -> str:
    """`text` as a caption: a noun phrase in a frame at times, some with a capital letter, some with a full stop."""
    frames = slots.FRAMES[language][split]
    if is_noun and rng.uniform() < 0.4:
        text = with_articles(frames[int(rng.integers(len(frames)))].format(text))
    if rng.uniform() < 0.5:
        text = re.sub(r"\bsomebody\b", "someone", text)
    if language == "en" and rng.uniform() < 0.25:
        text = text[0].upper() + text[1:]
    if rng.uniform() < 0.12:
        text += "." if language == "en" else "。"
    return text


def with_articles(text: str) -> str:
    """`text` with "an" in place of "a" before a vowel, as letters go."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def tokens(text: str) -> set[str]:
    """The English words of `text` in lower case, and its Chinese characters."""
    return set(_ENGLISH_WORD.findall(text.lower())) | set(_HAN.findall(text))


def vocabulary(words: Words, language: str, split: str) -> Iterator[str]:
    """Texts with all that the templates of a split can say: each without its slots, and each synonym for these."""
    for text, _ in words.templates(language, split):
        yield _SLOT.sub(" ", text)
        for slot in _SLOT.findall(text):
            for synonyms in slots.SLOTS[language][slot][1].values():
                yield from synonyms


def common_words(language: str) -> set[str]:
    """The words of the frames and modifiers around descriptions in training, which name no sound."""
    texts = [*slots.FRAMES[language]["train"], *(f[2:] for forms in slots.MODIFIERS[language].values() for f in forms)]
    return set().union(*(tokens(text) for text in texts))
