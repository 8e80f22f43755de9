"""The loop that makes LOA tokens, on any engine: GPT-2 continues the sequence of conditions, one token after another.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is what AudioMAE hears.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

Array = Any  # of whatever engine runs GPT-2: NumPy, Paddle or PyTorch


def generate_loa(
    prefix: Array,
    mask: Array,
    gpt2: Callable[[Array, Array], Array],
    num_tokens: int,
    concat: Callable[[list[Array], int], Array],
    max_positions: int = 1024,
) -> Array:
    """Continue `prefix` (B, P, 768) by `num_tokens` LOA tokens, (B, num_tokens, 768): no sampling, so the same always.

    mask: (B, P), 1 = attend, and 1 at the first position, as `models.loa.LoaPrefix` makes it.
    gpt2: hidden states of embeddings and mask, each call going on where the last one ended, as `Engine.start` makes it;
    not called before. concat: that engine's concatenation, as `xp.concat`.
    A prefix longer than `max_positions - num_tokens` loses its end, with a warning, as the model was trained.
    Raises ValueError if that leaves nothing of the prefix, or if `num_tokens` is below 1.
    """
    limit = max_positions - num_tokens
    if num_tokens < 1 or limit < 1:
        raise ValueError(f"cannot generate {num_tokens} LOA tokens, choose from 1 to {max_positions - 1}")
    if prefix.shape[1] > limit:
        logger.warning("conditions cut from %d to %d positions: the prompt's end is ignored", prefix.shape[1], limit)
        prefix, mask = prefix[:, :limit], mask[:, :limit]
    tokens = [gpt2(prefix, mask)[:, -1:]]
    while len(tokens) < num_tokens:
        mask = concat([mask, mask[:, :1]], 1)  # the first position, SOS_0, is attended like every token made here
        tokens.append(gpt2(tokens[-1], mask))
    return concat(tokens, 1)
