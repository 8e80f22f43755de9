"""Networks to train: built, with initial weights, and with gradients enabled."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import ConvTranspose1d, Tensor, nn
from ppaudioldm.models.unet import GuidanceFeatures

# The last layer of each residual branch is zero, so that a deep network begins as a shallow one: as in latent
# diffusion's UNet, arXiv:2112.10752.
# An adapter of LoRA begins without an effect: as in arXiv:2106.09685, with which the rest of it agrees.
# So is the embedding of the guidance scale, with which a distilled network begins as its teacher.
ZERO_INITIALISED = {
    "unet": re.compile(r"(conv2|proj_out|^conv_out|^guidance_out|frame_tokens\.projection)\.weight$"),
    "lora": re.compile(r"lora_B\.weight$"),
}
# T5 has no norm between its embeddings and the first skip connection; the phoneme encoder multiplies its embeddings by
# the root of their width.
EMBEDDING_DEVIATION = {"flan_t5": 1.0, "phoneme_encoder": 0.07}
T5_QUERY_DIVISOR = 8.0  # T5 does not scale attention scores: its queries are smaller by the root of the head width, 64
# Measured, or drawn at random once, not learned.
STATISTICS = re.compile(r"running_(mean|var)$|(^|\.)guidance\.weight$")
# Of the frequencies of a guidance scale that is an input: the features of scales from 1 to 10 then differ smoothly.
GUIDANCE_DEVIATION = 0.1


def build_trainable(name: str, network_class: Callable[[Any], Any], config: Any, seed: int, device: str = "cpu") -> Any:
    """`network_class(config)` with initial weights, in training mode.

    name: of the network, as in `models.build`, or any other. The values depend on it and on `seed` alone, and are the
    same on both frameworks.
    """
    with framework.empty_weights():
        network = network_class(config)
    framework.assign_weights(network, initial_weights(name, network, seed), device)
    make_trainable(network)
    return network


def make_trainable(network: nn.Module) -> None:
    """Enable gradients of every learned parameter, and switch to training mode."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad = not STATISTICS.search(name)
    network.train()


def freeze(network: nn.Module) -> None:
    """The inverse of `make_trainable`."""
    for parameter in network.parameters():
        parameter.requires_grad = False
    network.eval()


def learned_parameters(network: nn.Module) -> dict[str, Tensor]:
    """Name -> parameter, of those that are learned."""
    return {name: p for name, p in network.named_parameters() if not STATISTICS.search(name)}


def initial_weights(network_name: str, network: nn.Module, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and value of every parameter of `network`, one at a time.

    Matrices and kernels: uniform with variance 1 / (3 fan-in); biases 0, gains of norms 1; embeddings, position tables
    and learned tokens: normal with a small deviation.
    """
    owners = {"": network, **dict(framework.named_modules(network))}
    zero = ZERO_INITIALISED.get(network_name)
    for name, shape in framework.parameter_shapes(network).items():
        path, _, leaf = name.rpartition(".")
        if zero and zero.search(name):
            yield name, np.zeros(shape, np.float32)
            continue
        digest = hashlib.sha256(f"{seed}/{network_name}/{name}".encode()).digest()
        generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:8], "little")))
        yield name, _initial(network_name, owners[path], path, leaf, shape, generator)


def _initial(
    network_name: str, owner: Any, path: str, leaf: str, shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    if isinstance(owner, GuidanceFeatures):
        return np.float32(GUIDANCE_DEVIATION) * generator.standard_normal(shape, np.float32)
    if isinstance(owner, nn.Embedding):
        deviation = EMBEDDING_DEVIATION.get(network_name, 0.02)
        return np.float32(deviation) * generator.standard_normal(shape, np.float32)
    if leaf == "weight" and len(shape) > 1:
        fan_in = math.prod(shape[1:])
        if isinstance(owner, ConvTranspose1d):
            fan_in = shape[0] * shape[2]
        bound = 1 / math.sqrt(fan_in)
        if network_name == "flan_t5" and path.endswith("query"):
            bound /= T5_QUERY_DIVISOR
        return generator.uniform(-bound, bound, shape).astype(np.float32)
    if leaf in ("weight", "running_var"):
        return np.ones(shape, np.float32)
    if leaf in ("bias", "running_mean"):
        return np.zeros(shape, np.float32)
    return np.float32(0.02) * generator.standard_normal(shape, np.float32)  # a learned token or position table
