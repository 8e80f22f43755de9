"""The functions of the networks that an engine runs by name, and the names, dtypes and shapes of their inputs.

Most are the forward pass of a network. The UNet has several instead: the keys and values of its cross-attentions are
computed once per prompt, the time embeddings of all steps at once, and both are inputs of the steps. This file imports
no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ppaudioldm.config import ModelConfig

# Functions that are not the forward pass of a network: name -> (network, method).
FUNCTIONS = {
    "unet_contexts": ("unet", "project"),
    "unet_time_embedding": ("unet", "embed_time"),
    "unet_step": ("unet", "step"),
    "unet_any_length_step": ("unet", "any_length_step"),
    "unet_guided_step": ("unet", "guided_step"),
    "unet_guided_deep": ("unet", "guided_deep"),
    "unet_guided_shallow": ("unet", "guided_shallow"),
}
# Run once for each step.
STEPS = ("unet_step", "unet_any_length_step", "unet_guided_step", "unet_guided_deep", "unet_guided_shallow")
# Computed in float32 where the rest is in half precision. The time features of neighbouring timesteps differ by less
# than bfloat16 resolves, and without this the error of a UNet step in float16 is a tenth larger; angles of a hundred
# radians, as of a guidance scale that is an input or of the time of a phoneme, would be others.
FLOAT32_FUNCTIONS = frozenset({"unet_time_embedding", "loa"})


def network_and_method(function: str) -> tuple[str, str]:
    """The network and its method that an engine runs under the name `function`."""
    return FUNCTIONS.get(function, (function, "forward"))


@dataclass(frozen=True)
class Input:
    """An input array of a function. shape: None where any size is allowed.

    is_state: the engine keeps the array from call to call, see `engines.states`; states come after all other inputs.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    is_state: bool = False


Inputs: TypeAlias = "list[Input | list[Input]]"  # nested as the arguments of the function


def function_inputs(function: str, config: ModelConfig) -> Inputs:
    """The inputs of the engine's `function` (see `engines.engine.Engine`), nested as its arguments are."""
    return INPUTS[function](config)


def flat_inputs(inputs: Inputs) -> list[Input]:
    """`inputs` in order, without their nesting."""
    return [x for group in inputs for x in (group if isinstance(group, list) else [group])]


def _unet_contexts(config: ModelConfig) -> Inputs:
    contexts, _ = _sequences("context", _context_dims(config))
    return [contexts]


def _unet_time_embedding(config: ModelConfig) -> Inputs:
    scale = [Input("guidance_scale", (None, 1))] if config.unet.guidance_dim else []
    return [Input("time_features", (None, config.unet.model_channels)), *scale]


def _unet_step(config: ModelConfig) -> Inputs:
    """In guided functions latents and time embedding have half the batch size of the others, see `UNet.guided_step`."""
    unet = config.unet
    channels = [unet.attention_width(unet.model_channels * mult) for mult in unet.channel_mult]
    # Cross-attentions follow every residual block of a level with attention, down and up, and one in the middle.
    places = [channels[level] * (2 * unet.num_res_blocks + 1) for level in unet.attention_levels] + [channels[-1]]
    keys_and_values = 2 * unet.transformer_depth * sum(places)
    widths = [keys_and_values] * len(_context_dims(config))
    if unet.loa_bands:
        widths[0] += unet.loa_bands * unet.model_channels
    projected = _sequences("projected", widths)
    return [*_latents(config), *projected, *_film(config)]


def _latents(config: ModelConfig) -> Inputs:
    return [
        Input("latents", (None, config.unet.in_channels, None, config.latent_bands)),
        Input("time_embedding", (None, config.unet.time_embed_dim)),
    ]


def _unet_guided_shallow(config: ModelConfig) -> Inputs:
    unet = config.unet
    # The output of the coarser levels has the channels of the second level, or of the only one.
    channels = unet.model_channels * unet.channel_mult[:2][-1]
    return [*_latents(config), Input("deep", (None, channels, None, config.latent_bands)), *_film(config)]


def _film(config: ModelConfig) -> Inputs:
    return [Input("film", (None, config.unet.film_dim))] if config.unet.film_dim else []


def _context_dims(config: ModelConfig) -> list[int]:
    return [dim for dim in config.unet.context_dims if dim is not None]


def _loa(config: ModelConfig) -> Inputs:
    assert config.loa
    return [*_sequences("states", config.loa.condition_dims)]


def _sequences(name: str, dims: Sequence[int]) -> list[list[Input]]:
    """Sequences (B, L, dim), one for each of `dims`, and a mask for each."""
    return [
        [Input(f"{name}_{i}", (None, None, dim)) for i, dim in enumerate(dims)],
        [Input(f"mask_{i}", (None, None)) for i in range(len(dims))],
    ]


def _vae_encoder(config: ModelConfig) -> Inputs:
    return [Input("mel", (None, None, config.vae.n_mels))]


def _vae_decoder(config: ModelConfig) -> Inputs:
    return [Input("latents", (None, config.vae.latent_channels, None, config.latent_bands))]


def _vocoder(config: ModelConfig) -> Inputs:
    return [Input("mel", (None, None, config.vocoder.n_mels))]


def _tokens(config: ModelConfig) -> Inputs:
    return [Input("ids", (None, None), "int64"), Input("mask", (None, None))]


def _phonemes(config: ModelConfig) -> Inputs:
    assert config.phoneme_encoder
    return [Input("ids", (None, config.phoneme_encoder.max_phonemes), "int64")]


def _clap_audio(config: ModelConfig) -> Inputs:
    assert config.clap_audio
    size, mels = config.clap_audio.spec_size, config.clap_audio.n_mels
    return [Input("log_mel", (None, 1, size * size // mels, mels))]


def _gpt2(config: ModelConfig) -> Inputs:
    gpt2 = config.gpt2
    assert gpt2
    shape = (None, gpt2.num_heads, None, gpt2.hidden_size // gpt2.num_heads)
    names = [f"{kind}_{layer}" for layer in range(gpt2.num_layers) for kind in ("keys", "values")]
    return [
        Input("embeddings", (None, None, gpt2.hidden_size)),
        Input("mask", (None, None)),
        [Input(name, shape, is_state=True) for name in names],
    ]


def _audiomae(config: ModelConfig) -> Inputs:
    assert config.audiomae
    return [Input("fbank", (None, config.audiomae.frames, config.audiomae.n_mels))]


INPUTS: dict[str, Callable[[ModelConfig], Inputs]] = {
    "unet_contexts": _unet_contexts,
    "unet_time_embedding": _unet_time_embedding,
    "unet_step": _unet_step,
    "unet_any_length_step": _unet_step,
    "unet_guided_step": _unet_step,
    "unet_guided_deep": _unet_step,
    "unet_guided_shallow": _unet_guided_shallow,
    "vae_encoder": _vae_encoder,
    "vae_decoder": _vae_decoder,
    "vocoder": _vocoder,
    "clap_text": _tokens,
    "clap_audio": _clap_audio,
    "flan_t5": _tokens,
    "phoneme_encoder": _phonemes,
    "gpt2": _gpt2,
    "loa": _loa,
    "audiomae": _audiomae,
}
