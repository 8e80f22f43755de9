"""The loop that makes LOA tokens, on any engine: GPT-2 continues the sequence of conditions, one token after another.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is what AudioMAE hears.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ppaudioldm.config import GPT2Config

logger = logging.getLogger(__name__)

Array = Any  # of whatever engine runs GPT-2: NumPy, Paddle or PyTorch


def empty_cache(config: GPT2Config, batch: int) -> np.ndarray:
    """The cache before the first position, (layers, 2, batch, heads, 0, 64) float32."""
    head_dim = config.hidden_size // config.num_heads
    return np.zeros((config.num_layers, 2, batch, config.num_heads, 0, head_dim), np.float32)


def generate_loa(
    prefix: Array,
    mask: Array,
    cache: Array,
    gpt2: Callable[[Array, Array, Array], tuple[Array, Array]],
    num_tokens: int,
    concat: Callable[[list[Array], int], Array],
    max_positions: int = 1024,
) -> Array:
    """Continue `prefix` (B, P, 768) by `num_tokens` LOA tokens, (B, num_tokens, 768): no sampling, so the same always.

    mask: (B, P), 1 = attend, and 1 at the first position, as `models.loa.LoaPrefix` makes it. cache: `empty_cache`.
    gpt2: the forward of `models.gpt2.GPT2` on any engine. concat: that engine's concatenation, as `xp.concat`.
    A prefix longer than `max_positions - num_tokens` loses its end, with a warning, as the model was trained.
    Raises ValueError if that leaves nothing of the prefix, or if `num_tokens` is below 1.
    """
    limit = max_positions - num_tokens
    if num_tokens < 1 or limit < 1:
        raise ValueError(f"cannot generate {num_tokens} LOA tokens, choose from 1 to {max_positions - 1}")
    if prefix.shape[1] > limit:
        logger.warning("conditions cut from %d to %d positions: the prompt's end is ignored", prefix.shape[1], limit)
        prefix, mask = prefix[:, :limit], mask[:, :limit]
    hidden, cache = gpt2(prefix, mask, cache)
    tokens = [hidden[:, -1:]]
    while len(tokens) < num_tokens:
        mask = concat([mask, mask[:, :1]], 1)  # the first position, SOS_0, is attended like every token made here
        token, added = gpt2(tokens[-1], mask, cache)
        cache = concat([cache, added], 4)
        tokens.append(token)
    return concat(tokens, 1)
