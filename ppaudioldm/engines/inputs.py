"""What each network takes: names, dtypes and shapes of its inputs. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ppaudioldm.config import ModelConfig


@dataclass(frozen=True)
class Input:
    """One array that a network takes. shape: None where any size goes."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"


Inputs: TypeAlias = "list[Input | list[Input]]"  # nested as the arguments of a network's forward


def network_inputs(network: str, config: ModelConfig) -> Inputs:
    """The inputs of the network of `config` called `network`, nested as its forward takes them."""
    return INPUTS[network](config)


def flat_inputs(inputs: Inputs) -> list[Input]:
    """`inputs` in order, without their nesting."""
    return [x for group in inputs for x in (group if isinstance(group, list) else [group])]


def _unet(config: ModelConfig) -> Inputs:
    unet = config.unet
    inputs: Inputs = [
        Input("latents", (None, unet.in_channels, None, config.latent_bands)),
        Input("time_features", (None, unet.model_channels)),
        *_sequences("context", [dim for dim in unet.context_dims if dim is not None]),
    ]
    return inputs + ([Input("film", (None, unet.film_dim))] if unet.film_dim else [])


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


def _clap_audio(config: ModelConfig) -> Inputs:
    assert config.clap_audio
    size, mels = config.clap_audio.spec_size, config.clap_audio.n_mels
    return [Input("log_mel", (None, 1, size * size // mels, mels))]


def _gpt2(config: ModelConfig) -> Inputs:
    gpt2 = config.gpt2
    assert gpt2
    head_dim = gpt2.hidden_size // gpt2.num_heads
    return [
        Input("embeddings", (None, None, gpt2.hidden_size)),
        Input("mask", (None, None)),
        Input("cache", (gpt2.num_layers, 2, None, gpt2.num_heads, None, head_dim)),
    ]


INPUTS: dict[str, Callable[[ModelConfig], Inputs]] = {
    "unet": _unet,
    "vae_encoder": _vae_encoder,
    "vae_decoder": _vae_decoder,
    "vocoder": _vocoder,
    "clap_text": _tokens,
    "clap_audio": _clap_audio,
    "flan_t5": _tokens,
    "gpt2": _gpt2,
    "loa": _loa,
}
