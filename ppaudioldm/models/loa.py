"""The sequence of conditions that GPT-2 continues with LOA tokens, see `generation.loa`.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is the space of AudioMAE's features: GPT-2 predicts those
of the clip from the conditions, one token after another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppaudioldm.config import LoaConfig
from ppaudioldm.framework import F, Linear, Tensor, constant, nn, unflatten, xp

PARTS = 4  # of the time of a LOA token, in each of which another phoneme may be spoken


class LoaPrefix(nn.Module):
    """Conditions -> the sequence [SOS_0, condition 0, EOS_0, SOS_1, condition 1, EOS_1, ...].

    With a duration_dim the items of the last condition are phonemes, states followed by embeddings. Their durations are
    predicted, and from what is spoken around each LOA token the token itself, a first guess to which GPT-2's output is
    added: from the sequence alone a small GPT-2 does not learn when each phoneme is spoken. This is FastSpeech
    (arXiv:1905.09263) before GPT-2. Both also depend on the first item of each other condition, the description of the
    speaker.
    """

    def __init__(self, config: LoaConfig) -> None:
        super().__init__()
        self.projections = nn.ModuleList([Linear(dim, config.hidden_size) for dim in config.condition_dims])
        for index in range(len(config.condition_dims)):
            setattr(self, f"sos_{index}", nn.Parameter(xp.empty([config.hidden_size])))
            setattr(self, f"eos_{index}", nn.Parameter(xp.empty([config.hidden_size])))
        self.num_tokens = config.num_tokens
        self.is_timed = config.duration_dim is not None
        if config.duration_dim is not None:
            self.duration_in = Linear(sum(config.condition_dims), config.duration_dim)
            self.duration_out = Linear(config.duration_dim, 1)
            *others, phonemes = config.condition_dims
            self.embedding_dim, width = phonemes // 2, 2 * config.duration_dim
            self.spoken_in = Linear(sum(others) + 3 * PARTS * self.embedding_dim, width)
            self.spoken_middle = Linear(width, width)
            self.spoken_out = Linear(width, config.hidden_size)

    def forward(
        self, states: Sequence[Tensor], masks: Sequence[Tensor], durations: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The embeddings (B, P, 768) and mask (B, P) that GPT-2 continues, and with a duration_dim the first guess at
        the tokens, (B, num_tokens, 768), the first of which has been added to the end of the embeddings.

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
            sos, eos = getattr(self, f"sos_{index}"), getattr(self, f"eos_{index}")
            embeddings += [zeros + sos, x, zeros + eos]
            attended += [ones, mask, ones]
        if not self.is_timed:
            return xp.concat(embeddings, 1), xp.concat(attended, 1)
        spoken = self._spoken(states, self.durations(states, masks[-1]) if durations is None else durations)
        embeddings[-1] = embeddings[-1] + spoken[:, :1]
        return xp.concat(embeddings, 1), xp.concat(attended, 1), spoken

    def durations(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """How long each item of the last condition is spoken, in LOA tokens: (B, L), 0 where `mask` (B, L) is 0.

        That of the first item counts from the beginning of the clip.
        """
        last = states[-1]
        inner = F.gelu(self.duration_in(xp.concat([*_description(states, last), last], 2)), approximate="tanh")
        return F.softplus(self.duration_out(inner))[:, :, 0] * mask

    def _spoken(self, states: Sequence[Tensor], durations: Tensor) -> Tensor:
        """The first guess at each token, (B, num_tokens, C), from the phonemes spoken around it."""
        # In float32: half precision does not resolve times of a hundred tokens.
        embeddings, durations = states[-1][:, :, -self.embedding_dim :].to(xp.float32), durations.to(xp.float32)
        ends = xp.cumsum(durations, 1)
        begins, ends = (ends - durations).unsqueeze(1), ends.unsqueeze(1)
        times = np.arange(PARTS * self.num_tokens + 1, dtype=np.float32)[None, :, None] / PARTS
        passed = constant(times, durations)
        # How long each phoneme was spoken until each of these times, (B, parts + 1, L), and in each part, as its share.
        until = F.relu(passed - begins) - F.relu(passed - ends)
        shares = (until[:, 1:] - until[:, :-1]) * PARTS
        during = unflatten(xp.matmul(shares, embeddings), 1, (self.num_tokens, PARTS)).flatten(2, 3)
        none = xp.zeros_like(during[:, :1])
        around = [xp.concat([none, during[:, :-1]], 1), during, xp.concat([during[:, 1:], none], 1)]
        inputs = xp.concat([*_description(states, during), *around], 2).to(states[-1].dtype)
        inner = F.gelu(self.spoken_in(inputs), approximate="tanh")
        return self.spoken_out(F.gelu(self.spoken_middle(inner), approximate="tanh"))


def _description(states: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """The first item of each condition but the last, for every item of `like` (B, N, D)."""
    # CLAP's embeddings have length 1: scaled to a variance of 1 like the other inputs.
    return [x[:, :1].to(like.dtype) * x.shape[2] ** 0.5 + xp.zeros_like(like[:, :, :1]) for x in states[:-1]]
