"""A clip whose end meets its start, of a prompt or of a recording."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.joins import FADE_S, fade_weights
from ppaudioldm.audio.recording import AudioSource, Recording, open_recording
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import MIN_DURATION, Options, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import regenerate, with_partial_result
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function

SEAM_S = 1.0  # seconds of a recording, around where its end meets its start, that are regenerated
SHIFT_S = 1e-3  # seconds that the start of a recording's loop may move, to a place without a jump


@task_function("loop")
def loop(pipeline: AudioLDM, prompt: str | None = None, audio: AudioSource | None = None, **settings: Any) -> Clip:
    """A clip to be played again and again, without a seam: of `prompt`, or of a recording.

    audio: a file, or samples (n,) or (n, channels) and their rate. The last and the first SEAM_S / 2 seconds of it are
    regenerated, as one continuous sound; the rest is the recording's own samples, to the bit, but for FADE_S seconds on
    either side. Its start moves by SHIFT_S at most. prompt: what the clip, or the seam, should sound like; without one
    the seam sounds like the recording. settings: of `AudioLDM.generate`; the duration is by default the recording's; of
    a longer recording the beginning is taken, a shorter one is filled up.
    Raises ValueError where there is neither prompt nor recording, or as `AudioLDM.generate` does.
    """
    options, task = take_options(settings), TASKS["loop"]
    task.checked_parameters(prompt, audio is not None)
    task.check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, audio is not None)
    if audio is not None:
        return _of_recording(pipeline, prompt, open_recording(audio), options, settings)
    assert prompt is not None
    return _of_prompt(pipeline, prompt, options, settings)


def plan(recording: Recording | None, duration: float | None, config: ModelConfig | None) -> float | None:
    """Seconds of the result: `duration`, or as long as the recording; None for as long as the checkpoint's clips."""
    if duration is not None or recording is None:
        return duration
    return max(MIN_DURATION, recording.duration)


def _of_prompt(pipeline: AudioLDM, prompt: str, options: Options, settings: dict[str, Any]) -> Clip:
    duration = pipeline.default_duration if options.duration is None else options.duration
    rate, step = pipeline.config.sample_rate, pipeline.config.samples_per_latent
    count = round(duration * rate)
    options = replace(options, duration=step * math.ceil(count / step) / rate)  # a circle of whole latent frames

    def shortened(clip: Clip) -> Clip:
        closed = closed_circle(clip.waveforms[0], count, min(round(FADE_S * rate), count))
        started = np.roll(closed, -quiet_start(closed[:, None], count))
        return replace(clip, waveforms=started[None], candidates=None, candidate_scores=None)

    circle = AudioCondition(circular=True)
    return with_partial_result(
        lambda: pipeline.generate(prompt, options, audio_condition=circle, **settings), shortened
    )


def _of_recording(
    pipeline: AudioLDM, prompt: str | None, recording: Recording, options: Options, settings: dict[str, Any]
) -> EditedClip:
    rate = recording.sample_rate
    duration = Options(duration=recording.duration if options.duration is None else options.duration).duration
    assert duration is not None
    count = round(duration * rate)
    recorded = min(count, len(recording.samples))
    samples = np.pad(recording.samples[:recorded], ((0, count - recorded), (0, 0)), mode="symmetric")
    # Rotated so that the seam is in the middle, with the recording's end before it and its start behind it.
    half = min(round(SEAM_S * rate), recorded // 2) // 2
    offset = count // 2 - (recorded + count) // 2
    rotated = replace(recording, samples=np.roll(samples, offset, 0))
    seam = (recorded - half + offset, count + half + offset)

    def rotated_back(clip: EditedClip) -> EditedClip:
        waveform = np.roll(clip.waveforms[0], -offset, 0)
        start = quiet_start(waveform.reshape(count, -1), max(1, round(SHIFT_S * rate)))
        fade = round(clip.fade * rate)
        kept = ((half + fade - start, recorded - half - fade - start),)
        return replace(clip, waveforms=np.roll(waveform, -start, 0)[None], kept=kept)

    return with_partial_result(
        lambda: regenerate(pipeline, rotated, [seam], options, prompt=prompt, **settings), rotated_back
    )


def closed_circle(circle: np.ndarray, count: int, fade: int) -> np.ndarray:
    """`circle` (n,), whose end continues in its start, shortened to `count` samples, at most n.

    The samples behind those cross-fade, over `fade` samples, into the start.
    """
    result = circle[:count].copy()
    behind = circle[np.arange(count, count + fade) % len(circle)]
    fall, rise = fade_weights(behind[:, None], circle[:fade, None])
    result[:fade] = fall[:, 0] * behind + rise[:, 0] * circle[:fade]
    return result


def quiet_start(samples: np.ndarray, reach: int) -> int:
    """The index, among the first `reach` of `samples` (n, channels), at which the loop had best begin.

    Of the samples that differ from their predecessor no more than the median does, the one nearest to zero: a player
    that is late between two rounds makes the smallest click there.
    """
    jumps = np.abs(samples - np.roll(samples, 1, 0)).max(1)
    smooth = np.flatnonzero(jumps[:reach] <= np.median(jumps))
    if not len(smooth):
        return int(jumps[:reach].argmin())
    return int(smooth[np.abs(samples[smooth]).max(1).argmin()])
