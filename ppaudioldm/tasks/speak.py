"""Text to speech of any length: cut into pieces that a checkpoint can say, each said, and joined."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.checkpoints import speech_names
from ppaudioldm.generation.options import Options, ProgressCallback, as_part
from ppaudioldm.pipeline import AudioLDM, Cancelled, Clip, Interrupted
from ppaudioldm.text.phonemes import MAX_PHONEMES, split_text, to_phonemes

SPEAKER = "A female reporter is speaking"
PHONEMES_PER_SECOND = 14  # as an unhurried speaker of American English says, with spaces and stress marks
FEWEST_PHONEMES = 30  # a piece holds a few words, however short it is to be
PAUSE = 0.2  # seconds between pieces
# Silence: more than 40 dB below the loudest frame.
FRAME = 0.02  # seconds
SILENCE = 0.01
MARGIN = 0.06  # seconds kept around what is not silent


def speak(
    pipeline: AudioLDM,
    text: str,
    *,
    speaker: str = SPEAKER,
    phonemes: bool = False,
    duration: float | None = None,
    seed: int | None = None,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Clip:
    """`text`, said by `speaker`, of any length.

    phonemes: the text is phonemes as espeak writes them, not words. duration: seconds for each piece that the text is
    cut into; checkpoints were trained on 10. What is silent before and behind the words is cut off. The pieces have the
    same speaker, seed and further `settings` of `AudioLDM.generate`; the clip's score is the mean of theirs. progress:
    called after every step, as one of the steps of all pieces.
    `Cancelled` and `Interrupted` carry the pieces that were complete, joined.
    Raises ValueError for a checkpoint that does not speak, or as `AudioLDM.generate` does.
    """
    encoder = pipeline.config.phoneme_encoder
    if encoder is None:
        raise ValueError(f"{pipeline.checkpoint.name} does not speak, choose from {', '.join(speech_names())}")
    duration = pipeline.default_duration if duration is None else duration
    Options.from_preset(settings.get("preset", "fast"), duration=duration)  # the pieces depend on it
    seed = secrets.randbelow(2**32) if seed is None else seed
    # Of nothing, generate says what is wrong.
    pieces = cut(text if phonemes else to_phonemes(text), duration, encoder.max_phonemes) or [""]
    settings |= {"duration": duration, "seed": seed}
    clips: list[Clip] = []
    try:
        for part, piece in enumerate(pieces):
            shown = as_part(progress, part, len(pieces))
            clips.append(pipeline.generate(speaker, phonemes=piece, progress=shown, **settings))
    except (Cancelled, Interrupted) as stopped:
        complete = [*clips, stopped.clip] if stopped.clip else clips
        stopped.clip = _said(complete, seed) if complete else None
        raise
    return _said(clips, seed)


def _said(clips: list[Clip], seed: int) -> Clip:
    # The seed of a chosen candidate makes it again alone; for several pieces that is the first candidate's for all.
    return replace(joined(clips), seeds=clips[0].seeds if len(clips) == 1 else (seed,))


def cut(phonemes: str, duration: float, most: int = MAX_PHONEMES) -> list[str]:
    """`phonemes` in pieces that take up to `duration` seconds to say, and fit the encoder with the end symbol."""
    in_time = max(FEWEST_PHONEMES, int(PHONEMES_PER_SECOND * duration))
    return [piece for piece in split_text(phonemes, min(in_time, most - 1)) if any(map(str.isalpha, piece))]


def joined(clips: list[Clip]) -> Clip:
    """One clip of `clips` in a row, without the silence around each, a short pause between them."""
    rate = clips[0].sample_rate
    pause = np.zeros(round(PAUSE * rate), np.float32)
    parts = [trimmed(clips[0].waveforms[0], rate)]
    for clip in clips[1:]:
        parts += [pause, trimmed(clip.waveforms[0], rate)]
    scores = [clip.scores[0] for clip in clips if clip.scores]
    return replace(
        clips[0],
        waveforms=np.concatenate(parts)[None],
        scores=(float(np.mean(scores)),) if scores else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in clips[0].seconds},
        candidates=None,  # of several pieces there are none
        candidate_scores=None,
    )


def trimmed(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """`waveform` (samples,) without the silence at its ends; as it is if it is all silent."""
    size = round(FRAME * sample_rate)
    count = -(-len(waveform) // size)
    frames = np.pad(waveform.astype(np.float64), (0, count * size - len(waveform))).reshape(count, size)
    level = np.sqrt((frames**2).mean(1))
    loud = np.flatnonzero(level > SILENCE * level.max())
    if not len(loud):
        return waveform
    margin = round(MARGIN * sample_rate)
    return waveform[max(0, loud[0] * size - margin) : (loud[-1] + 1) * size + margin]
