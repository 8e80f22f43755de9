"""What the joint stage listens to and does not train: out of finished runs, or of a checkpoint that is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ppaudioldm.config import AudioMAEConfig, ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training.parts import run_of, trained
from ppaudioldm.training.recordings import SAMPLE_RATE
from ppaudioldm.training.settings import with_overrides
from ppaudioldm.training.vae import exported, with_normal_latents
from ppaudioldm.weights.checkpoint import Checkpoint
from ppaudioldm.weights.tokenizer_files import tokenizer_json

Weights = Mapping[str, np.ndarray]  # parameter -> value
CONTEXTS = ("loa", "flan_t5")
N_MELS = 64


@dataclass(frozen=True)
class Listening:
    """Finished networks, and how the learned ones begin.

    vae(mean, deviation): encoder and decoder of latents that these make normal, a mean and a deviation a channel.
    latents: what makes the UNet's of the encoder's; None: what is measured on clips. audiomae: {} where there is none.
    start: learned network -> weights; a network that is not named begins at random.
    """

    tokenizer_json: Callable[[str], str]
    clap_text: Weights
    vae: Callable[[np.ndarray, np.ndarray], tuple[Weights, Weights]]
    latents: tuple[np.ndarray, np.ndarray] | None = None
    audiomae: Weights = field(default_factory=dict)
    heard_by: AudioMAEConfig = field(default_factory=AudioMAEConfig)
    start: Mapping[str, Weights] = field(default_factory=dict)


def of_runs(vae: Path, clap: Path, audiomae: Path | None, tokenizers: Path, start: Path | None) -> Listening:
    """Of folders of finished runs. Raises CheckpointError for one that is none, or of another stage."""
    if not tokenizers.is_dir():  # or the published ones would be looked for
        raise CheckpointError(f"{tokenizers}: no tokenizers; the clap stage makes them")
    weights = trained(vae, "vae")
    found = Listening(
        lambda kind: tokenizer_json(kind, tokenizers),
        trained(clap, "clap")["clap_text"],
        partial(exported, weights["vae_encoder"], weights["vae_decoder"]),
        start=trained(start, "joint") if start else {},
    )
    if audiomae is None:
        return found
    heard_by = with_overrides(AudioMAEConfig(), run_of(audiomae, "audiomae").facts["model"]["encoder"])
    return replace(found, audiomae=trained(audiomae, "audiomae")["audiomae"], heard_by=heard_by)


def of_checkpoint(checkpoint: Checkpoint, learned: tuple[str, ...]) -> Listening:
    """Of a checkpoint that `check_trainable` finds good; AudioMAE where it has one."""
    model = checkpoint.config
    scale, channels = model.vae.scale_factor, model.vae.latent_channels
    return Listening(
        checkpoint.tokenizer_json,
        _weights(checkpoint, "clap_text"),
        partial(with_normal_latents, _weights(checkpoint, "vae_encoder"), _weights(checkpoint, "vae_decoder")),
        (np.zeros(channels), np.full(channels, 1 / scale)),
        _weights(checkpoint, "audiomae") if model.audiomae else {},
        model.audiomae or AudioMAEConfig(),
        {name: _weights(checkpoint, name) for name in learned},
    )


def check_trainable(name: str, model: ModelConfig) -> None:
    """Raise ValueError if the joint stage cannot train a checkpoint of this configuration."""
    for found, wanted, what in (
        (model.contexts, CONTEXTS, "contexts of the UNet"),
        (model.phoneme_encoder, None, "phoneme encoder"),
        (model.unet.film_dim, None, "width of a global condition"),
        (model.sample_rate, SAMPLE_RATE, "sample rate"),
        (model.vae.n_mels, N_MELS, "mel bins"),
    ):
        if found != wanted:
            raise ValueError(f"{name}: its {what} is {found}, the joint stage trains those where it is {wanted}")


def _weights(checkpoint: Checkpoint, network: str) -> Weights:
    return {name: np.asarray(value, np.float32) for name, value in checkpoint.weights(network)}
