"""Checks of a configuration from a file: sizes within bounds, and networks whose dimensions fit each other."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from ppaudioldm.choices import CLAP_FILLINGS, SAMPLERS, UNET_TRANSFORMERS, VOCODERS
from ppaudioldm.config import (
    NETWORK_CONFIGS,
    AudioMAEConfig,
    ClapAudioConfig,
    ClapTextConfig,
    DiffusionConfig,
    HifiGanConfig,
    ModelConfig,
    UNetConfig,
    VAEConfig,
    is_whole,
    short,
)

# The largest values that are accepted, several times those of any published checkpoint: a damaged or hostile
# configuration is refused before any memory is allocated.
LARGEST = 16384
LARGEST_OF = {
    "vocab_size": 1 << 20,
    "max_positions": 1 << 16,
    "max_phonemes": 1024,
    "sample_rate": 384000,
    "num_train_timesteps": 100_000,
    "num_layers": 128,
    "num_res_blocks": 16,
    "transformer_depth": 16,
    "depths": 64,
    "channel_mult": 64,
    "upsample_rates": 64,
    "spec_size": 1024,
    "window_size": 16,
}
MAY_BE_ZERO = ("pad_token_id", "attention_levels", "loa_frames", "loa_bands")
MAY_BE_EMPTY = ("context_dims",)
MOST_ENTRIES = 8  # of a tuple
MOST_ATTEMPTS = 64  # at a sound
MOST_UNET_BLOCKS = 2048  # transformer blocks; the large checkpoint has 124
MOST_CLAP_TOKENS = 512  # longer prompts are truncated
MOST_CLIP_SECONDS = 60.0  # the length of a UNet window, which bounds the memory


def check_config(config: ModelConfig) -> None:
    """Raise ValueError for sizes out of bounds and for networks that do not fit, in one line with both numbers."""
    for name in NETWORK_CONFIGS:
        if (network := getattr(config, name)) is not None:
            check_network(name, network)
    _check_text_encoders(config)
    _check_fit(config)
    _check_audiomae(config)


def check_network(name: str, network: Any) -> None:
    """Raise ValueError for sizes out of bounds in the configuration of one network. name: its field in ModelConfig."""
    _check_values(network, name)
    match name:
        case "unet":
            _check_unet(network)
        case "vae":
            _check_vae(network)
        case "vocoder":
            _check_vocoder(network)
        case "clap_audio":
            _check_clap_audio(network)
        case "diffusion":
            _check_diffusion(network)


def _check_values(network: Any, where: str) -> None:
    """Raise ValueError for a value of the wrong type, or out of bounds."""
    for f in fields(network):
        value, default = getattr(network, f.name), getattr(type(network)(), f.name)
        name = f"{where}.{f.name}"
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {short(value)}, expected true or false")
        elif isinstance(default, float):
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"{name} is {short(value)}, expected a positive number")
        elif isinstance(default, str):
            if not isinstance(value, str):
                raise ValueError(f"{name} is {short(value)}, expected a string")
        elif isinstance(default, tuple):
            least = int(f.name not in MAY_BE_EMPTY)
            if not isinstance(value, tuple) or not least <= len(value) <= MOST_ENTRIES:
                count = len(value) if isinstance(value, tuple) else short(value)
                raise ValueError(f"{name} has {count} entries, expected {least} to {MOST_ENTRIES}")
            for entry in value:
                if entry is not None or f.name != "context_dims":
                    _check_count(name, f.name, entry)
        elif value is not None or default is not None:
            _check_count(name, f.name, value)


def _check_count(name: str, field_name: str, value: Any) -> None:
    low, high = int(field_name not in MAY_BE_ZERO), LARGEST_OF.get(field_name, LARGEST)
    if not is_whole(value) or not low <= value <= high:
        raise ValueError(f"{name} is {short(value)}, expected {low} to {high}")


def _check_unet(unet: UNetConfig) -> None:
    levels = len(unet.channel_mult)
    if any(level >= levels for level in unet.attention_levels):
        raise ValueError(f"unet.attention_levels {unet.attention_levels} go beyond its {levels} levels")
    for name, value in (("model_channels", unet.model_channels), ("guidance_dim", unet.guidance_dim or 0)):
        if value % 2:
            raise ValueError(f"unet.{name} is {value}, expected an even number")
    if unet.transformers not in UNET_TRANSFORMERS:
        expected = " or ".join(UNET_TRANSFORMERS)
        raise ValueError(f"unet.transformers is {short(unet.transformers)}, expected {expected}")
    if unet.loa_bands and not unet.loa_frames:
        raise ValueError(f"unet.loa_bands is {unet.loa_bands}, expected 0 where unet.loa_frames is 0")
    if not unet.transformer_dims:
        raise ValueError(f"unet.context_dims are empty, but unet.transformers are {unet.transformers}: with contexts")
    _check_widths("unet", unet.model_channels, unet.channel_mult)
    blocks = levels * (2 * unet.num_res_blocks + 1) * len(unet.transformer_dims) * unet.transformer_depth
    if blocks > MOST_UNET_BLOCKS:
        raise ValueError(f"the UNet has {blocks} transformer blocks, expected at most {MOST_UNET_BLOCKS}")


def _check_vae(vae: VAEConfig) -> None:
    _check_widths("vae", vae.channels, vae.channel_mult)


def _check_widths(name: str, channels: int, mults: tuple[int, ...]) -> None:
    for mult in mults:
        if channels * mult > LARGEST or channels * mult % 32:
            raise ValueError(f"{name} has {channels * mult} channels, expected a multiple of 32 up to {LARGEST}")


def _check_vocoder(vocoder: HifiGanConfig) -> None:
    if vocoder.method not in VOCODERS:
        raise ValueError(f"vocoder.method is {short(vocoder.method)}, expected {' or '.join(VOCODERS)}")
    rates, kernels = vocoder.upsample_rates, vocoder.upsample_kernels
    if len(rates) != len(kernels) or any(kernel < rate for rate, kernel in zip(rates, kernels, strict=True)):
        raise ValueError(f"vocoder.upsample_kernels {kernels} do not cover vocoder.upsample_rates {rates}")
    if any(kernel % 2 == 0 for kernel in vocoder.resblock_kernels):
        raise ValueError(f"vocoder.resblock_kernels are {vocoder.resblock_kernels}, expected odd numbers")
    _check_divides("vocoder.initial_channels", vocoder.initial_channels, "its halvings", 2 ** len(rates))
    if vocoder.hop_length > LARGEST:
        raise ValueError(f"vocoder.upsample_rates multiply to {vocoder.hop_length}, expected at most {LARGEST}")


def _check_text_encoders(config: ModelConfig) -> None:
    for name in ("clap_text", "gpt2", "phoneme_encoder"):
        if network := getattr(config, name):
            _check_divides(f"{name}.hidden_size", network.hidden_size, f"{name}.num_heads", network.num_heads)
    if clap := config.clap_text:
        if clap.pad_token_id >= clap.vocab_size:
            raise ValueError(f"clap_text.pad_token_id {clap.pad_token_id} is none of {clap.vocab_size} tokens")
        needed = MOST_CLAP_TOKENS + clap.pad_token_id + 1
        if clap.max_positions < needed:
            raise ValueError(f"clap_text.max_positions is {clap.max_positions}, expected at least {needed}")
    if t5 := config.flan_t5:
        _check_divides("flan_t5.relative_buckets", t5.relative_buckets, "both directions and scales", 4)
        if t5.relative_max_distance <= t5.relative_buckets // 4:
            raise ValueError(
                f"flan_t5.relative_max_distance is {t5.relative_max_distance}, too near for"
                f" {t5.relative_buckets} relative_buckets"
            )


def _check_clap_audio(clap: ClapAudioConfig) -> None:
    if len(clap.depths) != len(clap.num_heads):
        raise ValueError(f"clap_audio.num_heads has {len(clap.num_heads)} entries for {len(clap.depths)} depths")
    for stage, heads in enumerate(clap.num_heads):
        _check_divides(f"clap_audio width of stage {stage}", clap.hidden_size * 2**stage, "its heads", heads)
    _check_divides("clap_audio.spec_size", clap.spec_size, "clap_audio.patch_size", clap.patch_size)
    width, last = clap.spec_size // clap.patch_size, len(clap.depths) - 1
    _check_divides("clap_audio.spec_size / patch_size", width, "its halvings", 2**last)
    # Every block stores a table of (width * window_size)^2 values.
    if width * clap.window_size > 1024 or clap.hidden_size * 2**last > LARGEST:
        raise ValueError(f"clap_audio has a map of {width}, windows of {clap.window_size}, {clap.hidden_size} channels")
    if clap.short_input not in CLAP_FILLINGS:
        expected_names = " or ".join(CLAP_FILLINGS)
        raise ValueError(f"clap_audio.short_input is {short(clap.short_input)}, expected {expected_names}")
    expected = ClapAudioConfig()  # the input that `audio.clap_mel.clap_log_mel` computes
    for name in ("spec_size", "n_mels", "sample_rate"):
        _check_same(f"clap_audio.{name}", getattr(clap, name), "its mel front-end's", getattr(expected, name))


def _check_diffusion(diffusion: DiffusionConfig) -> None:
    if diffusion.sampler not in SAMPLERS:
        raise ValueError(f"diffusion.sampler is {short(diffusion.sampler)}, expected {' or '.join(SAMPLERS)}")
    if diffusion.num_inference_steps > diffusion.num_train_timesteps:
        steps, most = diffusion.num_inference_steps, diffusion.num_train_timesteps
        raise ValueError(f"diffusion.num_inference_steps is {steps}, expected at most {most}")
    if diffusion.best_of > MOST_ATTEMPTS:
        raise ValueError(f"diffusion.best_of is {short(diffusion.best_of)}, expected at most {MOST_ATTEMPTS}")


def _check_fit(config: ModelConfig) -> None:
    unet, vae, loa, gpt2 = config.unet, config.vae, config.loa, config.gpt2
    if config.diffusion.clip_seconds > MOST_CLIP_SECONDS:
        seconds = short(config.diffusion.clip_seconds)
        raise ValueError(f"diffusion.clip_seconds is {seconds}, expected at most {MOST_CLIP_SECONDS:g}")
    _check_same("unet.in_channels", unet.in_channels, "vae.latent_channels", vae.latent_channels)
    _check_same("vocoder.n_mels", config.vocoder.n_mels, "vae.n_mels", vae.n_mels)
    _check_divides("vae.n_mels", vae.n_mels, "the halvings of VAE and UNet", vae.downsampling * unet.downsampling)
    widths = tuple(getattr(config, name).hidden_size for name in config.contexts)
    dims = tuple(dim for dim in unet.context_dims if dim is not None)
    _check_same("unet.context_dims", dims, f"the width of {config.contexts}", widths)
    if unet.loa_frames and loa is None:
        raise ValueError(f"unet.loa_frames is {unet.loa_frames}, expected 0 without LOA tokens")
    if unet.loa_bands:
        _check_same("unet.loa_bands", unet.loa_bands, "the bands of the latents", config.latent_bands)
    if unet.film_dim is None and not unet.context_dims:
        raise ValueError("unet.context_dims are empty and there is no unet.film_dim: nothing conditions the UNet")
    if config.clap_text and config.clap_audio:
        audio = config.clap_audio.projection_dim
        _check_same("clap_text.projection_dim", config.clap_text.projection_dim, "clap_audio.projection_dim", audio)
    if unet.film_dim is not None:
        _check_same("unet.film_dim", unet.film_dim, "the width of CLAP", _width(config.clap_text))
    if loa is not None:
        phonemes = config.phoneme_encoder
        states = phonemes.state_dim if phonemes else config.flan_t5.hidden_size if config.flan_t5 else None
        widths_of_conditions = (_width(config.clap_text), states)
        if loa.duration_dim and not (phonemes and phonemes.with_embeddings):
            raise ValueError(f"loa.duration_dim is {loa.duration_dim}, expected null without embeddings of phonemes")
        _check_same("loa.condition_dims", loa.condition_dims, "the width of its conditions", widths_of_conditions)
        _check_same("loa.hidden_size", loa.hidden_size, "gpt2.hidden_size", gpt2.hidden_size if gpt2 else None)
        if gpt2 and loa.num_tokens >= gpt2.max_positions:
            raise ValueError(f"loa.num_tokens is {loa.num_tokens}, but gpt2.max_positions is {gpt2.max_positions}")


def _check_audiomae(config: ModelConfig) -> None:
    if (mae := config.audiomae) is None:
        return
    # The input that `audio.fbank.audiomae_fbank` computes.
    _check_same("audiomae.n_mels", mae.n_mels, "its filter bank's", AudioMAEConfig().n_mels)
    _check_divides("audiomae.hidden_size", mae.hidden_size, "audiomae.num_heads", mae.num_heads)
    if config.loa is None:
        raise ValueError("audiomae computes LOA tokens, but there is no loa")
    _check_same("audiomae.hidden_size", mae.hidden_size, "loa.hidden_size", config.loa.hidden_size)
    _check_same("tokens of audiomae", mae.num_tokens, "loa.num_tokens", config.loa.num_tokens)


def _width(clap: ClapTextConfig | None) -> int | None:
    return clap.projection_dim if clap else None


def _check_same(name: str, value: object, other: str, expected: object) -> None:
    if value != expected:
        raise ValueError(f"{name} is {value}, but {other} is {expected}")


def _check_divides(name: str, value: int, by: str, divisor: int) -> None:
    if value % divisor:
        raise ValueError(f"{name} is {value}, which {by} ({divisor}) do not divide")
