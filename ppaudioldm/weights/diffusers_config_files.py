"""The JSON files of a diffusers folder for a configuration; `diffusers_config` is the inverse."""

from __future__ import annotations

from typing import Any

from ppaudioldm.config import (
    ClapTextConfig,
    DiffusionConfig,
    HifiGanConfig,
    ModelConfig,
    PhonemeEncoderConfig,
    T5Config,
    UNetConfig,
    VAEConfig,
)
from ppaudioldm.weights.components import AUDIOLDM1_PIPELINE


def config_files(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """Path -> content of every JSON file of a diffusers folder for `config`.

    The inverse of `diffusers_config.read_config`. Fields that our configuration lacks have the
    values of diffusers' own conversion script.
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
