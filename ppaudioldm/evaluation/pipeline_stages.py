"""Reconstructions that locate a loss of quality: vocoder alone, VAE and vocoder, and the whole generation from text.

Each function returns a clip for the same example, so that the stages can be compared clip by clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppaudioldm.evaluation.choices import GENERATED, REAL, ROUND_TRIP, VOCODED
from ppaudioldm.evaluation.folders import SAMPLE_RATE
from ppaudioldm.evaluation.kinds import GenerateClip
from ppaudioldm.evaluation.sound_sets import LabelledExample
from ppaudioldm.generation.decoding import vocode
from ppaudioldm.generation.encoding import padded_log_mel
from ppaudioldm.pipeline import AudioLDM


def stage_functions(pipeline: AudioLDM, duration: float, **settings: Any) -> dict[str, GenerateClip]:
    """Each of `choices.STAGES` -> the function that returns its clip of an example. duration: seconds.

    settings: keywords of `AudioLDM.generate`. "vae", the round trip through VAE and vocoder, needs a checkpoint with
    the VAE's encoder.
    """
    config, engine = pipeline.config, pipeline.engine
    rate = config.sample_rate

    def vocoded(request: LabelledExample, seed: int) -> np.ndarray:
        waveform = resampled(request.waveform, SAMPLE_RATE, rate)
        reconstructed = vocode(engine, config, engine.asarray(padded_log_mel(config, waveform)[None]))[0]
        return resampled(reconstructed[: len(waveform)], rate, SAMPLE_RATE)

    def round_trip(request: LabelledExample, seed: int) -> np.ndarray:
        waveform = resampled(request.waveform, SAMPLE_RATE, rate)
        reconstructed = pipeline.decode_latents(pipeline.encode_audio(waveform)[None])[0]
        return resampled(reconstructed[: len(waveform)], rate, SAMPLE_RATE)

    def generated(request: LabelledExample, seed: int) -> np.ndarray:
        clip = pipeline.generate(request.caption, duration=duration, seed=seed, **settings)
        return resampled(clip.waveforms[0], clip.sample_rate, SAMPLE_RATE)

    return {REAL: real, VOCODED: vocoded, ROUND_TRIP: round_trip, GENERATED: generated}


def real(request: LabelledExample, seed: int) -> np.ndarray:
    """The synthesised clip itself, unchanged: the upper bound of every measure."""
    return request.waveform


def resampled(waveform: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    if rate == new_rate:
        return waveform
    import soxr

    return soxr.resample(waveform, rate, new_rate)
