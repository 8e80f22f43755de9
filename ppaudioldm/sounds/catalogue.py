"""All sound classes by name, the words that captions name them by, and a list of them for the user."""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.sounds import alarms, animals, machines, music, percussive, resonant, rhythm, tones, water, weather
from ppaudioldm.sounds.captions import SLOTS, SPLITS, frame_words, with_articles, wordings, words
from ppaudioldm.sounds.kind import Kind
from ppaudioldm.sounds.pairs import Pair, pair_kinds

SINGLE_KINDS: dict[str, Kind] = {
    "tone": tones.TONE,
    "sweep": tones.SWEEP,
    "siren": tones.SIREN,
    "laser": tones.LASER,
    "bell": resonant.BELL,
    "guitar": resonant.GUITAR,
    "alarm": alarms.ALARM,
    "drums": rhythm.DRUMS,
    "clock": rhythm.CLOCK,
    "wind": weather.WIND,
    "rain": weather.RAIN,
    "thunder": weather.THUNDER,
    "birds": animals.BIRDS,
    "engine": machines.ENGINE,
    "note": music.NOTE,
    "chord": music.CHORD,
    "organ": music.ORGAN,
    "whistle": music.WHISTLE,
    "xylophone": resonant.XYLOPHONE,
    "chimes": resonant.CHIMES,
    "beeps": alarms.BEEPS,
    "telephone": alarms.TELEPHONE,
    "dialling": alarms.DIALLING,
    "horn": alarms.HORN,
    "hats": percussive.HATS,
    "claps": percussive.CLAPS,
    "applause": percussive.APPLAUSE,
    "heart": percussive.HEART,
    "steps": percussive.STEPS,
    "knocks": percussive.KNOCKS,
    "waves": water.WAVES,
    "bubbles": water.BUBBLES,
    "drips": water.DRIPS,
    "fire": water.FIRE,
    "crickets": animals.CRICKETS,
    "bee": animals.BEE,
    "frog": animals.FROG,
    "helicopter": machines.HELICOPTER,
    "train": machines.TRAIN,
}
KINDS: dict[str, Kind] = SINGLE_KINDS | pair_kinds(SINGLE_KINDS)

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

# Words of captions that do not name a sound by themselves.
_NAMELESS = words("""
    a an the of on in its it is are that with and to at into onto through around by up down one off over along
    acoustic alone angry being breeze coming drives exactly follows forest garden goes going hangs held house into kit
    long loud morning night old only open closed overhead path people person plays play played playing porch rise rising
    roof runs sandy science sky somebody something space steady strike strikes struck summer trees typed wall window
""") | {word for _, table in SLOTS.values() for synonyms in table.values() for text in synonyms for word in words(text)}


def known_words(kinds: Sequence[str] = LEVEL_A) -> frozenset[str]:
    """The words, in lower case, by which captions of `kinds` name sounds: "bell" and "rings", but not "loud"."""
    found = {
        word
        for name in kinds
        if name in SINGLE_KINDS
        for split in SPLITS
        for text in wordings(KINDS[name].wording(split))
        for word in words(text)
    }
    return frozenset(found - set().union(*(frame_words(split) for split in SPLITS)) - _NAMELESS)


def describe(kinds: Sequence[str] = LEVEL_A) -> list[tuple[str, str, str]]:
    """For each of `kinds` its name, its title and an example prompt."""
    return [(name, KINDS[name].title, _prompt(KINDS[name])) for name in kinds]


def _prompt(kind: Kind) -> str:
    """The noun phrase of `kind` with the most slots, each filled with its first synonym."""
    if isinstance(kind, Pair):
        first, second = (_prompt(kind.components[name]) for name in ("bell", "rain"))
        return kind.train.noun_phrases[0].format(first=first, second=second)
    template = max(kind.train.noun_phrases, key=lambda phrase: phrase.count("{"))
    first_synonyms = {slot: next(iter(table.values()))[0] for slot, (_, table) in SLOTS.items()}
    return with_articles(template.format(**first_synonyms))
