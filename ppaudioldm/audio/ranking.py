"""How well sounds fit a text, as CLAP hears it."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.mel import CLAP_MAX_SAMPLES, CLAP_SAMPLE_RATE, clap_log_mel
from ppaudioldm.engines.engine import Engine

MARGIN = 0.5  # seconds beyond what is heard, so that resampling has no edge there


def clap_scores(engine: Engine, text_embedding: np.ndarray, waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cosine similarity (B,), -1 to 1, of `waveforms` (B, samples) with a CLAP text embedding (512,)."""
    # One at a time: a Swin transformer on many clips at once would be the largest use of memory of the run.
    return np.stack([clap_embedding(engine, waveform, sample_rate) for waveform in waveforms]) @ text_embedding


def clap_embedding(engine: Engine, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """CLAP's embedding (512,) of `waveform` (samples,), of length 1: of the first 10 s, at 48 kHz."""
    import soxr

    beginning = waveform[: round((CLAP_MAX_SAMPLES / CLAP_SAMPLE_RATE + MARGIN) * sample_rate)]
    heard = soxr.resample(beginning, sample_rate, CLAP_SAMPLE_RATE)
    return engine.run_numpy("clap_audio", clap_log_mel(heard)[None])[0]
