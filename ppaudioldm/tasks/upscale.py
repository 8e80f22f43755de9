"""A recording of low sample rate, at the checkpoint's, with the high frequencies that it lacks generated."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.bands import CROSSOVER_HZ, spectrum_end
from ppaudioldm.audio.levels import peak_limit
from ppaudioldm.audio.recording import AudioSource, Recording, open_recording, resampled
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import MIN_DURATION, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import regenerate, with_partial_result
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function

LOWEST_CUTOFF = 500.0  # Hz: what is left of a sound below says too little about the rest


@task_function("upscale")
def upscale(
    pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, *, cutoff: float | None = None, **settings: Any
) -> EditedClip:
    """`audio` at the checkpoint's rate, or its own if that is higher, with what it lacks above `cutoff` generated.

    Below is the recording's own sound; the two are separated by a linear-phase filter CROSSOVER_HZ Hz wide. cutoff: Hz;
    by default where the recording's spectrum ends: at half its rate, or where a file that was resampled before has its
    edge. audio: a file, or samples (n,) or (n, channels) and their rate, up to 10 minutes. The generated sound is mono:
    in each channel it is as loud as the channel is just below the cutoff. prompt: what it should sound like; without
    one, like anything that fits what is below: AudioMAE would encode the recording as a dull one. settings: of
    `AudioLDM.generate`, but for the duration. The clip has the recording's channels and depth; `EditedClip.cutoff` is
    where the generated sound begins. Raises ValueError for a recording, or a cutoff, that leaves nothing to generate,
    or as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["upscale"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    highest = pipeline.config.sample_rate / 2
    if cutoff is not None:
        check_cutoff(cutoff, highest)
    TASKS["upscale"].checked_parameters(prompt, True, {"cutoff": cutoff})
    recording = open_recording(audio)
    wide = at_rate(recording, max(recording.sample_rate, pipeline.config.sample_rate))
    if cutoff is None:
        cutoff = measured_cutoff(wide, recording.sample_rate / 2)
        if cutoff > highest - CROSSOVER_HZ:
            raise ValueError(
                f"the recording reaches {cutoff:.0f} Hz, and {pipeline.checkpoint.name} no more than {highest:g} Hz: "
                "there is nothing to generate; a lower cutoff can be given"
            )
    # The crossover is where the recording still has some power.
    bands = [(max(0.0, cutoff - CROSSOVER_HZ / 2), wide.sample_rate / 2)]
    everything = [(0, len(wide.samples))]
    new: dict[str, Any] = {
        "bands": bands,
        "prompt": prompt,
        "resemble": False,
        "absent": True,
        "limit": peak_limit(recording.samples),
    }
    return with_partial_result(
        lambda: regenerate(pipeline, wide, everything, options, **new, **settings),
        lambda clip: replace(clip, cutoff=cutoff),
    )


def plan(
    recording: Recording, duration: float | None, config: ModelConfig | None, cutoff: float | None = None
) -> float:
    """Seconds of the result: as long as the recording. Raises ValueError for a cutoff that cannot be."""
    if cutoff is not None:
        rate = config.sample_rate if config else max(info.config.sample_rate for info in CHECKPOINTS.values())
        check_cutoff(cutoff, rate / 2)
    return max(MIN_DURATION, recording.duration)


def check_cutoff(cutoff: float, highest: float) -> None:
    """Raise ValueError for a cutoff that leaves too little of the recording, or too little to generate."""
    number = isinstance(cutoff, (int, float)) and not isinstance(cutoff, bool) and math.isfinite(cutoff)
    if not number or not LOWEST_CUTOFF <= cutoff <= highest - CROSSOVER_HZ:
        raise ValueError(f"cutoff is {quoted(cutoff)}, allowed: {LOWEST_CUTOFF:g} to {highest - CROSSOVER_HZ:g} Hz")


def at_rate(recording: Recording, rate: int) -> Recording:
    """`recording` resampled to `rate` Hz, which is its own or a higher one."""
    if rate == recording.sample_rate:
        return recording
    count = round(len(recording.samples) * rate / recording.sample_rate)
    channels = [resampled(channel, recording.sample_rate, rate, count) for channel in recording.samples.T]
    return Recording(np.stack(channels, 1), rate, recording.subtype)


def measured_cutoff(wide: Recording, half_rate: float) -> float:
    """Hz at which the spectrum of `wide` ends; half_rate: half of its rate before it was resampled."""
    end = spectrum_end(wide.samples, wide.sample_rate)
    return half_rate if end is None else min(end, half_rate)
