"""A kind of sound: how the facts of a clip are drawn, how the clip is made of them, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppaudioldm.sounds.bank import Bank, Recording
from ppaudioldm.sounds.signals import Generator
from ppaudioldm.sounds.wording import Words

SAMPLE_RATE = 16000  # Hz
LEVEL_HOP_S = 0.01
Facts = dict[str, Any]  # plain values, as JSON has them


@dataclass(frozen=True)
class Material:
    """The recordings that clips of a split are made of.

    The split "test" uses the recordings that are held out, or where a kind has none of these, those of "train".
    """

    bank: Bank
    split: str
    _found: dict[str, tuple[Recording, ...]] = field(default_factory=dict, repr=False)
    _bodies: dict[tuple[str, str], tuple[float, float, int]] = field(default_factory=dict, repr=False)

    def recordings(self, kind: str) -> tuple[Recording, ...]:
        """The recordings of a kind of the bank. Raises ValueError for one that it does not have."""
        if kind not in self._found:
            self._found[kind] = self.bank.recordings(kind, self.split) or self.bank.recordings(kind)
        return self._found[kind]

    def notes(self, kind: str) -> tuple[Recording, ...]:
        """The notes of an instrument. The split "test" uses all: it needs a recording near each pitch."""
        return self.recordings(kind) if self.split == "train" else self.bank.recordings(kind)

    def draw(self, rng: Generator, *kinds: str, shortest_s: float = 0.0) -> Recording:
        """A random recording of one of `kinds`, all of which are as likely; none below `shortest_s` if others exist."""
        found = self.recordings(kinds[int(rng.integers(len(kinds)))])
        found = tuple(one for one in found if one.duration_s >= shortest_s) or found
        return found[int(rng.integers(len(found)))]

    def named(self, kind: str, name: str) -> Recording:
        """The recording of `kind` with this name."""
        return next(recording for recording in self.recordings(kind) if recording.name == name)

    def samples(self, recording: Recording) -> np.ndarray:
        """(samples,) float32 at SAMPLE_RATE."""
        return self.bank.samples(recording)

    def body(self, recording: Recording) -> tuple[float, float, int]:
        """When an event begins to be loud, how long it is, both in s, and how many bursts one would count in it."""
        key = recording.kind, recording.name
        if key not in self._bodies:
            level = levels(self.samples(recording))
            loud = np.flatnonzero(level > 0.1 * level.max(initial=1e-9))  # -20 dB
            first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)
            self._bodies[key] = first * LEVEL_HOP_S, (last - first + 2) * LEVEL_HOP_S, bursts(level)
        return self._bodies[key]


def bursts(level: np.ndarray) -> int:
    """How often `level` (frames of LEVEL_HOP_S,) comes within 9 dB of its maximum after it was 14 dB below."""
    smooth = np.convolve(level**2, np.ones(3) / 3, "same") ** 0.5
    count, armed = 0, True
    for value in smooth / max(1e-9, float(smooth.max(initial=0))):
        if armed and value > 0.355:
            count, armed = count + 1, False
        elif value < 0.2:
            armed = True
    return count


def levels(sound: np.ndarray) -> np.ndarray:
    """The root mean square of `sound` (samples,) in each LEVEL_HOP_S, at least one."""
    size = int(LEVEL_HOP_S * SAMPLE_RATE)
    frames = np.pad(sound, (0, -len(sound) % size or (0 if len(sound) else size))).reshape(-1, size)
    return np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))


@dataclass(frozen=True)
class Kind:
    """A kind of sound.

    draw: (rng, material, duration in s) -> the facts of a clip, from which its caption follows.
    render: (rng, material, facts, duration in s) -> (samples,) float32 at SAMPLE_RATE, at any level.
    lasting: it goes on as long as the clip, so that it may be the background of another sound.
    placeable: it may be near or far, loud or soft, and captions may say so.
    """

    words: Words
    draw: Callable[[Generator, Material, float], Facts]
    render: Callable[[Generator, Material, Facts, float], np.ndarray]
    lasting: bool = False
    placeable: bool = True
