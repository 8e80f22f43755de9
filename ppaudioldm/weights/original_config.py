"""The configuration of a file in the published layout, inferred from the shapes of its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ppaudioldm.config import (
    AUDIOLDM1_GUIDANCE,
    AudioMAEConfig,
    ClapAudioConfig,
    ClapTextConfig,
    DiffusionConfig,
    GPT2Config,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    PhonemeEncoderConfig,
    T5Config,
    UNetConfig,
    VAEConfig,
    with_head_dim,
)
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.original import AUDIOLDM1_CLAP, AUDIOMAE, PHONEMES, RANKING_CLAP, UNET, VAE, VOCODER
from ppaudioldm.weights.tensors import LazyTensor

ShapesOf = Mapping[str, tuple[int, ...]]
Config = TypeVar("Config")

# What the shapes of a vocoder leave open: upsampling kernels -> rates, and number of mel bins -> sample rate in Hz.
UPSAMPLE_RATES = {(16, 16, 8, 4, 4): (5, 4, 2, 2, 2), (12, 10, 8, 4, 4): (6, 5, 4, 2, 2)}
SAMPLE_RATES = {64: 16000, 256: 48000}
POSITIONS = f"{PHONEMES}learnable_positional_embedding"  # only speech checkpoints have it
MOST_STAGES = 8  # each costs a pass over all keys


def read_config(shapes: ShapesOf, scale_factor: float, where: str) -> ModelConfig:
    """The configuration of the checkpoint whose tensors have `shapes`.

    scale_factor: of the VAE's latents. Raises CheckpointError if this is no checkpoint of AudioLDM 1 or 2; `where`
    names the file in it.
    """
    return inferred(lambda: _read_config(shapes, scale_factor), where, "an AudioLDM checkpoint")


def inferred(read: Callable[[], ModelConfig], where: str, what: str) -> ModelConfig:
    """What `read` infers from shapes. Raises CheckpointError if this is not `what`; `where` names the file in it."""
    try:
        return read()
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{where}: not {what} ({error} not found)") from error
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"{where}: not {what} (strange shapes: {error})") from error


class Shapes(Mapping[str, tuple[int, ...]]):
    """The shapes of tensors, of which those that cannot be read raise an error only when they are asked for."""

    def __init__(self, tensors: Mapping[str, LazyTensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, key: str) -> tuple[int, ...]:
        return self._tensors[key].shape

    def __contains__(self, key: object) -> bool:
        return key in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _read_config(shapes: ShapesOf, scale_factor: float) -> ModelConfig:
    vocoder = vocoder_config(shapes, VOCODER)
    has_loa = "cond_stage_models.0.start_of_sequence_tokens.weight" in shapes
    has_phonemes = has_loa and POSITIONS in shapes
    has_audiomae = has_loa and f"{AUDIOMAE}patch_embed.proj.weight" in shapes
    num_tokens = 512 if has_phonemes else 8
    unet = unet_config(shapes)
    # Ranking alone needs the first; a file without it may have the copy that conditions the diffusion, or none.
    conditioning = "cond_stage_models.0.cond_stage_models.0.model." if has_loa else "cond_stage_models.0.model."
    copies = [AUDIOLDM1_CLAP] if unet.is_audioldm1 else [RANKING_CLAP, conditioning]
    text, audio = (_first_prefix(shapes, copies, branch) for branch in ("text_branch.", "audio_branch."))
    # The copy that conditions the diffusion, or the one inside the LOA module.
    t5_copies = ["1.model.", "0.cond_stage_models.1.model."] if has_loa else ["0.model."]
    t5_prefixes = [f"cond_stage_models.{copy}" for copy in t5_copies]
    t5_prefixes = [prefix for prefix in t5_prefixes if f"{prefix}encoder.final_layer_norm.weight" in shapes]
    return ModelConfig(
        unet=unet,
        vae=vae_config(shapes, vocoder.n_mels, scale_factor),
        vocoder=vocoder,
        clap_text=clap_text_config(shapes, f"{text}text_branch.", f"{text}text_projection.0") if text else None,
        clap_audio=_clap_audio_config(shapes, audio, unet.is_audioldm1) if audio else None,
        flan_t5=t5_config(shapes, t5_prefixes[0]) if t5_prefixes else None,
        phoneme_encoder=_phoneme_config(shapes) if has_phonemes else None,
        gpt2=gpt2_config(shapes, "cond_stage_models.0.model.") if has_loa else None,
        loa=_loa_config(shapes, num_tokens) if has_loa else None,
        audiomae=_audiomae_config(shapes, num_tokens) if has_audiomae else None,
        diffusion=DiffusionConfig(guidance_scale=AUDIOLDM1_GUIDANCE) if unet.is_audioldm1 else DiffusionConfig(),
    )


def _clap_audio_config(shapes: ShapesOf, prefix: str, is_audioldm1: bool) -> ClapAudioConfig:
    config = clap_audio_config(shapes, f"{prefix}audio_branch.", f"{prefix}audio_projection.0")
    return replace(config, short_input="repeated") if is_audioldm1 else config


def _first_prefix(shapes: ShapesOf, prefixes: Sequence[str], branch: str) -> str | None:
    """The first of `prefixes` under which there is a tensor of `branch`; None if there is none."""
    return next((prefix for prefix in prefixes if any(key.startswith(prefix + branch) for key in shapes)), None)


def unet_config(shapes: ShapesOf) -> UNetConfig:
    first = shapes[f"{UNET}input_blocks.0.0.weight"]
    down = [i for i in range(1, 100) if f"{UNET}input_blocks.{i}.0.op.weight" in shapes]
    num_res_blocks = down[0] - 1
    blocks = count(shapes, UNET + r"input_blocks\.(\d+)\.0\..*")
    widths = [
        shapes[f"{UNET}input_blocks.{1 + level * (num_res_blocks + 1)}.0.out_layers.3.weight"][0]
        for level in range(blocks // (num_res_blocks + 1))
    ]
    attention = [
        level
        for level in range(len(widths))
        if f"{UNET}input_blocks.{1 + level * (num_res_blocks + 1)}.1.norm.weight" in shapes
    ]
    transformers = count(shapes, UNET + r"middle_block\.(\d+)\.transformer_blocks\..*", start=1)
    film = shapes.get(f"{UNET}film_emb.weight")
    config = UNetConfig(
        in_channels=first[1],
        model_channels=first[0],
        channel_mult=tuple(width // first[0] for width in widths),
        num_res_blocks=num_res_blocks,
        attention_levels=tuple(attention),
        context_dims=tuple(_context_dim(shapes, attention, num_res_blocks, k) for k in range(2, transformers + 1)),
        transformer_depth=count(shapes, UNET + r"middle_block\.1\.transformer_blocks\.(\d+)\..*"),
        film_dim=film[1] if film else None,
    )
    return with_head_dim(config)


def _context_dim(shapes: ShapesOf, levels: list[int], num_res_blocks: int, transformer: int) -> int | None:
    """Width of a transformer's context; None if it equals the width of the features at every level: self-attention."""
    keys = [
        f"{UNET}input_blocks.{1 + level * (num_res_blocks + 1)}.{transformer}.transformer_blocks.0.attn2.to_k.weight"
        for level in levels
    ]
    return None if all(shapes[key][0] == shapes[key][1] for key in keys) else shapes[keys[0]][1]


