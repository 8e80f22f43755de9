"""Gaussian noise that depends on its seed alone: not on the engine, the device, the batch, or earlier draws.

Every item of a batch has its own seed. A draw is addressed by seed, purpose and step, rather than the next of a stream:
its 64-bit words come from the counter-based generator Philox4x64-10 (Salmon et al., 2011) with key (seed, 0) and a
counter that starts at (0, 0, step, purpose). The Box-Muller method turns two words into two normals, in float64, and
these fill the latents frame by frame. A longer clip with the same seed thus begins with the noise of the shorter one.
NumPy guarantees Philox's words for all versions, but not the numbers of its own `standard_normal`, so it is not used.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from ppaudioldm.errors import quoted

MAX_SEED = 2**63 - 1
BETWEEN_ATTEMPTS = 2**40

# Purposes of draws: those of different purposes or steps are independent.
INITIAL = 0  # the noise that the denoising starts from
STEP = 1  # what a stochastic sampler adds at each step
KEPT = 2  # what inpainting adds before each step to the latents that its mask keeps
POSTERIOR = 3  # a sample of the VAE encoder's distribution


def gaussian(shape: tuple[int, int, int], seeds: Sequence[int], purpose: int = INITIAL, step: int = 0) -> np.ndarray:
    """Standard normal latents (len(seeds), channels, time, bands), float32, for shape (channels, time, bands).

    Item k depends on seeds[k] (with purpose and step) alone. Raises ValueError on a seed outside 0 to 2**63 - 1.
    """
    channels, time, bands = shape
    items = [_normals(time * channels * bands, check_seed(seed), purpose, step) for seed in seeds]
    by_frame = np.reshape(items, (len(items), time, channels, bands))
    return np.ascontiguousarray(by_frame.transpose(0, 2, 1, 3), dtype=np.float32)


def item_seeds(seed: int, count: int) -> list[int]:
    """Seeds for `count` clips from one: seed, seed + 1, ...; so that any of them can be regenerated alone.

    Raises ValueError where one of them is outside 0 to 2**63 - 1.
    """
    if check_seed(seed) + count - 1 > MAX_SEED:
        raise ValueError(f"seed is {quoted(seed)}, allowed with {count} candidates: up to {MAX_SEED - count + 1}")
    return [check_seed(seed) + k for k in range(count)]


def attempt_seeds(seed: int, count: int) -> list[int]:
    """The seeds of `count` attempts at one clip, the first with `seed` itself.

    They are far apart: whoever counts seeds up has no attempt in common between two of them.
    """
    return [(check_seed(seed) + k * BETWEEN_ATTEMPTS) % (MAX_SEED + 1) for k in range(count)]


def check_seed(seed: int) -> int:
    """The seed as an int. Raises ValueError outside 0 to 2**63 - 1."""
    try:
        value = operator.index(seed)
    except TypeError:
        value = -1
    if isinstance(seed, bool) or not 0 <= value <= MAX_SEED:
        raise ValueError(f"seed is {quoted(seed)}, allowed: whole numbers from 0 to {MAX_SEED}")
    return value


def _normals(count: int, seed: int, purpose: int, step: int) -> np.ndarray:
    """(count,) float64; the first values do not depend on `count`."""
    philox = np.random.Philox(
        counter=np.array([0, 0, step, purpose], dtype=np.uint64), key=np.array([seed, 0], dtype=np.uint64)
    )
    words = philox.random_raw(2 * math.ceil(count / 2)).reshape(-1, 2)
    uniform = ((words >> np.uint64(11)) + 0.5) * 2.0**-53  # in (0, 1): both logarithm and angle are finite
    radius, angle = np.sqrt(-2 * np.log(uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count]
