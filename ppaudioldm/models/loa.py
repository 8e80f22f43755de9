"""The sequence of conditions that GPT-2 continues with LOA tokens, see `generation.loa`.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is the space of AudioMAE's features: GPT-2 predicts those
of the clip from the conditions, one token after another.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppaudioldm.config import LoaConfig
from ppaudioldm.framework import Linear, Tensor, nn, xp


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
            # One token per item; `zeros_like` lets the batch size be dynamic in a trace.
            zeros, ones = xp.zeros_like(x[:, :1]), xp.ones_like(mask[:, :1])
            sos, eos = getattr(self, f"sos_{index}"), getattr(self, f"eos_{index}")
            embeddings += [zeros + sos, x, zeros + eos]
            attended += [ones, mask, ones]
        return xp.concat(embeddings, 1), xp.concat(attended, 1)
