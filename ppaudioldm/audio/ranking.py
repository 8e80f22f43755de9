"""How well sounds fit a text, as CLAP hears it."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.mel import CLAP_SAMPLE_RATE, clap_log_mel
from ppaudioldm.engines.engine import Engine


def clap_scores(engine: Engine, text_embedding: np.ndarray, waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cosine similarity (B,), -1 to 1, of `waveforms` (B, samples) with a CLAP text embedding (512,).

    CLAP hears the first 10 s at 48 kHz.
    """
    import soxr

    heard = [soxr.resample(waveform, sample_rate, CLAP_SAMPLE_RATE) for waveform in waveforms]
    # One at a time: a Swin transformer on many clips at once would be the largest use of memory of the run.
    embeddings = [engine.run_numpy("clap_audio", clap_log_mel(waveform)[None]) for waveform in heard]
    return np.concatenate(embeddings) @ text_embedding
