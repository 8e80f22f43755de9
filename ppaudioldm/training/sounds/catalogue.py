"""All kinds of sound by name, the words that tell of them, and a list to show."""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.training.sounds import alarms, animals, machines, rhythm, struck, tones, weather
from ppaudioldm.training.sounds.captions import SLOTS, SPLITS, frame_words, with_articles, wordings, words
from ppaudioldm.training.sounds.kind import Kind

KINDS: dict[str, Kind] = {
    "tone": tones.TONE,
    "sweep": tones.SWEEP,
    "siren": tones.SIREN,
    "laser": tones.LASER,
    "bell": struck.BELL,
    "guitar": struck.GUITAR,
    "alarm": alarms.ALARM,
    "drums": rhythm.DRUMS,
    "clock": rhythm.CLOCK,
    "wind": weather.WIND,
    "rain": weather.RAIN,
    "thunder": weather.THUNDER,
    "birds": animals.BIRDS,
    "engine": machines.ENGINE,
}

LEVEL_A: tuple[str, ...] = (
    "tone",
    "sweep",
    "siren",
    "laser",
    "bell",
    "guitar",
    "alarm",
    "drums",
    "clock",
    "wind",
    "rain",
    "thunder",
    "birds",
    "engine",
)
LEVEL_B: tuple[str, ...] = tuple(KINDS)

# Words that join others and name no sound.
_JOINING = words("a an the of on in its it is are that with and to around by up down one off long held plays play goes")


def known_words(kinds: Sequence[str] = LEVEL_A) -> frozenset[str]:
    """The words, in lower case, by which captions of `kinds` tell what is heard; joining words are left out."""
    found = {
        word
        for name in kinds
        for split in SPLITS
        for text in wordings(KINDS[name].wording(split))
        for word in words(text)
    }
    return frozenset(found - frame_words() - _JOINING)


def describe(kinds: Sequence[str] = LEVEL_A) -> list[tuple[str, str, str]]:
    """For each of `kinds` its name, what it is, and a prompt to try."""
    return [(name, KINDS[name].title, _prompt(KINDS[name])) for name in kinds]


def _prompt(kind: Kind) -> str:
    """A caption of `kind` that tells as much as any, with the first word of every slot."""
    template = max(kind.train.things, key=lambda thing: thing.count("{"))
    first = {slot: next(iter(table.values()))[0] for slot, (_, table) in SLOTS.items()}
    return with_articles(template.format(**first))
