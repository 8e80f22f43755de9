"""Random weights for benchmarks and tests; a parameter has the same values in every layout."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping

import numpy as np


def random_weight(network: str, key: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Float32 values for parameter `key` of `network` that keep activations near unit size.

    Depends on its arguments alone: neither on the other parameters nor on their order.
    """
    digest = hashlib.sha256(f"{seed}/{network}/{key}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:8], "little")))
    values = generator.standard_normal(shape, np.float32)
    if len(shape) > 1:
        size = math.prod(shape[1:])
        if network == "flan_t5" and ".query." in key:
            # T5 does not scale its attention scores: with queries of unit size the softmax would saturate, and the
            # output would depend chaotically on the input. Heads are 64 wide.
            size *= 64
        return values / np.float32(math.sqrt(size))
    if key.endswith("running_var"):
        return 1 + np.abs(values)
    values *= np.float32(0.1)
    # A vector called `weight` is the gain of a norm; the others are biases and learned tokens.
    return values + 1 if key.endswith("weight") else values


def random_weights(network: str, shapes: Mapping[str, tuple[int, ...]], seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and value of every parameter of `network`, one at a time."""
    for key, shape in shapes.items():
        yield key, random_weight(network, key, shape, seed)
