"""A recording that is made to sound like a prompt."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from ppaudioldm.audio.recording import AudioSource, network_input, open_recording
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import MIN_DURATION
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.regenerate import check, finished, generate_from

logger = logging.getLogger(__name__)


def restyle(pipeline: AudioLDM, audio: AudioSource, prompt: str, *, strength: float = 0.5, **settings: Any) -> Clip:
    """`audio`, with its course in time, as `prompt` says it should sound.

    audio: a file, or samples (n,) or (n, channels) and their rate, up to 10 minutes; all channels as one. strength:
    above 0, up to 1: the share of the denoising steps that are made, from the recording with the noise of the first of
    them; near 0 the recording stays as it is, at 1 nothing is left of it. settings: of `AudioLDM.generate`, but for the
    duration. The clip is mono, at the checkpoint's rate, as long and as loud as the recording.
    Raises ValueError as `AudioLDM.generate` does.
    """
    check_strength(strength)
    recording = open_recording(audio)
    if not isinstance(prompt, str):
        raise ValueError(f"prompt is {prompt!r}, allowed: a text that is not empty")
    settings["seed"] = check(pipeline, prompt, settings.get("seed"), settings)
    if strength == 1:
        logger.warning("strength is 1: that starts from noise alone, and nothing of the recording is left")
    rate = pipeline.config.sample_rate
    waveform, scale = network_input(recording, rate)
    count = len(waveform)
    waveform = np.pad(waveform, (0, max(0, int(np.ceil(MIN_DURATION * rate)) - count)))

    def hear() -> Given:
        return Given(pipeline.encode_audio(waveform), strength=strength)

    def as_recorded(clip: Clip) -> Clip:
        waveforms = (clip.waveforms[:, :count] / scale).astype(np.float32)
        return replace(clip, waveforms=waveforms, candidates=None, candidate_scores=None)

    return finished(
        lambda: generate_from(pipeline, hear, prompt, duration=len(waveform) / rate, **settings), as_recorded
    )


def check_strength(strength: float) -> None:
    """Raise ValueError for what is no share of the steps."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 < strength <= 1:
        raise ValueError(f"strength is {strength!r}, allowed: above 0, at most 1")
