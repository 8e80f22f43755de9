"""Datasets of captioned clips, by index: those of `ppaudioldm.sounds`, or the user's recordings (`recordings.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.audio.mel import log_mel

HOP_LENGTH = 160  # samples a mel frame


@dataclass(frozen=True)
class CaptionedClip:
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    caption: str
    kind: str = ""  # of sound, known for those of `ppaudioldm.sounds`


# The clip of an index 0, 1, ... without end: a pure function. Its repr names the file of encoded clips.
Dataset = Callable[[int], CaptionedClip]


@runtime_checkable
class HasHeldOut(Protocol):
    """A dataset that has a held-out split."""

    def held_out(self) -> Dataset: ...


@dataclass(frozen=True)
class SynthesisedClips:
    """Clips of `ppaudioldm.sounds`. kinds: () for all. split: "train" or "test". language: None for either."""

    duration: float  # seconds
    kinds: tuple[str, ...] = ()
    split: str = "train"
    language: str | None = None  # of the captions, "en" or "zh"

    def __call__(self, number: int) -> CaptionedClip:
        from ppaudioldm.sounds.clips import example
        from ppaudioldm.sounds.collection import KINDS

        clip = example(number, self.kinds or KINDS, self.duration, self.split, self.language)
        return CaptionedClip(clip.waveform, clip.caption, clip.kind)

    def held_out(self) -> SynthesisedClips:
        return replace(self, split="test")


def held_out_of(clips: Dataset) -> Dataset:
    """The held-out split of `clips`, or `clips` itself if it has none."""
    return clips.held_out() if isinstance(clips, HasHeldOut) else clips


def mel_of(clip: CaptionedClip) -> np.ndarray:
    """The log-mel spectrogram (frames, 64) of `clip`, one frame for every whole 10 ms."""
    return log_mel(clip.waveform)[: len(clip.waveform) // HOP_LENGTH]


@dataclass(frozen=True)
class ClipFeatures:
    """What the frozen encoders of the joint stage take: mel (frames, 64), fbank (fbank_frames, 128), and the caption.

    fbank_frames: 0 for none. It pickles where `clips` does, and imports no framework.
    """

    clips: Dataset
    fbank_frames: int

    def __call__(self, number: int) -> dict[str, Any]:
        clip = self.clips(number)
        fbank = {"fbank": audiomae_fbank(clip.waveform, self.fbank_frames)} if self.fbank_frames else {}
        return {"caption": clip.caption.encode(), "mel": mel_of(clip), **fbank}


def seeded_rng(*numbers: int) -> np.random.Generator:
    """A random number generator that depends on `numbers` alone, on every platform."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(numbers)))
