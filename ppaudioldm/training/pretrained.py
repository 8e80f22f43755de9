"""Weights that the joint stage starts from: frozen encoders and the VAE, from finished runs or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ppaudioldm.config import AudioMAEConfig, ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training.recordings import SAMPLE_RATE
from ppaudioldm.training.runs import averaged_weights, open_run
from ppaudioldm.training.settings import with_overrides
from ppaudioldm.training.vae import fold_normalisation, normalise_latents
from ppaudioldm.training.vocabulary import trained_tokenizer
from ppaudioldm.weights.checkpoint import Checkpoint

Weights = Mapping[str, np.ndarray]  # parameter -> value
Statistics = tuple[np.ndarray, np.ndarray]  # mean and standard deviation of each channel
CONTEXTS = ("loa", "flan_t5")
N_MELS = 64


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights of the frozen networks, and initial weights of the trained ones.

    vae(mean, deviation): weights of a plain encoder and decoder, with latents normalised by these, one value a channel.
    latents: mean and deviation that normalise the encoder's latents for the UNet; None: they are measured on clips.
    loa: those that normalise AudioMAE's tokens, likewise, one value a channel; 0 and 1 where they are used as they are.
    audiomae: {} without AudioMAE. start: trained network -> initial weights; others are initialised randomly.
    """

    tokenizer_json: Callable[[str], str]
    clap_text: Weights
    vae: Callable[[np.ndarray, np.ndarray], tuple[Weights, Weights]]
    latents: Statistics | None = None
    loa: Statistics | None = None
    audiomae: Weights = field(default_factory=dict)
    audiomae_config: AudioMAEConfig = field(default_factory=AudioMAEConfig)
    start: Mapping[str, Weights] = field(default_factory=dict)


def from_runs(vae: Path, clap: Path, audiomae: Path | None, tokenizers: Path, start: Path | None) -> PretrainedWeights:
    """From folders of finished runs. Raises CheckpointError for one without a run, or with one of another stage."""
    if not tokenizers.is_dir():
        raise CheckpointError(f"{tokenizers}: no tokenizers; the stage clap writes them")
    weights = averaged_weights(vae, "vae")
    pretrained = PretrainedWeights(
        lambda kind: trained_tokenizer(kind, tokenizers),
        averaged_weights(clap, "clap")["clap_text"],
        partial(fold_normalisation, weights["vae_encoder"], weights["vae_decoder"]),
        start=averaged_weights(start, "joint") if start else {},
    )
    if audiomae is not None:
        audiomae_config = with_overrides(AudioMAEConfig(), open_run(audiomae, "audiomae").facts["model"]["encoder"])
        audiomae_weights = averaged_weights(audiomae, "audiomae")["audiomae"]
        pretrained = replace(pretrained, audiomae=audiomae_weights, audiomae_config=audiomae_config)
    if start is None:
        return pretrained
    # What the run of `start` was trained on is not measured again: its clips may have been of another length.
    model = open_run(start, "joint").facts["model"]
    loa = statistics_of(model["loa"]) if "loa" in model else unchanged(pretrained.audiomae_config)
    return replace(pretrained, latents=statistics_of(model["latents"]), loa=loa)


def statistics_of(facts: Mapping[str, Sequence[float]]) -> Statistics:
    """From how the joint stage states them in its model."""
    return np.array(facts["mean"]), np.array(facts["deviation"])


def unchanged(config: AudioMAEConfig) -> Statistics:
    """Of AudioMAE's tokens that are used as they are."""
    return np.zeros(config.hidden_size), np.ones(config.hidden_size)


def from_checkpoint(checkpoint: Checkpoint, learned: tuple[str, ...]) -> PretrainedWeights:
    """From a checkpoint that passes `check_trainable`, with AudioMAE if it has one."""
    model = checkpoint.config
    scale, channels = model.vae.scale_factor, model.vae.latent_channels
    return PretrainedWeights(
        checkpoint.tokenizer_json,
        _weights(checkpoint, "clap_text"),
        partial(normalise_latents, _weights(checkpoint, "vae_encoder"), _weights(checkpoint, "vae_decoder")),
        (np.zeros(channels), np.full(channels, 1 / scale)),
        unchanged(model.audiomae) if model.audiomae else None,
        _weights(checkpoint, "audiomae") if model.audiomae else {},
        model.audiomae or AudioMAEConfig(),
        {name: _weights(checkpoint, name) for name in learned},
    )


def check_trainable(name: str, model: ModelConfig) -> None:
    """Raise ValueError if the joint stage cannot train a checkpoint of this configuration."""
    for value, expected, name_of_value in (
        (model.contexts, CONTEXTS, "contexts of the UNet"),
        (model.phoneme_encoder, None, "phoneme encoder"),
        (model.unet.film_dim, None, "width of a global condition (FiLM)"),
        (model.unet.guidance_dim, None, "width of a guidance scale that is an input"),
        (model.sample_rate, SAMPLE_RATE, "sample rate"),
        (model.vae.n_mels, N_MELS, "mel bins"),
    ):
        if value != expected:
            raise ValueError(f"{name}: its {name_of_value} is {value}, allowed in the joint stage: {expected}")


def _weights(checkpoint: Checkpoint, network: str) -> Weights:
    return {name: np.asarray(value, np.float32) for name, value in checkpoint.weights(network)}
