"""A recording made to sound like a prompt: denoising starts from its noised latents (SDEdit, arXiv:2108.01073)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.recording import AudioSource, Recording, network_input, open_recording
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import MIN_DURATION, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.regenerate import first_seed, generate_from, with_partial_result
from ppaudioldm.tasks.registry import TASKS

logger = logging.getLogger(__name__)


def restyle(pipeline: AudioLDM, audio: AudioSource, prompt: str, *, strength: float = 0.5, **settings: Any) -> Clip:
    """`audio`, with its course in time, as `prompt` says it should sound.

    audio: a file, or samples (n,) or (n, channels) and their rate, up to 10 minutes; all channels as one. strength:
    above 0, up to 1: the share of the denoising steps that are run, from the recording with the noise of the first of
    them; near 0 the recording stays as it is, at 1 nothing is left of it. settings: of `AudioLDM.generate`; a duration
    is not used. The clip is mono, at the checkpoint's rate, as long and as loud as the recording.
    Raises ValueError as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["restyle"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    strength = TASKS["restyle"].checked_parameters(prompt, True, {"strength": strength})["strength"]
    recording = open_recording(audio)
    settings["seed"] = first_seed(settings.get("seed"))
    if strength == 1:
        logger.warning("strength is 1: that starts from noise alone, and nothing of the recording is left")
    rate = pipeline.config.sample_rate
    waveform, scale = network_input(recording, rate)
    count = len(waveform)
    waveform = np.pad(waveform, (0, max(0, int(np.ceil(MIN_DURATION * rate)) - count)))

    def encode() -> AudioCondition:
        return AudioCondition(pipeline.encode_audio(waveform), strength=strength)

    def at_recorded_level(clip: Clip) -> Clip:
        waveforms = (clip.waveforms[:, :count] / scale).astype(np.float32)
        return replace(clip, waveforms=waveforms, candidates=None, candidate_scores=None)

    options = replace(options, duration=len(waveform) / rate)
    return with_partial_result(lambda: generate_from(pipeline, encode, prompt, options, **settings), at_recorded_level)


def plan(recording: Recording, duration: float | None, config: ModelConfig | None, strength: float) -> float:
    """Seconds of the result: as long as the recording."""
    return max(MIN_DURATION, recording.duration)
