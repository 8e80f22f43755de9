"""Networks that tests need again and again are built once a process, where they are equal to the last bit.

Building the networks of the smallest checkpoint and setting their parameters takes more than half of the time in which
it makes a short clip, and hundreds of tests do it.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.models.build import NETWORKS, parameter_shapes
from ppaudioldm.weights import checkpoint, random

MOST_DRAWN = 1 << 17  # values of a random parameter that is drawn once
MOST_PARAMETERS = 4000  # that are drawn once: some 50 MB
MOST_VALUES = 1 << 24  # of a network that is kept
MOST_KEPT = 1 << 26  # values of all of them: 256 MB


def keep_networks(patch: pytest.MonkeyPatch) -> None:
    """Have eager engines in float32 share networks of equal configuration and parameters, and draw weights once.

    Engines change nothing about such a network. A test of how they are loaded replaces `EagerEngine._loaded`.
    """
    draw, load = random.random_weight, EagerEngine._loaded
    drawn = lru_cache(MOST_PARAMETERS)(draw)
    kept: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()  # with the number of values
    changing = threading.Lock()

    def random_weight(network: str, key: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
        if math.prod(shape) > MOST_DRAWN:
            return draw(network, key, shape, seed)
        return drawn(network, key, tuple(shape), seed).copy()

    def loaded(engine: EagerEngine, network: str) -> Any:
        size = sum(map(math.prod, parameter_shapes(network, engine.checkpoint.config).values()))
        if (engine.device, engine.precision) != ("cpu", "f32") or size > MOST_VALUES:
            return load(engine, network)
        config = getattr(engine.checkpoint.config, NETWORKS[network][1])
        key = network, config, digest_of(engine.checkpoint.weights(network))
        with changing:
            found, _ = kept.pop(key, (None, 0))
        if found is None:  # outside of the lock: networks load at the same time
            found = load(engine, network)
        with changing:
            kept[key] = found, size
            while sum(values for _, values in kept.values()) > MOST_KEPT:
                kept.popitem(last=False)
        return found

    patch.setattr(random, "random_weight", random_weight)
    patch.setattr(checkpoint, "random_weight", random_weight)
    patch.setattr(EagerEngine, "_loaded", loaded)


def digest_of(weights: Any) -> bytes:
    """A hash of the names and values of all parameters."""
    digest = hashlib.sha256()
    for name, value in weights:
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value))
    return digest.digest()
