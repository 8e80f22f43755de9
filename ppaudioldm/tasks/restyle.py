"""A recording made to sound like a prompt: denoising starts from its noised latents (SDEdit, arXiv:2108.01073)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.joins import limited_sum
from ppaudioldm.audio.levels import gain_to_loudness, limiter_block, peak_limit
from ppaudioldm.audio.loudness import loudness
from ppaudioldm.audio.recording import AudioSource, Recording, network_input, open_recording
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.decoding import OnChunk
from ppaudioldm.generation.options import MIN_DURATION, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.regenerate import generate_from, with_partial_result
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function

logger = logging.getLogger(__name__)


@task_function("restyle")
def restyle(pipeline: AudioLDM, audio: AudioSource, prompt: str, *, strength: float = 0.5, **settings: Any) -> Clip:
    """`audio`, with its course in time, as `prompt` says it should sound.

    audio: a file, or samples (n,) or (n, channels) and their rate, up to 10 minutes; all channels as one. strength:
    above 0, up to 1: the share of the denoising steps that are run, from the recording with the noise of the first of
    them; near 0 the recording stays as it is, at 1 nothing is left of it. settings: of `AudioLDM.generate`, but for
    the duration. The clip is mono, at the checkpoint's rate, as long and as loud as the recording.
    Raises ValueError as `AudioLDM.generate` does.
    """
    options = take_options(settings)
    TASKS["restyle"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    strength = TASKS["restyle"].checked_parameters(prompt, True, {"strength": strength})["strength"]
    recording = open_recording(audio)
    if strength == 1:
        logger.warning("strength is 1: that starts from noise alone, and nothing of the recording is left")
    rate = pipeline.config.sample_rate
    waveform, scale = network_input(recording, rate)
    count = len(waveform)
    waveform = np.pad(waveform, (0, max(0, int(np.ceil(MIN_DURATION * rate)) - count)))

    def encode(on_chunk: OnChunk) -> AudioCondition:
        return AudioCondition(pipeline.encode_audio(waveform, on_chunk=on_chunk), strength=strength)

    def at_recorded_level(clip: Clip) -> Clip:
        waveform = matched_to_recording(clip.waveforms[0, :count] / scale, rate, recording)
        return replace(clip, waveforms=waveform[None], candidates=None, candidate_scores=None)

    options = replace(options, duration=len(waveform) / rate)
    return with_partial_result(lambda: generate_from(pipeline, encode, prompt, options, **settings), at_recorded_level)


def matched_to_recording(waveform: np.ndarray, rate: int, recording: Recording) -> np.ndarray:
    """`waveform` (n,) as loud as `recording`, with its peaks limited: (n,) float32. Silence matches anything."""
    target = loudness(recording.samples, recording.sample_rate)
    # One loudspeaker plays a mono clip, or two do: between the two, for a recording of several channels.
    target -= 10 * np.log10(channels) - 1.5 if (channels := recording.samples.shape[1]) > 1 else 0
    lowest, highest = (-np.inf, np.inf) if target == -np.inf else (target, target)
    limit, silence = peak_limit(recording.samples), np.zeros_like(waveform)
    gain = gain_to_loudness(waveform, silence, lowest, highest, rate, limit)
    return limited_sum(silence, gain * waveform, limiter_block(rate), limit).astype(np.float32)


def plan(recording: Recording, duration: float | None, config: ModelConfig | None, strength: float) -> float:
    """Seconds of the result: as long as the recording."""
    return max(MIN_DURATION, recording.duration)
