"""A recording of few samples at a checkpoint's rate, with the frequencies that it lacks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.bands import CROSSOVER_HZ, spectrum_end
from ppaudioldm.audio.recording import AudioSource, Recording, open_recording, resampled
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import finished, regenerate

LOWEST_CUTOFF = 500.0  # Hz: less of a sound says nothing about the rest


def upscale(
    pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, *, cutoff: float | None = None, **settings: Any
) -> EditedClip:
    """`audio` at the checkpoint's rate, or its own if that is higher, with what it lacks above `cutoff` generated.

    What is below is the recording's own sound; the two are parted by a linear-phase filter CROSSOVER_HZ wide. cutoff:
    Hz; by default where the recording's spectrum ends: at half its rate, or where a file that was resampled before has
    its edge. audio: a file, or samples (n,) or (n, channels) and their rate, up to 10 minutes. What is generated is
    mono: each channel gets it as loud as the channel is just below. prompt: what it should sound like; without one,
    like anything that fits what is below: AudioMAE would hear that the recording is dull. settings: of
    `AudioLDM.generate`, but for the duration. The clip has the recording's channels and depth; `EditedClip.cutoff` is
    where the generated sound begins.
    Raises ValueError for a recording, or a cutoff, that leaves nothing to generate, or as `AudioLDM.generate` does.
    """
    recording = open_recording(audio)
    highest = pipeline.config.sample_rate / 2
    if cutoff is not None:
        check_cutoff(cutoff, highest)
    wide = at_rate(recording, max(recording.sample_rate, pipeline.config.sample_rate))
    if cutoff is None:
        cutoff = found_cutoff(wide, recording.sample_rate / 2)
        if cutoff > highest - CROSSOVER_HZ:
            raise ValueError(
                f"the recording reaches {cutoff:.0f} Hz, and {pipeline.checkpoint.name} no more than {highest:g} Hz: "
                "there is nothing to generate; a lower cutoff can be given"
            )
    # The crossover is where the recording still has something.
    bands = [(max(0.0, cutoff - CROSSOVER_HZ / 2), wide.sample_rate / 2)]
    return finished(
        lambda: regenerate(
            pipeline, wide, [(0, len(wide.samples))], bands=bands, prompt=prompt, resemble=False, **settings
        ),
        lambda clip: replace(clip, cutoff=cutoff),
    )


def check_cutoff(cutoff: float, highest: float) -> None:
    """Raise ValueError for a cutoff that leaves too little of the recording, or to generate."""
    number = isinstance(cutoff, (int, float)) and not isinstance(cutoff, bool) and math.isfinite(cutoff)
    if not number or not LOWEST_CUTOFF <= cutoff <= highest - CROSSOVER_HZ:
        raise ValueError(f"cutoff is {cutoff!r}, allowed: {LOWEST_CUTOFF:g} to {highest - CROSSOVER_HZ:g} Hz")


def at_rate(recording: Recording, rate: int) -> Recording:
    """`recording` with at least as many samples a second."""
    if rate == recording.sample_rate:
        return recording
    count = round(len(recording.samples) * rate / recording.sample_rate)
    channels = [resampled(channel, recording.sample_rate, rate, count) for channel in recording.samples.T]
    return Recording(np.stack(channels, 1), rate, recording.subtype)


def found_cutoff(wide: Recording, half_rate: float) -> float:
    """Where the spectrum of `wide` ends, which had `half_rate` Hz to fill before it was resampled."""
    end = spectrum_end(wide.samples, wide.sample_rate)
    return half_rate if end is None else min(end, half_rate)
