"""The config.json files of a diffusers folder, converted to our configuration and back."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.weights.components import (
    AUDIOLDM1_COMPONENTS,
    AUDIOLDM1_PIPELINE,
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
        diffusion=replace(_diffusion_config(scheduler), guidance_scale=AUDIOLDM1_GUIDANCE),
    )


def _diffusion_config(scheduler: dict[str, Any]) -> DiffusionConfig:
    return DiffusionConfig(
        num_train_timesteps=scheduler.get("num_train_timesteps", 1000),
        beta_start=scheduler.get("beta_start", 0.0015),
        beta_end=scheduler.get("beta_end", 0.0195),
        prediction={"epsilon": "epsilon", "v_prediction": "v"}[scheduler.get("prediction_type", "epsilon")],
    )


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
        values = json.loads(read_bounded(path, CONFIG_LIMIT_BYTES))
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        missing = "a link to a file that does not exist" if path.is_symlink() else "not found"
        raise CheckpointError(f"{path}: {missing}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return values


def write_configs(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """Path -> content of every JSON file of a diffusers folder for `config`: the inverse of `read_config`.

    Fields that our configuration lacks have the values of diffusers' own conversion script.
    """
    parts = _audioldm1_configs(config) if config.unet.is_audioldm1 else _audioldm2_configs(config)
    return {
        **parts,
        "vae/config.json": _vae_json(config.vae),
        "tokenizer/tokenizer_config.json": {"tokenizer_class": "RobertaTokenizerFast", "model_max_length": 512},
        "vocoder/config.json": _vocoder_json(config.vocoder),
        "scheduler/scheduler_config.json": _scheduler_json(config.diffusion),
    }


def _audioldm1_configs(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """The files of a folder of AudioLDM 1 that differ from AudioLDM 2's."""
    unet, text = config.unet, config.clap_text
    assert text
    unet_json = _unet_json(unet)
    return {
        "model_index.json": {
            "_class_name": AUDIOLDM1_PIPELINE,
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "ClapTextModelWithProjection"],
            "tokenizer": ["transformers", "RobertaTokenizerFast"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "vocoder": ["transformers", "SpeechT5HifiGan"],
        },
        "unet/config.json": {
            **unet_json,
            "_class_name": "UNet2DConditionModel",
            "sample_size": 128,
            # Attention is to the features themselves.
            "cross_attention_dim": unet_json["block_out_channels"],
            "class_embed_type": "simple_projection",
            "projection_class_embeddings_input_dim": unet.film_dim,
            "class_embeddings_concat": True,
        },
        "text_encoder/config.json": {"architectures": ["ClapTextModelWithProjection"], **_clap_text_json(text)},
    }


def _audioldm2_configs(config: ModelConfig) -> dict[str, dict[str, Any]]:
    unet, text, audio = config.unet, config.clap_text, config.clap_audio
    t5, phonemes, gpt2, loa = config.flan_t5, config.phoneme_encoder, config.gpt2, config.loa
    assert text and audio and (t5 or phonemes) and gpt2 and loa
    return {
        "model_index.json": {
            "_class_name": "AudioLDM2Pipeline",
            "feature_extractor": ["transformers", "ClapFeatureExtractor"],
            "language_model": ["transformers", "GPT2LMHeadModel"],
            "projection_model": ["audioldm2", "AudioLDM2ProjectionModel"],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "ClapModel"],
            "text_encoder_2": ["transformers", "VitsModel" if phonemes else "T5EncoderModel"],
            "tokenizer": ["transformers", "RobertaTokenizerFast"],
            "tokenizer_2": ["transformers", "VitsTokenizer" if phonemes else "T5TokenizerFast"],
            "unet": ["audioldm2", "AudioLDM2UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "vocoder": ["transformers", "SpeechT5HifiGan"],
        },
        "unet/config.json": {
            **_unet_json(unet),
            "_class_name": "AudioLDM2UNet2DConditionModel",
            "sample_size": 256,
            "cross_attention_dim": [[None, *unet.context_dims] for _ in unet.channel_mult],
        },
        "text_encoder/config.json": {
            "model_type": "clap",
            "architectures": ["ClapModel"],
            "projection_dim": text.projection_dim,
            "hidden_size": text.hidden_size,
            "text_config": _clap_text_json(text),
            "audio_config": {
                "model_type": "clap_audio_model",
                "spec_size": audio.spec_size,
                "num_mel_bins": audio.n_mels,
                "patch_size": audio.patch_size,
                "patch_stride": [audio.patch_size, audio.patch_size],
                "patch_embeds_hidden_size": audio.hidden_size,
                "hidden_size": audio.hidden_size * 2 ** (len(audio.depths) - 1),
                "depths": list(audio.depths),
                "num_hidden_layers": len(audio.depths),
                "num_attention_heads": list(audio.num_heads),
                "window_size": audio.window_size,
                "projection_dim": audio.projection_dim,
                "enable_fusion": False,
            },
        },
        "text_encoder_2/config.json": _vits_json(phonemes) if phonemes else _t5_json(t5),
        "language_model/config.json": {
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "n_embd": gpt2.hidden_size,
            "n_layer": gpt2.num_layers,
            "n_head": gpt2.num_heads,
            "n_positions": gpt2.max_positions,
            "max_new_tokens": loa.num_tokens,
        },
        "tokenizer_2/tokenizer_config.json": (
            {"tokenizer_class": "VitsTokenizer", "model_max_length": phonemes.max_phonemes, "pad_token": "_"}
            if phonemes
            else {"tokenizer_class": "T5TokenizerFast", "model_max_length": 128}
        ),
        "feature_extractor/preprocessor_config.json": {
            "feature_extractor_type": "ClapFeatureExtractor",
            "feature_size": audio.n_mels,
            "sampling_rate": audio.sample_rate,
            "hop_length": 480,
            "max_length_s": 10,
            "fft_window_size": 1024,
            "frequency_min": 50,
            "frequency_max": 14000,
            "truncation": "rand_trunc",
            "padding": "repeatpad",
        },
        "projection_model/config.json": {
            "_class_name": "AudioLDM2ProjectionModel",
            "text_encoder_dim": loa.condition_dims[0],
            "text_encoder_1_dim": loa.condition_dims[1],
            "langauge_model_dim": loa.hidden_size,  # spelt as diffusers spells it
            **({"use_learned_position_embedding": True, "max_seq_length": phonemes.max_phonemes} if phonemes else {}),
        },
    }


