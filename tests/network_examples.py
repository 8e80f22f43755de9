"""Small configurations of every network, and inputs of every function that an engine runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import (
    AudioMAEConfig,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    PhonemeEncoderConfig,
    UNetConfig,
    VAEConfig,
)
from ppaudioldm.engines.states import empty_states
from ppaudioldm.models.build import NETWORKS
from tests.support import CONSISTENCYTTA, noise, random_network

SMALL = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_levels=(1,), context_dims=(128, 160)
)
assert UNTRAINED.loa
LOA = UNTRAINED.loa
CONFIGS: dict[str, ModelConfig] = {
    "untrained": UNTRAINED,
    "two contexts": replace(UNTRAINED, unet=SMALL),
    "large": replace(UNTRAINED, unet=replace(SMALL, context_dims=(128, 160, None), transformer_depth=2)),
    "one context": replace(UNTRAINED, unet=replace(SMALL, context_dims=(128,))),
    "attention at the finest level": replace(
        UNTRAINED, unet=replace(SMALL, attention_levels=(0, 1), context_dims=(128, 160))
    ),
    "times of tokens": replace(UNTRAINED, unet=replace(SMALL, loa_frames=2)),
    "tokens of frames": replace(UNTRAINED, unet=replace(SMALL, loa_frames=2, loa_bands=UNTRAINED.latent_bands)),
    "times of phonemes": replace(
        UNTRAINED,
        phoneme_encoder=PhonemeEncoderConfig(40, 64, 2, 2, 128, max_phonemes=30, with_embeddings=True),
        loa=LoaConfig((64, 128), 128, duration_dim=48),
    ),
    "attention in the middle": replace(UNTRAINED, unet=replace(SMALL, attention_levels=())),
    "no context": replace(UNTRAINED, unet=replace(SMALL, context_dims=())),
    "speech": replace(
        UNTRAINED,
        phoneme_encoder=PhonemeEncoderConfig(40, 64, 2, 2, 128, max_phonemes=30),
        loa=LoaConfig((64, 64), 128, 512),
        audiomae=AudioMAEConfig(hidden_size=64, num_layers=3, num_heads=2, pooling=1),
    ),
    "strips": replace(
        UNTRAINED,
        loa=LoaConfig((64, 64), 128, 128),
        audiomae=AudioMAEConfig(patch_size=8, patch_mels=128, hidden_size=64, num_layers=3, num_heads=2, pooling=1),
    ),
    "audioldm1": replace(UNTRAINED, unet=replace(SMALL, context_dims=(), film_dim=64)),
    "consistencytta": replace(
        CONSISTENCYTTA, unet=replace(CONSISTENCYTTA.unet, attention_levels=(0, 1), context_dims=(160,))
    ),
    "48k": replace(
        UNTRAINED,
        unet=replace(SMALL, in_channels=16, context_dims=(None,), film_dim=64),
        vae=VAEConfig(channels=32, channel_mult=(1, 1, 2, 2), num_res_blocks=1, latent_channels=16, n_mels=256),
        vocoder=HifiGanConfig(
            n_mels=256,
            upsample_rates=(6, 5, 4, 2, 2),
            upsample_kernels=(12, 10, 8, 4, 4),
            initial_channels=64,
            resblock_kernels=(3, 7, 11, 15),
        ),
    ),
}


@lru_cache(1)
def layer_of(network: str, config: ModelConfig) -> Any:
    network_class, field = NETWORKS[network]
    return random_network(network, network_class, getattr(config, field))


def mask(batch: int, length: int) -> np.ndarray:
    """The last position of the first item is padding."""
    ones = np.ones((batch, length), np.float32)
    ones[0, 1:][-1:] = 0
    return ones


def unet_contexts(config: ModelConfig, batch: int, n: int) -> list[Any]:
    dims = [dim for dim in config.unet.context_dims if dim]
    return [[noise(batch, n + i, dim) for i, dim in enumerate(dims)]]


def unet_step(config: ModelConfig, batch: int, n: int) -> list[Any]:
    return [*latents(config, batch, n), *projected(config, batch, n), *film(config, batch)]


def unet_any_length_step(config: ModelConfig, batch: int, n: int) -> list[Any]:
    """Latents whose length is odd, and at the second level too."""
    whole, *others = unet_step(config, batch, n)
    return [whole[:, :, 3:], *others]


def unet_guided_step(config: ModelConfig, batch: int, n: int) -> list[Any]:
    return [*latents(config, batch, n), *projected(config, 2 * batch, n), *film(config, 2 * batch)]


def unet_guided_shallow(config: ModelConfig, batch: int, n: int) -> list[Any]:
    deep = config.unet.model_channels * config.unet.channel_mult[1]
    features = noise(2 * batch, deep, 8 * n, config.latent_bands)
    return [*latents(config, batch, n), features, *film(config, 2 * batch)]


def latents(config: ModelConfig, batch: int, n: int) -> list[np.ndarray]:
    return [
        noise(batch, config.unet.in_channels, 8 * n, config.latent_bands),
        noise(batch, config.unet.time_embed_dim),
    ]


def unet_time_embedding(config: ModelConfig, batch: int, n: int) -> list[np.ndarray]:
    scales = [np.linspace(1, 8, batch, dtype=np.float32)[:, None]] if config.unet.guidance_dim else []
    return [noise(batch, config.unet.model_channels), *scales]


def projected(config: ModelConfig, batch: int, n: int) -> list[list[np.ndarray]]:
    """What the network itself makes of contexts, and masks."""
    contexts = unet_contexts(config, batch, n)
    made = eager(layer_of("unet", config), "project", contexts) if contexts[0] else []
    return [made, [mask(batch, x.shape[1]) for x in made]]


def film(config: ModelConfig, batch: int) -> list[np.ndarray]:
    return [noise(batch, config.unet.film_dim)] if config.unet.film_dim else []


def tokens(config: ModelConfig, batch: int, n: int) -> list[Any]:
    return [np.random.default_rng(0).integers(2, 200, (batch, 90 * n)), mask(batch, 90 * n)]


def gpt2(config: ModelConfig, batch: int, n: int) -> list[Any]:
    """The first call, with empty states; those after it are in `test_openvino_states`."""
    return [noise(batch, n, config.gpt2.hidden_size), mask(batch, n), empty_states("gpt2", config, batch)]


def loa(config: ModelConfig, batch: int, n: int) -> list[Any]:
    lengths = [1 if i == 0 else n for i in range(len(config.loa.condition_dims))]
    states = [noise(batch, length, dim) for length, dim in zip(lengths, config.loa.condition_dims, strict=True)]
    return [states, [mask(batch, length) for length in lengths]]


def phonemes(config: ModelConfig, batch: int, n: int) -> list[Any]:
    """The first item is longer than its window, the others are shorter."""
    encoder = config.phoneme_encoder
    ids = np.random.default_rng(0).integers(1, encoder.vocab_size, (batch, encoder.max_phonemes))
    ids[0, 20:], ids[1:, n - 1 :] = 0, 0
    return [ids]


EXAMPLES: dict[str, Callable[[ModelConfig, int, int], list[Any]]] = {
    "unet_contexts": unet_contexts,
    "unet_time_embedding": unet_time_embedding,
    "unet_step": unet_step,
    "unet_any_length_step": unet_any_length_step,
    "unet_guided_step": unet_guided_step,
    "unet_guided_deep": unet_guided_step,
    "unet_guided_shallow": unet_guided_shallow,
    "vae_encoder": lambda c, batch, n: [noise(batch, 8 * n, c.vae.n_mels)],
    "vae_decoder": lambda c, batch, n: [noise(batch, c.vae.latent_channels, n, c.latent_bands)],
    "vocoder": lambda c, batch, n: [noise(batch, 3 * n, c.vocoder.n_mels)],
    "clap_text": tokens,
    "clap_audio": lambda c, batch, n: [10 * noise(batch, 1, 1024, 64)],
    "flan_t5": tokens,
    "phoneme_encoder": phonemes,
    "gpt2": gpt2,
    "loa": loa,
    "audiomae": lambda c, batch, n: [noise(batch, c.audiomae.frames, c.audiomae.n_mels)],
}


def flat(values: list[Any]) -> list[Any]:
    return [x for group in values for x in (group if isinstance(group, list) else [group])]


def eager(network: Any, method: str, inputs: list[Any]) -> list[np.ndarray]:
    def tensor(x: Any) -> Any:
        return [tensor(y) for y in x] if isinstance(x, list) else framework.from_numpy(x)

    with framework.no_grad():
        outputs = getattr(network, method)(*tensor(inputs))
    # Without what becomes of states, a list of its own.
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [framework.to_numpy(x) for x in outputs if not isinstance(x, (list, tuple))]
