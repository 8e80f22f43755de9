"""The layout of ConsistencyTTA: a folder with a file of the UNet, one of VAE and vocoder, and FLAN-T5 beside them.

Keys here begin with what a tensor is a part of: `unet/conv_in.weight`, `vae/decoder.conv_in.weight`, `flan_t5/...`.
Source: github.com/Bai-YT/ConsistencyTTA, commit 8ea43b6; its UNet has the key names of diffusers' of 2023.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ppaudioldm.config import CONSISTENCYTTA_DIFFUSION, CONSISTENCYTTA_HEAD_DIM, ModelConfig, UNetConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights import diffusers, original, original_config
from ppaudioldm.weights.consistencytta_files import T5_FILE, T5_FOLDER, T5_REPO, UNET_FILE, VAE_FILE
from ppaudioldm.weights.hub import fetch_file
from ppaudioldm.weights.mapping import Placement, apply_rules
from ppaudioldm.weights.safetensors_files import read_safetensors, read_weights_folder
from ppaudioldm.weights.tensors import LazyTensor
from ppaudioldm.weights.torch_files import read_torch, read_torch_number
from ppaudioldm.weights.weight_norm import without_weight_norm

T5_STEMS = ("model", "pytorch_model")
T5_MAX_TOKENS = 512  # of its tokenizer
SCALE_FACTOR = "scale_factor"  # beside the state dict of VAE_FILE
VOCODER = "vae/vocoder."

# Of FLAN-T5, whose encoder alone is used, in the files that are published for all of it.
IGNORED = re.compile(r"flan_t5/(decoder\..*|lm_head\.weight)|.*\.(position_ids|num_batches_tracked)|vae/loss\..*")


def read_folder(folder: Path) -> dict[str, LazyTensor]:
    """Every tensor of the published files in `folder`, and of FLAN-T5: from its folder there, or from the hub."""
    t5 = folder / T5_FOLDER
    parts: dict[str, Mapping[str, LazyTensor]] = {
        "unet": read_torch(folder / UNET_FILE),
        "vae": without_weight_norm(read_torch(folder / VAE_FILE)),
        "flan_t5": read_weights_folder(t5, T5_STEMS) if t5.is_dir() else read_safetensors(fetch_file(T5_REPO, T5_FILE)),
    }
    return {f"{part}/{key}": tensor for part, tensors in parts.items() for key, tensor in tensors.items()}


def read_config(tensors: Mapping[str, LazyTensor], folder: Path) -> ModelConfig:
    """The configuration of `read_folder(folder)`, inferred from the shapes. Raises CheckpointError."""
    scale_factor = read_torch_number(folder / VAE_FILE, SCALE_FACTOR)
    if scale_factor is None:
        raise CheckpointError(f"{folder / VAE_FILE}: no {SCALE_FACTOR} beside the state dict")
    shapes = original_config.Shapes(tensors)
    return original_config.inferred(lambda: _config(shapes, scale_factor), str(folder), "a ConsistencyTTA checkpoint")


def _config(shapes: original_config.ShapesOf, scale_factor: float) -> ModelConfig:
    vocoder = original_config.vocoder_config(shapes, VOCODER)
    return ModelConfig(
        unet=_unet_config(shapes),
        vae=original_config.vae_config(shapes, vocoder.n_mels, scale_factor, "vae/"),
        vocoder=vocoder,
        clap_text=None,
        clap_audio=None,
        flan_t5=replace(original_config.t5_config(shapes, "flan_t5/"), max_tokens=T5_MAX_TOKENS),
        gpt2=None,
        loa=None,
        diffusion=CONSISTENCYTTA_DIFFUSION,
    )


def _unet_config(shapes: original_config.ShapesOf) -> UNetConfig:
    first, in_channels = shapes["unet/conv_in.weight"][:2]
    count = original_config.count
    levels = count(shapes, r"unet/down_blocks\.(\d+)\..*")
    widths = [shapes[f"unet/down_blocks.{i}.resnets.0.conv2.weight"][0] for i in range(levels)]
    transformer = "unet/mid_block.attentions.0.transformer_blocks"
    return UNetConfig(
        in_channels=in_channels,
        model_channels=first,
        channel_mult=tuple(width // first for width in widths),
        num_res_blocks=count(shapes, r"unet/down_blocks\.0\.resnets\.(\d+)\..*"),
        attention_levels=tuple(
            i for i in range(levels) if f"unet/down_blocks.{i}.attentions.0.proj_in.weight" in shapes
        ),
        head_dim=CONSISTENCYTTA_HEAD_DIM,
        context_dims=(shapes[f"{transformer}.0.attn2.to_k.weight"][1],),
        transformer_depth=count(shapes, re.escape(transformer) + r"\.(\d+)\..*"),
        transformers="tango",
        guidance_dim=2 * shapes["unet/guidance_proj.weight"][0],
    )


def layout(config: ModelConfig) -> Callable[[str, str], Sequence[Placement]]:
    """The published layout of a checkpoint of `config`."""
    levels = len(config.vae.channel_mult)
    sides = {f"vae_{side}": original.vae_rules(side, levels) for side in ("encoder", "decoder")}

    def placements(network: str, name: str) -> Sequence[Placement]:
        if network == "unet":
            return [diffusers.unet_placement(config.unet, name)]
        if network in sides:
            return [apply_rules(sides[network], name, "vae/")]
        if network == "vocoder":
            stacks = len(config.vocoder.resblock_kernels)
            return [original.vocoder_placement(name, stacks, prefix=VOCODER)]
        assert network == "flan_t5", network
        return original.t5_placements(name, "flan_t5/")

    return placements
