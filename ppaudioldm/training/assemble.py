"""Assembling a checkpoint from the averaged weights of finished training runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.config import AudioMAEConfig, ClapAudioConfig, HifiGanConfig, ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.training.audiomae import normalise_tokens
from ppaudioldm.training.distill import DistillSettings, DistillStage, distilled_model
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.lora import NETWORK as LORA
from ppaudioldm.training.lora import LoraSettings, adapter_of
from ppaudioldm.training.pretrained import statistics_of
from ppaudioldm.training.runs import averaged_weights, open_run
from ppaudioldm.training.settings import with_overrides
from ppaudioldm.training.state import load_state
from ppaudioldm.training.vae import fold_normalisation
from ppaudioldm.training.vocabulary import trained_tokenizer
from ppaudioldm.training.vocoder import fold_normalisation as fold_vocoder_normalisation
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint
from ppaudioldm.weights.config_check import check_config
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from ppaudioldm.weights.lora_merge import with_adapters
from ppaudioldm.weights.tensors import ComputedTensor


def assemble_checkpoint(
    joint: Path, decoder: Path | None = None, vocoder: Path | None = None, name: str = ""
) -> Checkpoint:
    """The checkpoint of the run `joint`, of the joint stage, and of the runs that it names in its settings.

    Or, of a run of the stage `distill`, what it distilled. decoder: a run of the VAE stage that continued training the
    decoder. vocoder: a run of the vocoder stage; without one the checkpoint uses Griffin-Lim. Raises CheckpointError
    for a folder without a run, or one of another stage.
    """
    state = load_state(joint)
    if state is not None and state.facts.get("stage") == DistillStage.name:
        if decoder or vocoder:
            raise CheckpointError(f"{joint}: distills a checkpoint, which has its own decoder and vocoder")
        return distilled_checkpoint(joint, name or joint.name)
    facts = open_run(joint, "joint").facts
    settings: JointSettings = with_overrides(JointSettings(), facts["settings"])
    known = known_sounds(facts["model"].get("sounds"), speaks=settings.model.phoneme_encoder is not None)
    if settings.checkpoint:
        if decoder or vocoder:
            raise CheckpointError(f"{joint}: fine-tunes {settings.checkpoint}, which has its own decoder and vocoder")
        return _fine_tuned(joint, settings, known, name or joint.name)
    weights = {
        **averaged_weights(Path(settings.clap), "clap"),
        **averaged_weights(Path(settings.vae), "vae"),
        **averaged_weights(joint, "joint"),
    }
    if decoder:
        start = open_run(decoder, "vae").facts["settings"]["start"]
        if Path(start).resolve() != Path(settings.vae).resolve():
            raise CheckpointError(
                f"{decoder}: continues the VAE of {start!r}, but {joint} was trained on latents of {settings.vae!r}"
            )
        weights["vae_decoder"] = averaged_weights(decoder, "vae")["vae_decoder"]
    latents = statistics_of(facts["model"]["latents"])
    encoder, trained_decoder = weights["vae_encoder"], weights["vae_decoder"]
    weights["vae_encoder"], weights["vae_decoder"] = fold_normalisation(encoder, trained_decoder, *latents)
    model = _with_clap_audio(settings.model, Path(settings.clap))
    if settings.audiomae:  # optional: generation from text does without
        weights |= averaged_weights(Path(settings.audiomae), "audiomae")
        if loa := facts["model"].get("loa"):
            weights["audiomae"] = normalise_tokens(weights["audiomae"], *statistics_of(loa))
        encoder_config = open_run(Path(settings.audiomae), "audiomae").facts["model"]["encoder"]
        model = replace(model, audiomae=with_overrides(AudioMAEConfig(), encoder_config))
    if vocoder:
        weights["vocoder"] = fold_vocoder_normalisation(averaged_weights(vocoder, "vocoder")["vocoder"])
        vocoder_config = with_overrides(HifiGanConfig(), open_run(vocoder, "vocoder").facts["model"]["vocoder"])
        model = replace(model, vocoder=vocoder_config)
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
        lambda kind: trained_tokenizer(kind, folder),
        networks,
        known_sounds=known,
    )


def _fine_tuned(joint: Path, settings: JointSettings, known: KnownSounds | None, name: str) -> Checkpoint:
    """The checkpoint that a run fine-tuned."""
    original = open_checkpoint(settings.checkpoint)
    return replace(_trained_further(original, joint, "joint", settings.model, settings.lora, name), known_sounds=known)


def distilled_checkpoint(run: Path, name: str) -> Checkpoint:
    """What a run of the stage `distill` distilled, which by default is sampled in few steps."""
    settings: DistillSettings = with_overrides(DistillSettings(), open_run(run, DistillStage.name).facts["settings"])
    original = open_checkpoint(settings.checkpoint)
    model = distilled_model(original.config, settings)
    return _trained_further(original, run, DistillStage.name, model, settings.lora, name)


def _trained_further(
    original: Checkpoint, run: Path, stage: str, model: ModelConfig, lora: LoraSettings, name: str
) -> Checkpoint:
    """`original` under its licence, with the networks that `run` trained in place of its own, or with their adapter."""
    learned = averaged_weights(run, stage)
    if adapter := learned.pop(LORA, None):
        original = with_adapters(original, [(adapter_of(adapter, lora, str(run)), 1.0)])
    stored = {network: _stored(network, model, weights) for network, weights in learned.items()}
    return replace(original, name=name, layout="native", config=model, networks={**original.networks, **stored})


def known_sounds(kinds: Sequence[str] | None, speaks: bool = False) -> KnownSounds | None:
    """The sounds that a model can generate which was trained on `kinds` of sound; of one that speaks, the speakers."""
    from ppaudioldm.sounds import catalogue, collection
    from ppaudioldm.sounds.speech import speakers

    if not kinds:
        return None
    # Runs from before the collection have kinds of the former catalogue.
    of_sounds = collection if set(kinds) <= set(collection.KINDS) else catalogue
    of: Any = speakers if speaks else of_sounds
    return KnownSounds(tuple(Sound(*texts) for texts in of.describe(kinds)), of.known_words(kinds))


def _with_clap_audio(model: ModelConfig, clap: Path) -> ModelConfig:
    """`model` with CLAP's audio encoder, which ranks candidates."""
    audio = open_run(clap, "clap").facts["model"].get("audio")
    return replace(model, clap_audio=with_overrides(ClapAudioConfig(), audio)) if audio else model


def _stored(network: str, model: ModelConfig, weights: dict[str, np.ndarray]) -> dict[str, Any]:
    shapes = parameter_shapes(network, model)
    tensors = {}
    for name, shape in shapes.items():
        if name not in weights or weights[name].shape != shape:
            raise CheckpointError(f"{network}.{name}: the runs do not fit each other, expected the shape {list(shape)}")
        tensors[name] = ComputedTensor(shape, lambda name=name: weights[name].astype(np.float32))  # type: ignore[misc]
    return tensors


def count_parameters(checkpoint: Checkpoint) -> int:
    """The number of parameters of all networks."""
    return sum(int(np.prod(tensor.shape)) for network in checkpoint.networks.values() for tensor in network.values())
