"""A new clip that resembles a recording."""

from __future__ import annotations

from typing import Any

from ppaudioldm.audio.recording import AudioSource, network_input, open_recording
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import MIN_DURATION
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.regenerate import check, generate_from


def vary(
    pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, *, duration: float | None = None, **settings: Any
) -> Clip:
    """A new clip that sounds like `audio`: what AudioMAE hears takes the place of what GPT-2 makes of a prompt.

    audio: a file, or samples (n,) or (n, channels) and their rate; the first 10 s are heard, all channels as one.
    prompt: what it should sound like besides. duration: seconds; as long as the recording by default, up to what the
    checkpoint was trained on. settings: of `AudioLDM.generate`. The clip is mono, at the checkpoint's rate.
    Raises ValueError for a checkpoint without AudioMAE, or as `AudioLDM.generate` does.
    """
    recording = open_recording(audio, truncate=True)
    if duration is None:
        duration = default_duration(recording.duration, pipeline.config.diffusion.clip_seconds)
    settings["seed"] = check(pipeline, prompt, settings.get("seed"), {**settings, "duration": duration})

    def hear() -> Given:
        waveform, _ = network_input(recording, pipeline.config.sample_rate)
        return Given(loa=pipeline.recorded_loa(waveform))

    return generate_from(pipeline, hear, prompt, duration=duration, **settings)


def default_duration(recorded: float, longest: float) -> float:
    """As long as the recording, within what can be made, and made well."""
    return max(MIN_DURATION, min(recorded, longest))
