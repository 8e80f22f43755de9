"""Ways to hear a sound as one vector: CLAP's, AudioMAE's or the judge's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppaudioldm.evaluation.classifier import Judge
from ppaudioldm.evaluation.folders import SAMPLE_RATE
from ppaudioldm.generation.candidates import clap_embedding
from ppaudioldm.pipeline import AudioLDM

HEARINGS = ("clap", "audiomae", "classifier")
Hear = Callable[[np.ndarray], np.ndarray]  # a waveform (samples,) at SAMPLE_RATE -> (size,)


def hearing(name: str, pipeline: AudioLDM | None, judge: Judge | None) -> Hear:
    """The way to hear called `name`. Raises ValueError for an unknown one, or one whose networks are not there."""
    if name not in HEARINGS:
        raise ValueError(f"hearing is {name!r}, choose from {', '.join(HEARINGS)}")
    if name == "classifier":
        if judge is None:
            raise ValueError("hearing by the classifier needs a classifier")
        return judge.features
    if pipeline is None:
        raise ValueError(f"hearing by {name} needs a checkpoint")
    has = {"clap": pipeline.config.clap_audio, "audiomae": pipeline.config.audiomae}
    if has[name] is None:
        raise ValueError(f"{pipeline.checkpoint.name} has no {name}")
    if name == "clap":
        return lambda waveform: clap_embedding(pipeline._engine, waveform, SAMPLE_RATE)
    return lambda waveform: pipeline.recorded_loa(_at_rate(waveform, pipeline.config.sample_rate)).mean(0)


def _at_rate(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    import soxr

    return soxr.resample(waveform, SAMPLE_RATE, sample_rate) if sample_rate != SAMPLE_RATE else waveform