def vae_config(shapes: ShapesOf, n_mels: int, scale_factor: float, prefix: str = VAE) -> VAEConfig:
    first = shapes[f"{prefix}encoder.conv_in.weight"][0]
    levels = count(shapes, prefix + r"encoder\.down\.(\d+)\..*")
    widths = [shapes[f"{prefix}encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels)]
    return VAEConfig(
        channels=first,
        channel_mult=tuple(width // first for width in widths),
        num_res_blocks=count(shapes, prefix + r"encoder\.down\.0\.block\.(\d+)\..*"),
        latent_channels=shapes[f"{prefix}post_quant_conv.weight"][0],
        n_mels=n_mels,
        scale_factor=scale_factor,
    )


def vocoder_config(shapes: ShapesOf, prefix: str) -> HifiGanConfig:
    initial, n_mels, _ = shapes[f"{prefix}conv_pre.weight"]
    kernels = tuple(shapes[f"{prefix}ups.{i}.weight"][2] for i in range(count(shapes, prefix + r"ups\.(\d+)\..*")))
    if kernels not in UPSAMPLE_RATES or n_mels not in SAMPLE_RATES:
        raise ValueError(
            f"the vocoder has upsampling kernels {kernels} and {n_mels} mel bins, expected kernels"
            f" {' or '.join(map(str, UPSAMPLE_RATES))} and {' or '.join(map(str, SAMPLE_RATES))} mel bins"
        )
    stacks = count(shapes, prefix + r"resblocks\.(\d+)\..*") // len(kernels)
    return HifiGanConfig(
        n_mels=n_mels,
        sample_rate=SAMPLE_RATES[n_mels],
        upsample_rates=UPSAMPLE_RATES[kernels],
        upsample_kernels=kernels,
        initial_channels=initial,
        resblock_kernels=tuple(shapes[f"{prefix}resblocks.{i}.convs1.0.weight"][2] for i in range(stacks)),
        resblock_dilations=HifiGanConfig.resblock_dilations,
    )


def clap_text_config(shapes: ShapesOf, prefix: str, projection: str) -> ClapTextConfig:
    vocab_size, hidden_size = shapes[f"{prefix}embeddings.word_embeddings.weight"]
    return ClapTextConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=count(shapes, re.escape(prefix) + r"encoder\.layer\.(\d+)\..*"),
        num_heads=_heads(hidden_size, 64),
        intermediate_size=shapes[f"{prefix}encoder.layer.0.intermediate.dense.weight"][0],
        max_positions=shapes[f"{prefix}embeddings.position_embeddings.weight"][0],
        projection_dim=shapes[f"{projection}.weight"][0],
    )


def clap_audio_config(shapes: ShapesOf, prefix: str, projection: str) -> ClapAudioConfig:
    stages = count(shapes, re.escape(prefix) + r"layers\.(\d+)\..*")
    if stages > MOST_STAGES:
        raise ValueError(f"{stages} stages in CLAP's audio branch, expected at most {MOST_STAGES}")
    tables = [shapes[f"{prefix}layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(stages)]
    hidden_size, _, patch_size, _ = shapes[f"{prefix}patch_embed.proj.weight"]
    n_mels = shapes[f"{prefix}bn0.weight"][0]
    return ClapAudioConfig(
        n_mels=n_mels,
        patch_size=patch_size,
        hidden_size=hidden_size,
        depths=tuple(count(shapes, re.escape(prefix) + rf"layers\.{i}\.blocks\.(\d+)\..*") for i in range(stages)),
        num_heads=tuple(table[1] for table in tables),
        window_size=(round(tables[0][0] ** 0.5) + 1) // 2,
        projection_dim=shapes[f"{projection}.weight"][0],
    )


def t5_config(shapes: ShapesOf, prefix: str) -> T5Config:
    table = f"{prefix}shared.weight"
    vocab_size, hidden_size = shapes[table if table in shapes else f"{prefix}encoder.embed_tokens.weight"]
    attention = f"{prefix}encoder.block.0.layer.0.SelfAttention."
    buckets, heads = shapes[f"{attention}relative_attention_bias.weight"]
    return T5Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=count(shapes, re.escape(prefix) + r"encoder\.block\.(\d+)\..*"),
        num_heads=heads,
        head_dim=shapes[f"{attention}q.weight"][0] // heads,
        feed_forward_size=shapes[f"{prefix}encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
        relative_buckets=buckets,
    )


def gpt2_config(shapes: ShapesOf, prefix: str) -> GPT2Config:
    max_positions, hidden_size = shapes[f"{prefix}wpe.weight"]
    return GPT2Config(
        hidden_size=hidden_size,
        num_layers=count(shapes, re.escape(prefix) + r"h\.(\d+)\..*"),
        num_heads=_heads(hidden_size, 64),
        max_positions=max_positions,
    )


def _phoneme_config(shapes: ShapesOf) -> PhonemeEncoderConfig:
    encoder = f"{PHONEMES}text_encoder.encoder."
    vocab_size, hidden_size = shapes[f"{PHONEMES}text_encoder.emb.weight"]
    _, distances, head_dim = shapes[f"{encoder}attn_layers.0.emb_rel_k"]
    return PhonemeEncoderConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=count(shapes, re.escape(encoder) + r"attn_layers\.(\d+)\..*"),
        num_heads=_heads(hidden_size, head_dim),
        feed_forward_size=shapes[f"{encoder}ffn_layers.0.conv_1.weight"][0],
        window_size=distances // 2,
        max_phonemes=shapes[POSITIONS][2],
    )


def _loa_config(shapes: ShapesOf, num_tokens: int) -> LoaConfig:
    prefix = "cond_stage_models.0.input_sequence_embed_linear."
    dims = tuple(shapes[f"{prefix}{i}.weight"][1] for i in range(count(shapes, prefix + r"(\d+)\..*")))
    return LoaConfig(dims, shapes[f"{prefix}0.weight"][0], num_tokens)


def _audiomae_config(shapes: ShapesOf, num_tokens: int) -> AudioMAEConfig:
    hidden_size, _, patch_size, _ = shapes[f"{AUDIOMAE}patch_embed.proj.weight"]
    patches = shapes[f"{AUDIOMAE}pos_embed"][1] - 1  # the first position is the class token's
    return AudioMAEConfig(
        patch_size=patch_size,
        hidden_size=hidden_size,
        num_layers=count(shapes, re.escape(AUDIOMAE) + r"blocks\.(\d+)\..*"),
        num_heads=_heads(hidden_size, 64),
        pooling=math.isqrt(patches // num_tokens),
    )


def _heads(width: int, head_dim: int) -> int:
    """The number of heads of width `head_dim`, which is 64 in RoBERTa, GPT-2 and ViT of every size."""
    if width % head_dim:
        raise ValueError(f"a width of {width}, expected a multiple of {head_dim}")
    return width // head_dim


def count(shapes: ShapesOf, pattern: str, start: int = 0) -> int:
    """How many consecutive numbers, from `start` on, the first group of `pattern` matches among the keys."""
    compiled = re.compile(pattern)
    numbers = {int(match[1]) for key in shapes if (match := compiled.fullmatch(key))}
    found = 0
    while start + found in numbers:
        found += 1
    return found
