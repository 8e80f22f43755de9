"""Embeddings of a sound, one vector a clip: CLAP's, AudioMAE's or the sound classifier's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppaudioldm.evaluation.choices import EMBEDDINGS
from ppaudioldm.evaluation.classifier import SoundClassifier
from ppaudioldm.evaluation.folders import SAMPLE_RATE
from ppaudioldm.pipeline import AudioLDM

Embed = Callable[[np.ndarray], np.ndarray]  # a waveform (samples,) at SAMPLE_RATE -> an embedding (size,)


def embedding_function(name: str, pipeline: AudioLDM | None, classifier: SoundClassifier | None) -> Embed:
    """The function that computes the embedding `name`, one of EMBEDDINGS.

    pipeline: needed for "clap" and "audiomae", whose networks are the checkpoint's. classifier: for "classifier".
    Raises ValueError for an unknown name, or one whose network is missing.
    """
    if name not in EMBEDDINGS:
        raise ValueError(f"embedding is {name!r}, choose from {', '.join(EMBEDDINGS)}")
    if name == "classifier":
        if classifier is None:
            raise ValueError("the embedding of the classifier needs a classifier")
        return classifier.embedding
    if pipeline is None:
        raise ValueError(f"the embedding of {name} needs a checkpoint")
    networks = {"clap": pipeline.config.clap_audio, "audiomae": pipeline.config.audiomae}
    if networks[name] is None:
        raise ValueError(f"{pipeline.checkpoint.name} has no {name}")
    if name == "clap":
        return lambda waveform: pipeline.embed_audio(waveform, SAMPLE_RATE)
    return lambda waveform: pipeline.encode_loa(_resampled(waveform, pipeline.config.sample_rate)).mean(0)


def _resampled(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    import soxr

    return soxr.resample(waveform, SAMPLE_RATE, sample_rate) if sample_rate != SAMPLE_RATE else waveform
