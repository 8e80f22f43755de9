"""A recording, continued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.recording import AudioSource, Recording, open_recording
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.options import Options, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import regenerate
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function


@task_function("extend")
def extend(pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, **settings: Any) -> EditedClip:
    """`audio`, continued until it lasts as long as the duration, 20 seconds by default.

    It begins with the recording's own samples, to the bit, but for the last FADE_S seconds of them, over which the
    continuation takes over. audio: a file, or samples (n,) or (n, channels) and their rate, of which the network sees
    the last seconds. The continuation is mono: in each channel it is as loud as what is before it. prompt: what
    it should sound like; without one, like the recording. settings: of `AudioLDM.generate`. The clip has the
    recording's rate, channels and depth.
    Raises ValueError for a duration that the recording has already, or as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["extend"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    TASKS["extend"].checked_parameters(prompt, has_audio=True)
    recording = open_recording(audio)
    duration = plan(recording, options.duration, pipeline.config)
    count, recorded = round(duration * recording.sample_rate), len(recording.samples)
    # Mirrored: the network would take silence behind the end for the end of the sound.
    samples = np.pad(recording.samples, ((0, count - recorded), (0, 0)), mode="symmetric")
    longer = replace(recording, samples=samples)
    return regenerate(pipeline, longer, [(recorded, count)], options, prompt=prompt, **settings)


def plan(recording: Recording, duration: float | None, config: ModelConfig | None) -> float:
    """Seconds of the result. Raises ValueError for a duration no longer than the recording."""
    default = TASKS["extend"].default_duration
    assert default is not None
    seconds = default if duration is None else duration
    Options(duration=seconds)
    if round(seconds * recording.sample_rate) <= len(recording.samples):
        raise ValueError(f"duration is {seconds:g}, allowed: more than the recording's {recording.duration:g} seconds")
    return seconds
