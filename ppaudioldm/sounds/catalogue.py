"""All kinds of sound by name, the words that tell of them, and a list to show."""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.sounds import alarms, animals, machines, music, rhythm, strikes, struck, tones, water, weather
from ppaudioldm.sounds.captions import SLOTS, SPLITS, frame_words, with_articles, wordings, words
from ppaudioldm.sounds.kind import Kind
from ppaudioldm.sounds.pairs import Pair, pair_kinds

SINGLE_KINDS: dict[str, Kind] = {
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
    "note": music.NOTE,
    "chord": music.CHORD,
    "organ": music.ORGAN,
    "whistle": music.WHISTLE,
    "xylophone": struck.XYLOPHONE,
    "chimes": struck.CHIMES,
    "beeps": alarms.BEEPS,
    "telephone": alarms.TELEPHONE,
    "dialling": alarms.DIALLING,
    "horn": alarms.HORN,
    "hats": strikes.HATS,
    "claps": strikes.CLAPS,
    "applause": strikes.APPLAUSE,
    "heart": strikes.HEART,
    "steps": strikes.STEPS,
    "knocks": strikes.KNOCKS,
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

# Words of captions that name no sound by themselves.
_NAMELESS = words("""
    a an the of on in its it is are that with and to at into onto through around by up down one off over along
    acoustic alone angry being breeze coming drives exactly follows forest garden goes going hangs held house into kit
    long loud morning night old only open closed overhead path people person plays play played playing porch rise rising
    roof runs sandy science sky somebody something space steady strike strikes struck summer trees typed wall window
""") | {word for _, table in SLOTS.values() for synonyms in table.values() for text in synonyms for word in words(text)}


def known_words(kinds: Sequence[str] = LEVEL_A) -> frozenset[str]:
    """The words, in lower case, by which captions of `kinds` name what is heard: "bell", "rings", but not "loud"."""
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
    """For each of `kinds` its name, what it is, and a prompt to try."""
    return [(name, KINDS[name].title, _prompt(KINDS[name])) for name in kinds]


def _prompt(kind: Kind) -> str:
    """A caption of `kind` that tells as much as any, with the first word of every slot."""
    if isinstance(kind, Pair):
        first, second = (_prompt(kind.parts[name]) for name in ("bell", "rain"))
        return kind.train.things[0].format(first=first, second=second)
    template = max(kind.train.things, key=lambda thing: thing.count("{"))
    fillings = {slot: next(iter(table.values()))[0] for slot, (_, table) in SLOTS.items()}
    return with_articles(template.format(**fillings))
