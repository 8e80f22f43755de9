"""LOA tokens of a recording, by AudioMAE: what GPT-2 predicts from a prompt, heard instead."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.fbank import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE, audiomae_fbank
from ppaudioldm.audio.mel import checked_waveform
from ppaudioldm.checkpoints import hearing_names
from ppaudioldm.engines.engine import Engine
from ppaudioldm.weights.locate import Description

MARGIN = 0.5  # seconds beyond what is heard, so that resampling has no edge there


def recorded_loa(checkpoint: Description, engine: Engine, waveform: np.ndarray) -> np.ndarray:
    """The LOA tokens (N, 768) float32 of `waveform` (samples,), floating point, at the checkpoint's sample rate.

    N is 8, or 512 of a speech checkpoint. Only the start is heard, 10.255 s of it by the published checkpoints; a
    shorter recording is padded to that, as AudioMAE was trained. AudioMAE is read when this is first called.
    Raises ValueError for a checkpoint without AudioMAE, and for a waveform that is empty, not finite, not 1-D or not
    floating point.
    """
    network = checkpoint.config.audiomae
    if network is None:
        raise ValueError(
            f"{checkpoint.name} has no AudioMAE, which hears recordings: choose from {', '.join(hearing_names())}"
        )
    rate = checkpoint.config.sample_rate
    seconds = (network.frames * HOP_LENGTH + FRAME_LENGTH) / SAMPLE_RATE
    heard = checked_waveform(np.asarray(waveform)[: round((seconds + MARGIN) * rate)])
    if rate != SAMPLE_RATE:
        import soxr

        heard = soxr.resample(heard, rate, SAMPLE_RATE)
    return engine.run_numpy("audiomae", audiomae_fbank(heard, network.frames)[None])[0]
