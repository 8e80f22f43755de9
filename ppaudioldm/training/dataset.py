"""Datasets of captioned clips, by index: those of `ppaudioldm.sounds`, or the user's recordings (`recordings.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.errors import shown

HOP_LENGTH = 160  # samples a mel frame
SPOKEN_CLIPS = 1500  # different ones for the stages that take more clips a second than flite speaks
SYNTHESISED = ("sounds", "speech")


@dataclass(frozen=True)
class CaptionedClip:
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    caption: str
    kind: str = ""  # of sound or speaker, known for those of `ppaudioldm.sounds`
    phonemes: str = ""  # of what is said, in a spoken clip
    phoneme_times: np.ndarray | None = None  # as `alignment.phoneme_times` has them


# The clip of an index 0, 1, ... without end: a pure function. Its repr names the file of encoded clips.
Dataset = Callable[[int], CaptionedClip]


@runtime_checkable
class HasHeldOut(Protocol):
    """A dataset that has a held-out split."""

    def held_out(self) -> Dataset: ...


@runtime_checkable
class HasParaphrases(Protocol):
    """A dataset that has two captions of each clip."""

    def paraphrases(self, number: int) -> tuple[str, str]: ...


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

    def paraphrases(self, number: int) -> tuple[str, str]:
        from ppaudioldm.sounds.clips import paraphrases
        from ppaudioldm.sounds.collection import KINDS

        return paraphrases(number, self.kinds or KINDS, self.duration, self.split)

    def held_out(self) -> SynthesisedClips:
        return replace(self, split="test")


@dataclass(frozen=True)
class SpokenClips:
    """Clips of `ppaudioldm.sounds.speech`, which need the program flite; the caption describes the speaker.

    speakers: () for all. split: "train" or "test". variation: share of the clips at another pitch. count: of
    different clips, which are kept in memory and repeat; 0: no clip repeats.
    """

    duration: float  # seconds
    speakers: tuple[str, ...] = ()
    split: str = "train"
    variation: float = 0.2
    count: int = 0
    _kept: dict[int, CaptionedClip] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, number: int) -> CaptionedClip:
        if not self.count:
            return self._synthesise(number)
        number %= self.count
        if number not in self._kept:
            clip = self._synthesise(number)
            self._kept[number] = replace(clip, waveform=clip.waveform.astype(np.float16))
        clip = self._kept[number]
        return replace(clip, waveform=clip.waveform.astype(np.float32))

    def _synthesise(self, number: int) -> CaptionedClip:
        from ppaudioldm.sounds.speech.alignment import phoneme_times
        from ppaudioldm.sounds.speech.clips import spoken_clip
        from ppaudioldm.sounds.speech.speakers import SPEAKERS
        from ppaudioldm.text.phonemes import to_phonemes

        clip = spoken_clip(number, self.duration, self.split, self.speakers or tuple(SPEAKERS), self.variation)
        phonemes = to_phonemes(clip.text)
        times = phoneme_times(phonemes, clip.phones)
        return CaptionedClip(clip.waveform, clip.description, clip.speaker, phonemes, times)

    def held_out(self) -> SpokenClips:
        return replace(self, split="test")


def synthesised_clips(
    what: str, duration: float, kinds: tuple[str, ...], spoken_count: int = 0
) -> SynthesisedClips | SpokenClips:
    """The clips to train on where there are no recordings.

    what: one of SYNTHESISED. kinds: of sound, or speakers. spoken_count: of different spoken clips, 0: no clip repeats.
    """
    return SpokenClips(duration, kinds, count=spoken_count) if what == "speech" else SynthesisedClips(duration, kinds)


def check_synthesised(what: str, kinds: tuple[str, ...]) -> None:
    """Raise ValueError if `what` is none of SYNTHESISED, or "speech" and `kinds` are no speakers."""
    from ppaudioldm.sounds.speech.speakers import SPEAKERS

    if what not in SYNTHESISED:
        raise ValueError(f"synthesised is {shown(what)}, allowed: {', '.join(SYNTHESISED)}")
    unknown = [kind for kind in kinds if kind not in SPEAKERS]
    if what == "speech" and unknown:
        raise ValueError(f'kinds has {shown(unknown[0])}, allowed with synthesised = "speech": {", ".join(SPEAKERS)}')


def kinds_of(clips: Dataset) -> tuple[str, ...]:
    """The kinds of sound, or the speakers, of synthesised clips; () for others."""
    if isinstance(clips, SpokenClips):
        from ppaudioldm.sounds.speech.speakers import SPEAKERS

        return clips.speakers or tuple(SPEAKERS)
    if isinstance(clips, SynthesisedClips):
        from ppaudioldm.sounds.collection import KINDS

        return clips.kinds or KINDS
    return ()


def held_out_of(clips: Dataset) -> Dataset:
    """The held-out split of `clips`, or `clips` itself if it has none."""
    return clips.held_out() if isinstance(clips, HasHeldOut) else clips


def paraphrases_of(clips: Dataset) -> Callable[[int], tuple[str, str]] | None:
    """Two captions of each clip by its number, None where clips have one caption each."""
    return clips.paraphrases if isinstance(clips, HasParaphrases) else None


def mel_of(clip: CaptionedClip) -> np.ndarray:
    """The log-mel spectrogram (frames, 64) of `clip`, one frame for every whole 10 ms."""
    return log_mel(clip.waveform)[: len(clip.waveform) // HOP_LENGTH]


@dataclass(frozen=True)
class ClipFeatures:
    """What the joint stage uses of a clip: mel (frames, 64), fbank (fbank_frames, 128), caption, phonemes, their times.

    fbank_frames: 0 for none. It pickles where `clips` does, and imports no framework.
    """

    clips: Dataset
    fbank_frames: int

    def __call__(self, number: int) -> dict[str, Any]:
        clip = self.clips(number)
        fbank = {"fbank": audiomae_fbank(clip.waveform, self.fbank_frames)} if self.fbank_frames else {}
        spoken = {"phonemes": clip.phonemes, "phoneme_times": clip.phoneme_times}
        return {"caption": clip.caption.encode(), "mel": mel_of(clip), **spoken, **fbank}


def seeded_rng(*numbers: int) -> np.random.Generator:
    """A random number generator that depends on `numbers` alone, on every platform."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(numbers)))
