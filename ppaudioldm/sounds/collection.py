"""All kinds of sound of the built-in models by name, the words that captions name them by, and a list for the user."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ppaudioldm.sounds.kinds import action, animals, home, instruments, machines, nature, people, signals, traffic
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.pairs import PAIRS
from ppaudioldm.sounds.wording import LANGUAGES, SPLITS, common_words, facts_of, tokens, vocabulary, with_articles
from ppaudioldm.sounds.words import slots

FAMILIES: dict[str, dict[str, Kind]] = {
    "instruments": instruments.KINDS,
    "animals": animals.KINDS,
    "nature": nature.KINDS,
    "traffic": traffic.KINDS,
    "machines": machines.KINDS,
    "home": home.KINDS,
    "people": people.KINDS,
    "action": action.KINDS,
    "signals": signals.KINDS,
}
SINGLE_KINDS: dict[str, Kind] = {name: kind for family in FAMILIES.values() for name, kind in family.items()}
KINDS: tuple[str, ...] = (*SINGLE_KINDS, *PAIRS)
# The Chinese word for a tone, which is also a part of those for "sound" and "recording".
TONE = "音"

INSTRUMENTS: tuple[str, ...] = tuple(instruments.KINDS)

_PAIR_TITLES = {"sequence": "one sound, then another", "together": "two sounds at the same time"}
_PAIR_PROMPTS = {"sequence": "a dog barks three times, then rain", "together": "birds and a stream"}


def describe(kinds: Sequence[str] = KINDS) -> list[tuple[str, str, str]]:
    """For each of `kinds` its name, its title and an example prompt, in English."""
    return [
        (name, _PAIR_TITLES[name], _PAIR_PROMPTS[name])
        if name in PAIRS
        else (name, SINGLE_KINDS[name].words.title[0], _prompt(SINGLE_KINDS[name]))
        for name in kinds
    ]


def _prompt(kind: Kind) -> str:
    """The noun phrase of `kind` with the most slots, each filled with a first synonym, and counts with three."""
    template = max(kind.words.nouns.of("en"), key=lambda text: len(facts_of(text, "en")))
    synonyms = {slot: table.get(3, next(iter(table.values())))[0] for slot, (_, table) in slots.ENGLISH.items()}
    return with_articles(re.sub(r"{(\w+)}", lambda match: synonyms[match[1]], template))


def known_words(kinds: Sequence[str] = KINDS) -> frozenset[str]:
    """What captions of `kinds` name sounds by: English words in lower case ("bell", "rings"), Chinese characters."""
    found = {
        token
        for name in kinds
        if name in SINGLE_KINDS
        for language in LANGUAGES
        for split in SPLITS
        for text in vocabulary(SINGLE_KINDS[name].words, language, split)
        for token in tokens(text)
    }
    said_of_any = {
        token
        for language, table in slots.SLOTS.items()
        for slot, (_, synonyms) in table.items()
        if slot not in slots.NAMING
        for texts in synonyms.values()
        for text in texts
        for token in tokens(text)
    }
    nameless = common_words("en") | common_words("zh") | said_of_any | tokens(slots.NAMELESS)
    return frozenset(found - (nameless - {TONE}))
