"""A clip whose end meets its start."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.joins import FADE_S, fade_weights
from ppaudioldm.audio.recording import AudioSource, Recording, open_recording
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import Options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import check, finished, regenerate

SEAM = 1.0  # seconds of a recording, around where its end meets its start, that are made anew
SHIFT = 1e-3  # seconds that the start of a recording's loop may move, to a place without a jump


def loop(
    pipeline: AudioLDM,
    prompt: str | None = None,
    audio: AudioSource | None = None,
    *,
    duration: float | None = None,
    **settings: Any,
) -> Clip:
    """A clip to be played again and again, without a seam: of `prompt`, or of a recording.

    audio: a file, or samples (n,) or (n, channels) and their rate. The last and the first SEAM / 2 seconds of it are
    made anew, as one sound that goes on; the rest is the recording's own samples, to the bit, but for FADE_S seconds on
    either side. Its start moves by SHIFT at most. prompt: what the clip, or the seam, should sound like; a seam without
    one sounds like the recording. duration: seconds; by default the recording's, or as of `AudioLDM.generate`; of a
    longer recording the beginning is taken, a shorter one is filled up. settings: of `AudioLDM.generate`.
    Raises ValueError where there is neither prompt nor recording, or as `AudioLDM.generate` does.
    """
    if audio is not None:
        recording = open_recording(audio)
        return _of_recording(
            pipeline, prompt, recording, recording.duration if duration is None else duration, settings
        )
    if prompt is None:
        raise ValueError("no prompt and no recording: a loop needs one of them")
    return _of_prompt(pipeline, prompt, pipeline.default_duration if duration is None else duration, settings)


def _of_prompt(pipeline: AudioLDM, prompt: str, duration: float, settings: dict[str, Any]) -> Clip:
    settings["seed"] = check(pipeline, prompt, settings.get("seed"), {**settings, "duration": duration})
    rate, step = pipeline.config.sample_rate, pipeline.config.samples_per_latent
    count = round(duration * rate)
    whole = step * math.ceil(count / step)  # a circle of whole latents

    def cut(clip: Clip) -> Clip:
        closed = without_rest(clip.waveforms[0], count, min(round(FADE_S * rate), count))
        started = np.roll(closed, -quiet_start(closed[:, None], count))
        return replace(clip, waveforms=started[None], candidates=None, candidate_scores=None)

    return finished(
        lambda: pipeline.generate(prompt, given=Given(circular=True), duration=whole / rate, **settings), cut
    )


def _of_recording(
    pipeline: AudioLDM, prompt: str | None, recording: Recording, duration: float, settings: dict[str, Any]
) -> EditedClip:
    rate = recording.sample_rate
    Options.from_preset("fast", duration=duration)
    count = round(duration * rate)
    there = min(count, len(recording.samples))
    samples = np.pad(recording.samples[:there], ((0, count - there), (0, 0)), mode="symmetric")
    # Turned, so that the seam is in the middle, with the end before it and the start behind it.
    half = min(round(SEAM * rate), there // 2) // 2
    turn = count // 2 - (there + count) // 2
    turned = replace(recording, samples=np.roll(samples, turn, 0))
    span = (there - half + turn, count + half + turn)

    def turned_back(clip: EditedClip) -> EditedClip:
        waveform = np.roll(clip.waveforms[0], -turn, 0)
        start = quiet_start(waveform.reshape(count, -1), max(1, round(SHIFT * rate)))
        fade = round(clip.fade * rate)
        kept = ((half + fade - start, there - half - fade - start),)
        return replace(clip, waveforms=np.roll(waveform, -start, 0)[None], kept=kept)

    return finished(lambda: regenerate(pipeline, turned, [span], prompt=prompt, **settings), turned_back)


def without_rest(circle: np.ndarray, count: int, fade: int) -> np.ndarray:
    """`circle` (n,), whose end continues in its start, as one of `count` samples, no more than n.

    What comes behind them leads, over `fade` samples, into the start.
    """
    result = circle[:count].copy()
    behind = circle[np.arange(count, count + fade) % len(circle)]
    fall, rise = fade_weights(behind[:, None], circle[:fade, None])
    result[:fade] = fall[:, 0] * behind + rise[:, 0] * circle[:fade]
    return result


def quiet_start(samples: np.ndarray, reach: int) -> int:
    """Which of the first `reach` of `samples` (n, channels), a loop, is the best to begin with.

    Of those that differ from their predecessor as little as half of all do, the one nearest to zero: a loop's start and
    end are the only places where a player may be late.
    """
    jumps = np.abs(samples - np.roll(samples, 1, 0)).max(1)
    smooth = np.flatnonzero(jumps[:reach] <= np.median(jumps))
    if not len(smooth):
        return int(jumps[:reach].argmin())
    return int(smooth[np.abs(samples[smooth]).max(1).argmin()])
