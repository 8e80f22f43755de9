"""The sets of sounds with captions that can be evaluated: simple ones, and the collection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ppaudioldm.evaluation.choices import ALL, COLLECTION, LEVELS, MAX_CLIPS_PER_KIND, SIMPLE, SOUND_SETS

if TYPE_CHECKING:
    from ppaudioldm.pipeline import AudioLDM


class LabelledExample(Protocol):
    """A clip with its caption, as both sets have it.

    waveform: (samples,) float32 at 16 kHz. language: of the caption, "en" or "zh". parameters: plain facts of the clip.
    says: the names of those that the caption states.
    """

    @property
    def waveform(self) -> np.ndarray: ...
    @property
    def caption(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def says(self) -> frozenset[str]: ...


class MakeExample(Protocol):
    def __call__(self, index: int, kinds: Sequence[str], duration: float, split: str) -> LabelledExample:
        """Example number `index` of `kinds`, `duration` seconds long, of the split "train" or "test"."""
        ...


@dataclass(frozen=True)
class SoundSet:
    """kinds: all, pairs of sounds included. single_kinds: the others. levels: named choices of kinds.

    duration: seconds of a clip of the model that knows these sounds. first_numbers: kind -> the number of its first
    held-out clip. Where clips of one number draw the same random values in many kinds, as the notes of instruments do,
    each kind has numbers of its own.
    """

    name: str
    kinds: tuple[str, ...]
    single_kinds: tuple[str, ...]
    example: MakeExample
    duration: float
    levels: Mapping[str, tuple[str, ...]]
    first_numbers: Mapping[str, int]

    def choose(self, names: str) -> tuple[str, ...]:
        """The kinds of a level, or those that `names` lists with commas. Raises ValueError for an unknown one."""
        if names in self.levels:
            return self.levels[names]
        kinds = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
        self.check(kinds)
        return kinds

    def check(self, kinds: Sequence[str]) -> None:
        """Raises ValueError unless all of `kinds`, at least one, are of this set."""
        unknown = [kind for kind in kinds if kind not in self.kinds]
        if unknown or not kinds:
            raise ValueError(f"unknown kind of sound {(unknown or [''])[0]!r}, choose from {', '.join(self.kinds)}")

    def restricted(self, known: Collection[str]) -> SoundSet:
        """The part of this set that a checkpoint knows which was trained on the kinds `known`.

        Its pairs are of two sounds that are known. The clips of a single kind stay the same.
        Raises ValueError without any.
        """
        single_kinds = tuple(kind for kind in self.single_kinds if kind in known)
        # Pairs of the simple sounds are of any two.
        known = known if self.name == COLLECTION or single_kinds == self.single_kinds else single_kinds
        kinds = tuple(kind for kind in self.kinds if kind in known)
        if not single_kinds:
            raise ValueError(f"the checkpoint knows none of the sounds {self.name!r}: choose others with --sounds")
        levels = {name: tuple(kind for kind in level if kind in known) for name, level in self.levels.items()}
        example: MakeExample = self.example
        if self.name == COLLECTION:
            example = partial(bilingual_example, components=single_kinds)
        filled = {name: level for name, level in levels.items() if level}
        return replace(self, kinds=kinds, single_kinds=single_kinds, levels=filled, example=example)


def sound_set(name: str) -> SoundSet:
    """One of `choices.SOUND_SETS`. Raises ValueError for another name."""
    if name == SIMPLE:
        from ppaudioldm.sounds import KINDS, LEVEL_A, LEVEL_B, SINGLE_KINDS

        kinds, duration = tuple(KINDS), 2.56
        levels = {ALL: kinds} | dict(zip(LEVELS, (LEVEL_A, LEVEL_B), strict=True))
        return SoundSet(SIMPLE, kinds, tuple(SINGLE_KINDS), simple_example, duration, levels, dict.fromkeys(kinds, 0))
    if name == COLLECTION:
        from ppaudioldm.sounds import collection
        from ppaudioldm.sounds.clips import DURATION_S

        kinds, single_kinds = collection.KINDS, tuple(collection.SINGLE_KINDS)
        levels = {ALL: kinds} | {family: tuple(members) for family, members in collection.FAMILIES.items()}
        first_numbers = {kind: number * MAX_CLIPS_PER_KIND for number, kind in enumerate(kinds)}
        return SoundSet(COLLECTION, kinds, single_kinds, bilingual_example, DURATION_S, levels, first_numbers)
    raise ValueError(f"sounds are {name!r}, choose from {', '.join(SOUND_SETS)}")


def set_that_has(kinds: Collection[str]) -> str:
    """The name of the sound set that has the most of `kinds`, the first of those that have as many."""
    return max(SOUND_SETS, key=lambda name: len(set(sound_set(name).kinds) & set(kinds)))


def known_sound_set(pipeline: AudioLDM, name: str | None = None) -> SoundSet:
    """The sounds that the checkpoint of `pipeline` knows, of the set `name`; by default of the one with most of them.

    Raises ValueError for a checkpoint that does not say which it knows, or that knows none of that set.
    """
    known = pipeline.checkpoint.known_sounds
    if known is None:
        raise ValueError("the checkpoint does not say which sounds it knows")
    kinds = {sound.name for sound in known.sounds}
    return sound_set(name or set_that_has(kinds)).restricted(kinds)


def simple_example(index: int, kinds: Sequence[str], duration: float, split: str) -> LabelledExample:
    """An example of the simple sounds."""
    from ppaudioldm.sounds import example

    return example(index, kinds, duration, split)


def bilingual_example(
    index: int, kinds: Sequence[str], duration: float, split: str, components: Sequence[str] = ()
) -> LabelledExample:
    """An example of the collection, described in English where `index` is even, in Chinese where it is odd.

    components: the single kinds that pairs are made of; () for all.
    """
    from ppaudioldm.sounds.clips import example
    from ppaudioldm.sounds.wording import LANGUAGES

    return example(index, kinds, duration, split, LANGUAGES[index % len(LANGUAGES)], components=components)
