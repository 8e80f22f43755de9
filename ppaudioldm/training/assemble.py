"""A checkpoint out of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.config import AudioMAEConfig, ClapAudioConfig, HifiGanConfig, ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.training.joint import JointSettings
from ppaudioldm.training.parts import run_of, trained
from ppaudioldm.training.settings import with_overrides
from ppaudioldm.training.vae import exported
from ppaudioldm.training.vocoder import exported as exported_vocoder
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint
from ppaudioldm.weights.config_check import check_config
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.tokenizer_files import tokenizer_json


def assembled(joint: Path, decoder: Path | None = None, vocoder: Path | None = None, name: str = "") -> Checkpoint:
    """The checkpoint of a run of the joint stage and of those that it was trained with.

    decoder: a run that went on training the decoder of the same VAE. vocoder: a run; without one the checkpoint has
    Griffin-Lim. Averaged weights are taken. Raises CheckpointError for a folder that holds no run, or another one.
    """
    facts = run_of(joint, "joint").facts
    settings: JointSettings = with_overrides(JointSettings(), facts["settings"])
    known = known_sounds(facts["model"].get("sounds"))
    if settings.checkpoint:
        if decoder or vocoder:
            raise CheckpointError(f"{joint}: trains {settings.checkpoint} on, which has its own decoder and vocoder")
        return _trained_on(joint, settings, known, name or joint.name)
    weights = {
        **trained(Path(settings.clap), "clap"),
        **trained(Path(settings.vae), "vae"),
        **trained(joint, "joint"),
    }
    if decoder:
        start = run_of(decoder, "vae").facts["settings"]["start"]
        if Path(start).resolve() != Path(settings.vae).resolve():
            raise CheckpointError(
                f"{decoder}: continues the VAE of {start!r}, but {joint} listened to {settings.vae!r}"
            )
        weights["vae_decoder"] = trained(decoder, "vae")["vae_decoder"]
    latents = (np.array(facts["model"]["latents"][name]) for name in ("mean", "deviation"))
    encoder, trained_decoder = weights["vae_encoder"], weights["vae_decoder"]
    weights["vae_encoder"], weights["vae_decoder"] = exported(encoder, trained_decoder, *latents)
    model = _with_clap_audio(settings.model, Path(settings.clap))
    if settings.audiomae:  # so that the checkpoint hears recordings
        weights |= trained(Path(settings.audiomae), "audiomae")
        heard_by = run_of(Path(settings.audiomae), "audiomae").facts["model"]["encoder"]
        model = replace(model, audiomae=with_overrides(AudioMAEConfig(), heard_by))
    if vocoder:
        weights["vocoder"] = exported_vocoder(trained(vocoder, "vocoder")["vocoder"])
        found = with_overrides(HifiGanConfig(), run_of(vocoder, "vocoder").facts["model"]["vocoder"])
        model = replace(model, vocoder=found)
    else:
        model = replace(model, vocoder=replace(model.vocoder, method="griffin-lim"))
    model = replace(model, diffusion=replace(model.diffusion, clip_seconds=settings.duration))
    check_config(model)
    networks = {network: _stored(network, model, weights[network]) for network in network_names(model)}
    folder = Path(settings.tokenizers)
    return Checkpoint(
        name or joint.name,
        "native",
        model,
        lambda kind: tokenizer_json(kind, folder),
        networks,
        known_sounds=known,
    )


def _trained_on(joint: Path, settings: JointSettings, known: KnownSounds | None, name: str) -> Checkpoint:
    """The checkpoint that a run trained on, with what it learned in place of what it began with."""
    before = open_checkpoint(settings.checkpoint)
    learned = trained(joint, "joint")
    stored = {network: _stored(network, settings.model, weights) for network, weights in learned.items()}
    networks = {**before.networks, **stored}
    return Checkpoint(name, "native", settings.model, before.tokenizer_json, networks, known_sounds=known)


def known_sounds(kinds: Sequence[str] | None) -> KnownSounds | None:
    """The sounds that a model can generate which was trained on synthesised sounds of `kinds`."""
    from ppaudioldm.sounds import describe, known_words

    return KnownSounds(tuple(Sound(*texts) for texts in describe(kinds)), known_words(kinds)) if kinds else None


def _with_clap_audio(model: ModelConfig, clap: Path) -> ModelConfig:
    """`model` with CLAP's other branch, by which candidates are ranked."""
    audio = run_of(clap, "clap").facts["model"].get("audio")
    return replace(model, clap_audio=with_overrides(ClapAudioConfig(), audio)) if audio else model


def _stored(network: str, model: ModelConfig, weights: dict[str, np.ndarray]) -> dict[str, Any]:
    shapes = parameter_shapes(network, model)
    found = {}
    for name, shape in shapes.items():
        if name not in weights or weights[name].shape != shape:
            raise CheckpointError(f"{network}.{name}: the runs do not fit each other")
        found[name] = ComputedTensor(shape, lambda name=name: weights[name].astype(np.float32))  # type: ignore[misc]
    return found


def size_of(checkpoint: Checkpoint) -> int:
    """Parameters of all networks."""
    return sum(int(np.prod(tensor.shape)) for network in checkpoint.networks.values() for tensor in network.values())
