"""From conditions to LOA tokens: the sequence that GPT-2 sees, and the loop that continues it.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is what AudioMAE hears; GPT-2 predicts it from the
conditions, one token after another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from ppaudioldm.config import LoaConfig
from ppaudioldm.framework import Linear, Tensor, nn, xp

logger = logging.getLogger(__name__)

Array = Any  # of whatever engine runs GPT-2: NumPy, Paddle or PyTorch


class LoaPrefix(nn.Module):
    """Conditions -> the sequence [SOS_0, condition 0, EOS_0, SOS_1, condition 1, EOS_1, ...]."""

    def __init__(self, config: LoaConfig) -> None:
        super().__init__()
        self.projections = nn.ModuleList([Linear(dim, config.hidden_size) for dim in config.condition_dims])
        for index in range(len(config.condition_dims)):
            setattr(self, f"sos_{index}", nn.Parameter(xp.empty([config.hidden_size])))
            setattr(self, f"eos_{index}", nn.Parameter(xp.empty([config.hidden_size])))

    def forward(self, states: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The embeddings (B, P, 768) and mask (B, P) that GPT-2 continues.

        states: one (B, L_i, dim_i) per `condition_dims` entry, L_i >= 1. masks: (B, L_i) float, 1 = attend; padding
        stays in the sequence, masked. P is the sum of all L_i + 2. Raises ValueError on a wrong count of either.
        """
        if not len(states) == len(masks) == len(self.projections):
            raise ValueError(f"expected {len(self.projections)} conditions, got {len(states)} and {len(masks)} masks")
        embeddings, attended = [], []
        for index, projection in enumerate(self.projections):
            x, mask = projection(states[index]), masks[index]
            # One token a batch item, whatever the batch size is in a trace.
            none, one = xp.zeros_like(x[:, :1]), xp.ones_like(mask[:, :1])
            sos, eos = getattr(self, f"sos_{index}"), getattr(self, f"eos_{index}")
            embeddings += [none + sos, x, none + eos]
            attended += [one, mask, one]
        return xp.concat(embeddings, 1), xp.concat(attended, 1)


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

    mask: (B, P), 1 = attend, and 1 at the first position, as `LoaPrefix` makes it. cache: `gpt2.empty_cache`.
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
