"""Where quality is lost: the same clips as they are, through the vocoder, through the VAE too, and generated."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppaudioldm.evaluation.folders import SAMPLE_RATE
from ppaudioldm.evaluation.kinds import Make
from ppaudioldm.generation.decoding import mel_of, vocode
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.sounds import Example

REAL, VOCODED, ROUND_TRIP, GENERATED = STAGES = ("real", "vocoder", "vae", "generated")


def stages(pipeline: AudioLDM, duration: float, **settings: Any) -> dict[str, Make]:
    """Each of STAGES -> what makes a clip so. settings: keywords of `AudioLDM.generate`.

    "vae", the round trip through VAE and vocoder, needs a checkpoint with the VAE's encoder.
    """
    config, engine = pipeline.config, pipeline._engine
    rate = config.sample_rate

    def vocoded(wanted: Example, seed: int) -> np.ndarray:
        waveform = _resampled(wanted.waveform, SAMPLE_RATE, rate)
        made = vocode(engine, config, engine.asarray(mel_of(config, waveform)[None]))[0]
        return _resampled(made[: len(waveform)], rate, SAMPLE_RATE)

    def round_trip(wanted: Example, seed: int) -> np.ndarray:
        waveform = _resampled(wanted.waveform, SAMPLE_RATE, rate)
        made = pipeline.decode_latents(pipeline.encode_audio(waveform)[None])[0]
        return _resampled(made[: len(waveform)], rate, SAMPLE_RATE)

    def generated(wanted: Example, seed: int) -> np.ndarray:
        clip = pipeline.generate(wanted.caption, duration=duration, seed=seed, **settings)
        return _resampled(clip.waveforms[0], clip.sample_rate, SAMPLE_RATE)

    return {REAL: real, VOCODED: vocoded, ROUND_TRIP: round_trip, GENERATED: generated}


def real(wanted: Example, seed: int) -> np.ndarray:
    """The synthesised clip itself: what the judge should know."""
    return wanted.waveform


def _resampled(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return waveform
    import soxr

    return soxr.resample(waveform, rate, wanted)
