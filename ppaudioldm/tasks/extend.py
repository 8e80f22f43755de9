"""A recording that goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.recording import AudioSource, Recording, open_recording
from ppaudioldm.generation.options import Options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import regenerate


def extend(
    pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, *, duration: float = 20.0, **settings: Any
) -> EditedClip:
    """`audio`, continued until it lasts `duration` seconds.

    It begins with the recording's own samples, to the bit, but for the last FADE seconds of them, over which the
    continuation takes over. audio: a file, or samples (n,) or (n, channels) and their rate, of which the network sees
    the last seconds. The continuation is mono: each channel gets it as loud as the channel is at its end. prompt: what
    it should sound like; without one, like the recording. settings: of `AudioLDM.generate`. The clip has the
    recording's rate, channels and depth.
    Raises ValueError for a duration that the recording has already, or as `AudioLDM.generate` does.
    """
    recording = open_recording(audio)
    check_longer(duration, recording)
    count, there = round(duration * recording.sample_rate), len(recording.samples)
    # Mirrored: silence behind the end would tell the network that the sound is over.
    samples = np.pad(recording.samples, ((0, count - there), (0, 0)), mode="symmetric")
    return regenerate(pipeline, replace(recording, samples=samples), [(there, count)], prompt=prompt, **settings)


def check_longer(duration: float, recording: Recording) -> None:
    """Raise ValueError for a duration that is none, or no longer than the recording."""
    Options.from_preset("fast", duration=duration)
    if round(duration * recording.sample_rate) <= len(recording.samples):
        raise ValueError(f"duration is {duration:g}, allowed: more than the recording's {recording.duration:g} seconds")
