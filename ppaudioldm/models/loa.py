"""The sequence of conditions that GPT-2 continues with LOA tokens, see `generation.loa`.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is the space of AudioMAE's features: GPT-2 predicts those
of the clip from the conditions, one token after another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppaudioldm.config import LoaConfig
from ppaudioldm.framework import F, Linear, Tensor, constant, nn, xp

TIME_DEVIATION = 0.5  # standard deviation of the sinusoids of a time


class LoaPrefix(nn.Module):
    """Conditions -> the sequence [SOS_0, condition 0, EOS_0, SOS_1, condition 1, EOS_1, ...].

    With a duration_dim, the durations of the last condition's items are predicted from their states and the first item
    of each other condition, and sinusoids of when each is spoken are added to them: those of the position in the
    sequence of the LOA token of this time. GPT-2 then finds what is spoken where positions are alike.
    """

    def __init__(self, config: LoaConfig) -> None:
        super().__init__()
        self.projections = nn.ModuleList([Linear(dim, config.hidden_size) for dim in config.condition_dims])
        for index in range(len(config.condition_dims)):
            setattr(self, f"sos_{index}", nn.Parameter(xp.empty([config.hidden_size])))
            setattr(self, f"eos_{index}", nn.Parameter(xp.empty([config.hidden_size])))
        self.is_timed = config.duration_dim is not None
        if config.duration_dim is not None:
            self.duration_in = Linear(sum(config.condition_dims), config.duration_dim)
            self.duration_out = Linear(config.duration_dim, 1)
            self.frequencies = 10000.0 ** (-np.arange(config.hidden_size // 2) / (config.hidden_size // 2))

    def forward(
        self, states: Sequence[Tensor], masks: Sequence[Tensor], durations: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The embeddings (B, P, 768) and mask (B, P) that GPT-2 continues.

        states: one (B, L_i, dim_i) per `condition_dims` entry, L_i >= 1. masks: (B, L_i) float, 1 = attend; padding
        stays in the sequence, masked. P is the sum of all L_i + 2. durations: of the last condition's items where they
        are known, as in training; see `durations`. Raises ValueError on a wrong count of states or masks.
        """
        if not len(states) == len(masks) == len(self.projections):
            raise ValueError(f"expected {len(self.projections)} conditions, got {len(states)} and {len(masks)} masks")
        embeddings: list[Tensor] = []
        attended: list[Tensor] = []
        for index, projection in enumerate(self.projections):
            x, mask = projection(states[index]), masks[index]
            # One token per item; `zeros_like` lets the batch size be dynamic in a trace.
            zeros, ones = xp.zeros_like(x[:, :1]), xp.ones_like(mask[:, :1])
            if self.is_timed and index == len(states) - 1:
                durations = self.durations(states, mask) if durations is None else durations
                x = x + self._times(durations, xp.concat([*attended, ones, mask, ones], 1))
            sos, eos = getattr(self, f"sos_{index}"), getattr(self, f"eos_{index}")
            embeddings += [zeros + sos, x, zeros + eos]
            attended += [ones, mask, ones]
        return xp.concat(embeddings, 1), xp.concat(attended, 1)

    def durations(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """How long each item of the last condition is spoken, in LOA tokens: (B, L), 0 where `mask` (B, L) is 0."""
        last = states[-1]
        others = [x[:, :1] + xp.zeros_like(last[:, :, :1]) for x in states[:-1]]
        inner = F.gelu(self.duration_in(xp.concat([*others, last], 2)), approximate="tanh")
        return F.softplus(self.duration_out(inner))[:, :, 0] * mask

    def _times(self, durations: Tensor, before: Tensor) -> Tensor:
        """Sinusoids (B, L, C) of the middle of each item. before: (B, P), whatever comes before the LOA tokens."""
        # In float32: half precision does not resolve angles of a hundred.
        durations = durations.to(xp.float32)
        position = xp.ones_like(before).to(xp.float32).sum(1, keepdim=True)  # of the first LOA token
        middles = xp.cumsum(durations, 1) - 0.5 * durations + position
        angles = middles.unsqueeze(2) * constant(self.frequencies.astype(np.float32), middles)
        return xp.concat([xp.sin(angles), xp.cos(angles)], 2) * (TIME_DEVIATION * 2**0.5)
