"""Sounds with captions, by number: synthesised here, or a user's recordings (`recordings.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from ppaudioldm.audio.mel import log_mel

HOP = 160  # samples a mel frame


@dataclass(frozen=True)
class Clip:
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    caption: str
    kind: str = ""  # of a synthesised one


# The clip of a number, always the same.
Clips = Callable[[int], Clip]


@runtime_checkable
class HasHeldOut(Protocol):
    def held_out(self) -> Clips: ...


@dataclass(frozen=True)
class SynthesisedClips:
    """Clips of `training.sounds`. kinds: () for all that the small model is trained on. split: "train" or "test"."""

    duration: float  # seconds
    kinds: tuple[str, ...] = ()
    split: str = "train"

    def __call__(self, number: int) -> Clip:
        from ppaudioldm import sounds

        example = sounds.example(number, self.kinds or sounds.LEVEL_A, self.duration, self.split)
        return Clip(example.waveform, example.caption, example.kind)

    def held_out(self) -> SynthesisedClips:
        return replace(self, split="test")


def held_out_of(clips: Clips) -> Clips:
    """Clips of the same source that are kept for measures; a plain function has no others."""
    return clips.held_out() if isinstance(clips, HasHeldOut) else clips


def mel_of(clip: Clip) -> np.ndarray:
    """The log-mel spectrogram (frames, 64) of `clip`, one frame for every whole 10 ms."""
    return log_mel(clip.waveform)[: len(clip.waveform) // HOP]


def generator_of(*numbers: int) -> np.random.Generator:
    """Random numbers that depend on `numbers` alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(numbers)))
