"""A new clip that resembles a recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ppaudioldm.audio.recording import AudioSource, Recording, network_input, open_recording
from ppaudioldm.checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.decoding import OnChunk
from ppaudioldm.generation.options import MIN_DURATION, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.regenerate import generate_from
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function


@task_function("vary")
def vary(pipeline: AudioLDM, audio: AudioSource, prompt: str | None = None, **settings: Any) -> Clip:
    """A new clip that sounds like `audio`: AudioMAE's LOA tokens of it take the place of those predicted by GPT-2.

    Where CLAP's embedding conditions the UNet, as in AudioLDM 1, that of the recording takes the place of the prompt's.

    audio: a file, or samples (n,) or (n, channels) and their rate; the first 10 s are encoded, all channels as one.
    prompt: what it should sound like besides; with CLAP's embedding it only scores the result. settings: of
    `AudioLDM.generate`; the duration is by default that of the recording, up to that of the checkpoint's training
    clips. The clip is mono, at the checkpoint's rate.
    Raises ValueError for a checkpoint that cannot encode a recording, or as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["vary"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    TASKS["vary"].checked_parameters(prompt, has_audio=True)
    recording = open_recording(audio, truncate=True)
    options = replace(options, duration=plan(recording, options.duration, pipeline.config))

    def encode(on_chunk: OnChunk) -> AudioCondition:
        waveform, _ = network_input(recording, pipeline.config.sample_rate)
        return pipeline.condition_like(waveform)

    return generate_from(pipeline, encode, prompt, options, **settings)


def plan(recording: Recording, duration: float | None, config: ModelConfig | None) -> float:
    """Seconds of the result: `duration`, or as long as the recording, up to the checkpoint's training clips."""
    if duration is not None:
        return duration
    longest = (config or CHECKPOINTS[DEFAULT_CHECKPOINT].config).diffusion.clip_seconds
    return max(MIN_DURATION, min(recording.duration, longest))
