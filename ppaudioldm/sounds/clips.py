"""Clips with captions for training and evaluation, each a function of its number: sound, caption and facts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ppaudioldm.sounds.bank import Bank, open_bank
from ppaudioldm.sounds.collection import KINDS, SINGLE_KINDS
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.kinds.pairs import PAIRS, SEQUENCE, draw_pair, render_pair
from ppaudioldm.sounds.processing import placed, without_offset
from ppaudioldm.sounds.signals import Generator, uniform
from ppaudioldm.sounds.wording import LANGUAGES, SPLITS, caption, describe, modified, with_articles
from ppaudioldm.sounds.words import pairs as pair_words

DURATION_S = 5.12
PAIR_SHARE = 0.25  # of the clips, where both single kinds and pairs are asked for
FLOOR_DB = (-65.0, -55.0)  # of full scale, root mean square: no clip is digitally silent anywhere
# The peak of a clip in dB of full scale, by what captions say of it.
PEAK_DB = {
    "": (-12.0, -2.0),
    "near": (-6.0, -2.0),
    "far": (-26.0, -18.0),
    "loud": (-3.0, -1.0),
    "soft": (-30.0, -22.0),
    "light": (-24.0, -14.0),
    "heavy": (-8.0, -2.0),
}
DISTANCE_SHARE, LOUDNESS_SHARE = 0.16, 0.14  # of the clips that may have them
MODIFYING = frozenset({"distance", "loudness"})  # facts that are said by words around a description


@dataclass(frozen=True)
class Example:
    """One clip. waveform: (samples,) float32 at SAMPLE_RATE. kind: a name in KINDS. language: "en" or "zh".

    parameters: what is known of the clip, all of which captions say holds, as plain values: see the kinds. Common ones:
    onsets (s), count, speed, pitch, hertz, note, octave, notes (MIDI numbers), direction, strength, distance, loudness;
    of two sounds first, second, first_parameters, second_parameters and, where one follows the other, switch (s).
    says: the names of those parameters that the caption states; of two sounds none is named.
    """

    waveform: np.ndarray
    caption: str
    kind: str
    language: str
    parameters: Facts
    says: frozenset[str] = frozenset()


def example(
    index: int,
    kinds: Sequence[str] = KINDS,
    duration: float = DURATION_S,
    split: str = "train",
    language: str | None = None,
    seed: int = 0,
    bank: Bank | None = None,
    components: Sequence[str] = (),
) -> Example:
    """Example number `index` of `kinds`, `duration` seconds long: the same for the same arguments.

    language: of the caption; None draws one. The sound of an index is the same in both. A kind that is listed twice
    comes twice as often. bank: the recordings, by default those of the repository. components: the single kinds that
    pairs of sounds are made of, by default those among `kinds`; all where fewer than two are left.
    The splits "train" and "test" share no clip and no caption template, and where a kind has enough, no recording.
    Raises ValueError for an unknown kind, split or language, a negative number, or a duration outside 1 to 60 seconds.
    """
    drawn = _drawn(index, kinds, duration, split, language, seed, bank, components)
    waveform = _waveform(drawn.rng, drawn.material, drawn.kind, drawn.facts, duration)
    return Example(waveform, drawn.caption, drawn.kind, drawn.language, _in_clip_time(drawn.facts), drawn.says)


def captions(
    count: int,
    kinds: Sequence[str] = KINDS,
    duration: float = DURATION_S,
    split: str = "train",
    language: str | None = None,
    seed: int = 0,
    bank: Bank | None = None,
) -> Iterator[str]:
    """The captions of the examples 0 to `count` - 1, without making their sounds."""
    for index in range(count):
        yield _drawn(index, kinds, duration, split, language, seed, bank).caption


def paraphrases(
    index: int, kinds: Sequence[str] = KINDS, duration: float = DURATION_S, split: str = "train", seed: int = 0
) -> tuple[str, str]:
    """Two captions of example number `index`, each in words and a language of its own, without making its sound."""
    drawn = _drawn(index, kinds, duration, split, None, seed, None)
    words_rng = np.random.default_rng([seed, SPLITS.index(split), index, zlib.crc32(b"paraphrases")])
    languages = [LANGUAGES[number] for number in words_rng.integers(len(LANGUAGES), size=2)]
    first, second = (_caption(words_rng, drawn.kind, drawn.facts, language, split)[0] for language in languages)
    return first, second


def facts(index: int, kind: str, duration: float = DURATION_S, split: str = "train") -> Facts:
    """The parameters of example number `index` of a kind, without making its sound."""
    return _in_clip_time(_drawn(index, (kind,), duration, split, None, 0, None).facts)


@dataclass(frozen=True)
class _Drawn:
    """An example without its sound, which `rng` continues to draw from `material`."""

    kind: str
    facts: Facts
    language: str
    caption: str
    says: frozenset[str]
    rng: Generator
    material: Material


def _drawn(
    index: int,
    kinds: Sequence[str],
    duration: float,
    split: str,
    language: str | None,
    seed: int,
    bank: Bank | None,
    components: Sequence[str] = (),
) -> _Drawn:
    """What `example` describes."""
    _check(index, [*kinds, *components] if kinds else kinds, duration, split, language, seed)
    material = Material(bank, split) if bank else _default_material(split)
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    kind, facts = _draw(rng, material, kinds, duration, components or kinds)
    # Other random numbers for the captions of each kind, and none of those that the sound depends on.
    words_rng = np.random.default_rng([seed, SPLITS.index(split), index, zlib.crc32(kind.encode())])
    language = language or LANGUAGES[int(words_rng.integers(len(LANGUAGES)))]
    text, says = _caption(words_rng, kind, facts, language, split)
    return _Drawn(kind, facts, language, text, says, rng, material)


@lru_cache(maxsize=len(SPLITS))
def _default_material(split: str) -> Material:
    return Material(_default_bank(), split)


@lru_cache(maxsize=1)
def _default_bank() -> Bank:
    return open_bank()


# ---- Facts


def _draw(
    rng: Generator, material: Material, kinds: Sequence[str], duration: float, components: Sequence[str]
) -> tuple[str, Facts]:
    name = _draw_kind(rng, kinds)
    if name in PAIRS:
        parts = {kind: SINGLE_KINDS[kind] for kind in dict.fromkeys(components) if kind not in PAIRS}
        return name, draw_pair(rng, material, name, parts if len(parts) > 1 else SINGLE_KINDS, duration)
    kind = SINGLE_KINDS[name]
    facts = kind.draw(rng, material, duration)
    return name, facts | _placement(rng, kind, facts)


def _draw_kind(rng: Generator, kinds: Sequence[str]) -> str:
    singles, pairs = [name for name in kinds if name not in PAIRS], [name for name in kinds if name in PAIRS]
    wanted = pairs if pairs and (not singles or rng.uniform() < PAIR_SHARE) else singles
    return wanted[int(rng.integers(len(wanted)))]


def _placement(rng: Generator, kind: Kind, facts: Facts) -> Facts:
    """Where the sound is, or how loud; mostly neither is said."""
    place, distance, loudness = (
        rng.uniform(),
        ("near", "far")[int(rng.integers(2))],
        ("loud", "soft")[int(rng.integers(2))],
    )
    if not kind.placeable or place > DISTANCE_SHARE + LOUDNESS_SHARE:
        return {}
    if place < DISTANCE_SHARE:
        return {"distance": distance}
    return {} if "strength" in facts else {"loudness": loudness}


def _in_clip_time(facts: Facts) -> Facts:
    """`facts` with the onsets of a second sound counted from the beginning of the clip."""
    second = facts.get("second_parameters")
    if not second or "switch" not in facts:
        return facts
    onsets = [facts["switch"] + onset for onset in second.get("onsets", [])]
    return facts | {"second_parameters": second | ({"onsets": onsets} if onsets else {})}


# ---- Sound


def _waveform(rng: Generator, material: Material, name: str, facts: Facts, duration: float) -> np.ndarray:
    if name in PAIRS:
        sound = render_pair(rng, material, name, SINGLE_KINDS, facts, duration)
    else:
        sound = SINGLE_KINDS[name].render(rng, material, facts, duration)
    sound = without_offset(placed(rng, sound, facts.get("distance", ""), SAMPLE_RATE), SAMPLE_RATE)
    said = next((facts[fact] for fact in ("distance", "loudness", "strength") if fact in facts), "")
    level = 10 ** (uniform(rng, *PEAK_DB[said]) / 20) / max(1e-9, float(np.max(np.abs(sound))))
    hiss = rng.standard_normal(len(sound), dtype=np.float32)
    return np.float32(level) * sound + np.float32(10 ** (uniform(rng, *FLOOR_DB) / 20)) * hiss


# ---- Caption


def _caption(rng: Generator, name: str, facts: Facts, language: str, split: str) -> tuple[str, frozenset[str]]:
    """A caption, and the facts that it states."""
    if name in PAIRS:
        return caption(rng, *_describe_pair(rng, name, facts, language, split), language, split), frozenset()
    text, is_noun, says = describe(rng, SINGLE_KINDS[name].words, facts, language, split)
    text = modified(rng, text, is_noun, facts, language)
    return caption(rng, text, is_noun, language, split), says | (MODIFYING & facts.keys())


def _describe_pair(rng: Generator, name: str, facts: Facts, language: str, split: str) -> tuple[str, bool]:
    templates = (pair_words.SEQUENCE if name == SEQUENCE else pair_words.TOGETHER)[language][split]
    template = templates[int(rng.integers(len(templates)))]
    parts = {
        place: describe(
            rng,
            SINGLE_KINDS[facts[place]].words,
            facts[f"{place}_parameters"],
            language,
            split,
            form=template[0],
        )
        for place in ("first", "second")
    }
    text = with_articles(template[2:].format(**{place: text for place, (text, *_) in parts.items()}))
    # A frame such as "the sound of ..." suits only nouns, and no "first ..., then ...".
    return text, template[2] == "{" and all(described.is_noun for described in parts.values())


def _check(index: int, kinds: Sequence[str], duration: float, split: str, language: str | None, seed: int) -> None:
    unknown = [name for name in kinds if name not in KINDS]
    if unknown or not kinds:
        raise ValueError(f"unknown kind of sound {(unknown or [''])[0]!r}, choose from {', '.join(KINDS)}")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, choose from {', '.join(SPLITS)}")
    if language is not None and language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, choose from {', '.join(LANGUAGES)}")
    for name, value in (("index", index), ("seed", seed)):
        if value < 0:
            raise ValueError(f"{name} is {value}, allowed: 0 or more")
    if not (math.isfinite(duration) and 1 <= duration <= 60):
        raise ValueError(f"duration is {duration}, allowed: 1 to 60 seconds")
