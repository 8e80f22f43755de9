"""Text to speech of any length: cut into pieces that fit one generation, each spoken, and joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.stretch import stretched
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.options import ProgressCallback, as_share, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.registry import SPEAKER, TASKS
from ppaudioldm.tasks.running import task_function
from ppaudioldm.text.language import warn_of_other_language
from ppaudioldm.text.phonemes import MAX_PHONEMES, split_text, to_phonemes

PHONEMES_PER_SECOND = 14  # of an unhurried speaker of American English, spaces and stress marks included
FEWEST_PHONEMES = 30  # in a piece, however short it is to be: a few words
PAUSE_S = 0.2  # seconds of silence between pieces
# Silence: frames more than 40 dB below the loudest one, or those of faint noise, which models generate that were
# trained on recordings with noise: up to twice the level of the clip's quietest tenth, but more than 30 dB below the
# loudest one.
FRAME_S = 0.02
SILENCE = 0.01
QUIETEST = 0.1
NOISE = 2.0
LOUDEST_NOISE = 0.03
MARGIN_S = 0.06  # seconds kept around what is not silent


@task_function("speak")
def speak(
    pipeline: AudioLDM,
    text: str,
    *,
    speaker: str = SPEAKER,
    phonemes: bool = False,
    speed: float = 1.0,
    seed: int | None = None,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Clip:
    """`text`, of any length, spoken by `speaker`, a description.

    phonemes: the text is phonemes as espeak writes them, not words. speed: 1/4 to 4, without a change of pitch; 2 takes
    half the time. A text in another language than English, and a speaker that the checkpoint does not know, get one
    warning each. settings: of `AudioLDM.generate`; the duration is that of each piece that the text is cut into:
    checkpoints were trained on 10 seconds. Silence before and behind the words is removed. The pieces have the same
    speaker, seed and settings; the clip's score is the mean of theirs. progress: called after every step, as one of the
    steps of all pieces. `Cancelled` and `Interrupted` carry the pieces that were complete, joined.
    Raises ValueError for a checkpoint that does not speak, or as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["speak"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, speaker, has_audio=False)
    encoder = pipeline.config.phoneme_encoder
    assert encoder is not None
    TASKS["speak"].parameter("speed").checked(speed)
    duration = pipeline.default_duration if options.duration is None else options.duration
    options = replace(options, duration=duration)
    assert seed is not None  # `task_function` draws one
    # An empty text is one empty piece, for which generate raises the error.
    pieces = cut(text if phonemes else to_phonemes(text), duration, encoder.max_phonemes) or [""]
    if not phonemes:
        warn_of_other_language(text)
    pipeline.warn_of_unknown_sounds([speaker])
    clips: list[Clip] = []
    try:
        for index, piece in enumerate(pieces):
            share = as_share(progress, index, len(pieces))
            clips.append(pipeline.generate(speaker, options, phonemes=piece, seed=seed, progress=share, **settings))
    except (Cancelled, Interrupted) as stopped:
        complete = [*clips, stopped.clip] if stopped.clip else clips
        stopped.clip = _result(complete, seed, speed) if complete else None
        raise
    return _result(clips, seed, speed)


def plan(
    recording: None, duration: float | None, config: ModelConfig | None, text: str, phonemes: bool, speed: float
) -> float | None:
    """None: the length follows from the text. Raises ValueError for a text without words, or a missing phonemizer."""
    if not phonemes:
        to_phonemes(text)
    return None


def _result(clips: list[Clip], seed: int, speed: float) -> Clip:
    """The clips as one, at `speed`."""
    # A chosen candidate's seed generates it again alone; several pieces share that of the first candidate only.
    clip = replace(joined(clips), seeds=clips[0].seeds if len(clips) == 1 else (seed,))
    if speed == 1:
        return clip
    return replace(clip, waveforms=stretched(clip.waveforms[0], clip.sample_rate, 1 / speed)[None])


def cut(phonemes: str, duration: float, most: int = MAX_PHONEMES) -> list[str]:
    """`phonemes` in pieces that take up to `duration` seconds to say, and fit the encoder with the end symbol."""
    in_time = max(FEWEST_PHONEMES, int(PHONEMES_PER_SECOND * duration))
    return [piece for piece in split_text(phonemes, min(in_time, most - 1)) if any(map(str.isalpha, piece))]


def joined(clips: list[Clip]) -> Clip:
    """One clip of `clips` in a row, without the silence around each, a short pause between them."""
    rate = clips[0].sample_rate
    pause = np.zeros(round(PAUSE_S * rate), np.float32)
    pieces = [trimmed(clips[0].waveforms[0], rate)]
    for clip in clips[1:]:
        pieces += [pause, trimmed(clip.waveforms[0], rate)]
    scores = [clip.scores[0] for clip in clips if clip.scores]
    return replace(
        clips[0],
        waveforms=np.concatenate(pieces)[None],
        scores=(float(np.mean(scores)),) if scores else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in clips[0].seconds},
        candidates=None,  # of several pieces there are none
        candidate_scores=None,
    )


def trimmed(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """`waveform` (samples,) without the silence at its ends; as it is if it is all silent."""
    size = round(FRAME_S * sample_rate)
    count = -(-len(waveform) // size)
    frames = np.pad(waveform.astype(np.float64), (0, count * size - len(waveform))).reshape(count, size)
    level = np.sqrt((frames**2).mean(1))
    noise = min(NOISE * float(np.quantile(level, QUIETEST)), LOUDEST_NOISE * level.max())
    loud = np.flatnonzero(level > max(SILENCE * level.max(), noise))
    if not len(loud):
        return waveform
    margin = round(MARGIN_S * sample_rate)
    return waveform[max(0, loud[0] * size - margin) : (loud[-1] + 1) * size + margin]