def _unet_json(unet: UNetConfig) -> dict[str, Any]:
    """The fields that AudioLDM 1 and 2 share."""
    has_attention = [level in unet.attention_levels for level in range(len(unet.channel_mult))]
    return {
        "in_channels": unet.in_channels,
        "out_channels": unet.in_channels,
        "down_block_types": ["CrossAttnDownBlock2D" if has else "DownBlock2D" for has in has_attention],
        "up_block_types": ["CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(has_attention)],
        "block_out_channels": [unet.model_channels * mult for mult in unet.channel_mult],
        "layers_per_block": unet.num_res_blocks,
        "transformer_layers_per_block": unet.transformer_depth,
        "attention_head_dim": [unet.model_channels * mult // unet.head_dim for mult in unet.channel_mult],
    }


def _vae_json(vae: VAEConfig) -> dict[str, Any]:
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": 1024,
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ["DownEncoderBlock2D"] * len(vae.channel_mult),
        "up_block_types": ["UpDecoderBlock2D"] * len(vae.channel_mult),
        "block_out_channels": [vae.channels * mult for mult in vae.channel_mult],
        "latent_channels": vae.latent_channels,
        "layers_per_block": vae.num_res_blocks,
        "scaling_factor": vae.scale_factor,
    }


def _clap_text_json(text: ClapTextConfig) -> dict[str, Any]:
    return {
        "model_type": "clap_text_model",
        "vocab_size": text.vocab_size,
        "hidden_size": text.hidden_size,
        "num_hidden_layers": text.num_layers,
        "num_attention_heads": text.num_heads,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_positions,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": text.pad_token_id,
        "projection_dim": text.projection_dim,
    }


def _vocoder_json(vocoder: HifiGanConfig) -> dict[str, Any]:
    return {
        "model_type": "hifigan",
        "architectures": ["SpeechT5HifiGan"],
        "model_in_dim": vocoder.n_mels,
        "sampling_rate": vocoder.sample_rate,
        "upsample_initial_channel": vocoder.initial_channels,
        "upsample_rates": list(vocoder.upsample_rates),
        "upsample_kernel_sizes": list(vocoder.upsample_kernels),
        "resblock_kernel_sizes": list(vocoder.resblock_kernels),
        "resblock_dilation_sizes": [list(vocoder.resblock_dilations) for _ in vocoder.resblock_kernels],
        "normalize_before": False,
    }


def _scheduler_json(diffusion: DiffusionConfig) -> dict[str, Any]:
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": diffusion.num_train_timesteps,
        "beta_start": diffusion.beta_start,
        "beta_end": diffusion.beta_end,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "prediction_type": {"epsilon": "epsilon", "v": "v_prediction"}[diffusion.prediction],
        "timestep_spacing": "leading",
    }


def _t5_json(t5: T5Config | None) -> dict[str, Any]:
    assert t5
    return {
        "model_type": "t5",
        "architectures": ["T5EncoderModel"],
        "vocab_size": t5.vocab_size,
        "d_model": t5.hidden_size,
        "d_kv": t5.head_dim,
        "d_ff": t5.feed_forward_size,
        "num_layers": t5.num_layers,
        "num_heads": t5.num_heads,
        "feed_forward_proj": "gated-gelu",
        "relative_attention_num_buckets": t5.relative_buckets,
        "relative_attention_max_distance": t5.relative_max_distance,
    }


def _vits_json(phonemes: PhonemeEncoderConfig) -> dict[str, Any]:
    return {
        "model_type": "vits",
        "architectures": ["VitsModel"],
        "vocab_size": phonemes.vocab_size,
        "hidden_size": phonemes.hidden_size,
        "num_hidden_layers": phonemes.num_layers,
        "num_attention_heads": phonemes.num_heads,
        "window_size": phonemes.window_size,
        "ffn_dim": phonemes.feed_forward_size,
        "ffn_kernel_size": 3,
        "hidden_act": "relu",
        "layer_norm_eps": 1e-5,
        "use_bias": True,
    }
