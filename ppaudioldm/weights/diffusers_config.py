"""The configuration in the JSON files of a diffusers folder; `diffusers_config_files` is the inverse."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppaudioldm.choices import LCM
from ppaudioldm.config import (
    AUDIOLDM1_GUIDANCE,
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
    short,
    with_head_dim,
)
from ppaudioldm.errors import CheckpointError
from ppaudioldm.storage.documents import json_object
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.weights.components import (
    AUDIOLDM1_COMPONENTS,
    FEATURE_EXTRACTOR,
    SCHEDULER,
    components_of,
)
from ppaudioldm.weights.diffusers_fields import check_names, check_pipeline, check_values
from ppaudioldm.weights.file_kinds import LFS_POINTER, is_lfs_pointer

logger = logging.getLogger(__name__)

CONFIG_LIMIT_BYTES = 1 << 20
DEFAULT_SCALING_FACTOR = 0.18215  # of diffusers' AutoencoderKL, for a config.json without one


def read_config(folder: Path) -> ModelConfig:
    """The configuration in the config.json files of `folder`. Raises CheckpointError."""
    index = _read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
    check_pipeline(index, folder)
    components = components_of(index)
    files = {f"{name}/config.json": _read_json(folder / name / "config.json") for name in components}
    files[SCHEDULER] = _read_json(folder / SCHEDULER)
    if (folder / FEATURE_EXTRACTOR).is_file():
        files[FEATURE_EXTRACTOR] = _read_json(folder / FEATURE_EXTRACTOR)
    configs = {name: files[f"{name}/config.json"] for name in components}
    is_audioldm1 = components == AUDIOLDM1_COMPONENTS
    if not is_audioldm1 and (kind := configs["text_encoder_2"].get("model_type")) not in ("t5", "vits"):
        raise CheckpointError(f"text_encoder_2/config.json: model_type is {short(kind)}, expected 't5' or 'vits'")
    check_values(folder, files)
    try:
        config = (_to_audioldm1_config if is_audioldm1 else _to_config)(configs, files[SCHEDULER])
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        reason = repr(error)[:200]
        raise CheckpointError(f"{folder}: a config.json of this diffusers folder is incomplete: {reason}") from error
    check_names(folder, files)
    return config


def _to_config(configs: Mapping[str, dict[str, Any]], scheduler: dict[str, Any]) -> ModelConfig:
    clap, second, gpt2, vocoder = (
        configs[name] for name in ("text_encoder", "text_encoder_2", "language_model", "vocoder")
    )
    projection, kind = configs["projection_model"], second["model_type"]
    return ModelConfig(
        unet=_unet_config(configs["unet"]),
        vae=_vae_config(configs["vae"], vocoder["model_in_dim"]),
        vocoder=_vocoder_config(vocoder),
        clap_text=_clap_text_config(clap["text_config"]),
        clap_audio=_clap_audio_config(clap["audio_config"]),
        flan_t5=_t5_config(second) if kind == "t5" else None,
        phoneme_encoder=_phoneme_config(second, projection) if kind == "vits" else None,
        gpt2=GPT2Config(gpt2["n_embd"], gpt2["n_layer"], gpt2["n_head"], gpt2["n_positions"]),
        loa=LoaConfig(
            (projection["text_encoder_dim"], projection["text_encoder_1_dim"]),
            # diffusers misspells this field; the correct spelling is accepted too.
            projection.get("langauge_model_dim") or projection["language_model_dim"],
            gpt2.get("max_new_tokens", 8 if kind == "t5" else 512),
        ),
        diffusion=_diffusion_config(scheduler),
    )


def _to_audioldm1_config(configs: Mapping[str, dict[str, Any]], scheduler: dict[str, Any]) -> ModelConfig:
    """Of AudioLDM 1, whose folder has the text branch of CLAP alone."""
    return ModelConfig(
        unet=_audioldm1_unet_config(configs["unet"]),
        vae=_vae_config(configs["vae"], configs["vocoder"]["model_in_dim"]),
        vocoder=_vocoder_config(configs["vocoder"]),
        clap_text=_clap_text_config(configs["text_encoder"]),
        clap_audio=None,
        flan_t5=None,
        gpt2=None,
        loa=None,
        diffusion=_audioldm1_diffusion_config(scheduler),
    )


def _diffusion_config(scheduler: dict[str, Any]) -> DiffusionConfig:
    config = DiffusionConfig(
        num_train_timesteps=scheduler.get("num_train_timesteps", 1000),
        beta_start=scheduler.get("beta_start", 0.0015),
        beta_end=scheduler.get("beta_end", 0.0195),
        prediction={"epsilon": "epsilon", "v_prediction": "v"}[scheduler.get("prediction_type", "epsilon")],
    )
    if scheduler.get("_class_name") == "LCMScheduler":  # distilled, with its guidance
        return replace(config, sampler=LCM, num_inference_steps=4, guidance_scale=1.0)
    return config


def _audioldm1_diffusion_config(scheduler: dict[str, Any]) -> DiffusionConfig:
    config = _diffusion_config(scheduler)
    return config if config.sampler == LCM else replace(config, guidance_scale=AUDIOLDM1_GUIDANCE)


def _unet_config(unet: dict[str, Any]) -> UNetConfig:
    contexts = unet["cross_attention_dim"]
    dims = contexts[0] if isinstance(contexts[0], list) else contexts
    if dims[0] is not None:
        raise ValueError(f"cross_attention_dim {contexts!r} does not begin with a self-attention")
    return _with_heads(unet, _any_unet_config(unet, tuple(dims[1:]), None))


def _audioldm1_unet_config(unet: dict[str, Any]) -> UNetConfig:
    film_dim = unet["projection_class_embeddings_input_dim"]
    return _with_heads(unet, _any_unet_config(unet, (), film_dim))


def _any_unet_config(unet: dict[str, Any], context_dims: tuple[int | None, ...], film_dim: int | None) -> UNetConfig:
    widths = unet["block_out_channels"]
    return UNetConfig(
        in_channels=unet["in_channels"],
        model_channels=widths[0],
        channel_mult=tuple(width // widths[0] for width in widths),
        num_res_blocks=unet["layers_per_block"],
        attention_levels=tuple(i for i, kind in enumerate(unet["down_block_types"]) if kind.startswith("CrossAttn")),
        context_dims=context_dims,
        transformer_depth=unet.get("transformer_layers_per_block", 1),
        film_dim=film_dim,
    )


def _with_heads(unet: dict[str, Any], config: UNetConfig) -> UNetConfig:
    """`config` with the heads that the weights were trained with; a warning where the file says something else."""
    config = with_head_dim(config)
    heads = [width // config.head_dim for width in unet["block_out_channels"]]
    if unet.get("attention_head_dim", 8) != heads:
        # diffusers' own conversion script writes the default 8, with which the network computes something else.
        logger.warning(
            "unet/config.json says attention_head_dim=%.100r; using %.100r heads, as the weights were trained",
            unet.get("attention_head_dim", 8),
            heads,
        )
    return config


def _vae_config(vae: dict[str, Any], n_mels: int) -> VAEConfig:
    widths = vae["block_out_channels"]
    return VAEConfig(
        channels=widths[0],
        channel_mult=tuple(width // widths[0] for width in widths),
        num_res_blocks=vae["layers_per_block"],
        latent_channels=vae["latent_channels"],
        n_mels=n_mels,
        scale_factor=vae.get("scaling_factor", DEFAULT_SCALING_FACTOR),
    )


def _vocoder_config(vocoder: dict[str, Any]) -> HifiGanConfig:
    dilations = vocoder["resblock_dilation_sizes"]
    if any(row != dilations[0] for row in dilations):
        raise ValueError(f"resblock_dilation_sizes {dilations!r} differ between kernels")
    return HifiGanConfig(
        n_mels=vocoder["model_in_dim"],
        sample_rate=vocoder["sampling_rate"],
        upsample_rates=tuple(vocoder["upsample_rates"]),
        upsample_kernels=tuple(vocoder["upsample_kernel_sizes"]),
        initial_channels=vocoder["upsample_initial_channel"],
        resblock_kernels=tuple(vocoder["resblock_kernel_sizes"]),
        resblock_dilations=tuple(dilations[0]),
    )


def _clap_text_config(text: dict[str, Any]) -> ClapTextConfig:
    default = ClapTextConfig()
    return ClapTextConfig(
        vocab_size=text.get("vocab_size", default.vocab_size),
        hidden_size=text.get("hidden_size", default.hidden_size),
        num_layers=text.get("num_hidden_layers", default.num_layers),
        num_heads=text.get("num_attention_heads", default.num_heads),
        intermediate_size=text.get("intermediate_size", default.intermediate_size),
        max_positions=text.get("max_position_embeddings", default.max_positions),
        pad_token_id=text.get("pad_token_id", default.pad_token_id),
        projection_dim=text.get("projection_dim", default.projection_dim),
    )


def _clap_audio_config(audio: dict[str, Any]) -> ClapAudioConfig:
    default = ClapAudioConfig()
    return replace(
        default,
        spec_size=audio.get("spec_size", default.spec_size),
        n_mels=audio.get("num_mel_bins", default.n_mels),
        patch_size=audio.get("patch_size", default.patch_size),
        hidden_size=audio.get("patch_embeds_hidden_size", default.hidden_size),
        depths=tuple(audio.get("depths", default.depths)),
        num_heads=tuple(audio.get("num_attention_heads", default.num_heads)),
        window_size=audio.get("window_size", default.window_size),
        projection_dim=audio.get("projection_dim", default.projection_dim),
    )


def _t5_config(t5: dict[str, Any]) -> T5Config:
    return T5Config(
        vocab_size=t5["vocab_size"],
        hidden_size=t5["d_model"],
        num_layers=t5["num_layers"],
        num_heads=t5["num_heads"],
        head_dim=t5["d_kv"],
        feed_forward_size=t5["d_ff"],
        relative_buckets=t5.get("relative_attention_num_buckets", 32),
        relative_max_distance=t5.get("relative_attention_max_distance", 128),
    )


def _phoneme_config(vits: dict[str, Any], projection: dict[str, Any]) -> PhonemeEncoderConfig:
    """From a VitsModel, of which the text encoder is used; its position table belongs to the projection model."""
    default = PhonemeEncoderConfig()
    return PhonemeEncoderConfig(
        vocab_size=vits["vocab_size"],
        hidden_size=vits.get("hidden_size", default.hidden_size),
        num_layers=vits.get("num_hidden_layers", default.num_layers),
        num_heads=vits.get("num_attention_heads", default.num_heads),
        feed_forward_size=vits.get("ffn_dim", default.feed_forward_size),
        window_size=vits.get("window_size", default.window_size),
        max_phonemes=projection["max_seq_length"],
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if is_lfs_pointer(path):
            raise CheckpointError(f"{path}: {LFS_POINTER}")
        return json_object(read_bounded(path, CONFIG_LIMIT_BYTES))
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        missing = "a link to a file that does not exist" if path.is_symlink() else "not found"
        raise CheckpointError(f"{path}: {missing}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error
