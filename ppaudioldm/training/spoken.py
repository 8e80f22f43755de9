"""What the joint stage does for a model that speaks: phoneme ids, all LOA tokens at once, initial position tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import F, Tensor, xp
from ppaudioldm.text.phonemes import phoneme_ids
from ppaudioldm.training.average import set_values

POSITION_DEVIATION = 0.5  # standard deviation of initial position tables, similar to what they are added to


def padded_phoneme_ids(phonemes: Sequence[str], length: int) -> np.ndarray:
    """The ids of several phoneme strings, (B, length) int64, padded with 0; those of "" are padding alone."""
    return np.concatenate([phoneme_ids(p, length) if p else np.zeros((1, length), np.int64) for p in phonemes])


def parallel_loa(
    gpt2: Callable[[Tensor, Tensor, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]],
    prefix: Tensor,
    mask: Tensor,
    empty: Sequence[Tensor],
    history: Tensor,
    passes: int,
    spoken: Tensor | None = None,
) -> Tensor:
    """GPT-2's LOA tokens (B, N, D) after `prefix` (B, P, D), all at once, each from its own tokens before it.

    gpt2: as `GPT2.forward`. empty: its cache before the prefix. history: (B, N - 1, D), from which the tokens are
    predicted; those predictions take its place in the next pass. passes: how many without gradients come before the
    last one. With k of them the first k + 1 tokens are those of generation. AudioMAE's tokens are no input: each is
    computed from the whole clip, so that GPT-2 could predict the next one without reading the phonemes. spoken: as
    `LoaPrefix` returns it.
    """
    last = prefix.shape[1] - 1
    numbers = xp.cumsum(xp.ones_like(mask[0, :last]), 0)
    used = int((xp.amax(mask[:, :last], 0) * numbers).max())  # behind these all sentences have padding
    _, cache = gpt2(prefix[:, :used], mask[:, :used], empty)
    cache = [F.pad(x, (0, 0, 0, last - used)) for x in cache]
    mask = xp.concat([mask, xp.ones_like(history[:, :, 0])], 1)

    def predicted(tokens: Tensor, cache: Sequence[Tensor]) -> Tensor:
        if spoken is None:
            return gpt2(xp.concat([prefix[:, last:], tokens], 1), mask, cache)[0]
        return gpt2(xp.concat([prefix[:, last:], tokens + spoken[:, 1:]], 1), mask, cache)[0] + spoken

    with framework.no_grad():
        fixed = [x.detach() for x in cache]
        for _ in range(passes):
            history = predicted(history, fixed)[:, :-1]
    return predicted(history, cache)


def initialise_positions(networks: dict[str, Any]) -> None:
    """Sinusoids for the position tables of GPT-2 and the phoneme encoder: near positions are alike from the start.

    From random tables, GPT-2 would first have to learn which phoneme comes after which.
    """
    if "gpt2" in networks:
        table = networks["gpt2"].positions.weight
        set_values({"": table}, {"": sinusoids(*table.shape)})
    if "phoneme_encoder" in networks:
        table = networks["phoneme_encoder"].positions
        set_values({"": table}, {"": np.ascontiguousarray(sinusoids(table.shape[2], table.shape[1]).T[None])})


def sinusoids(length: int, size: int) -> np.ndarray:
    """(length, size) float32: sines and cosines of the position, of falling frequency and POSITION_DEVIATION."""
    angles = np.outer(np.arange(length), 10000.0 ** (-np.arange(-(-size // 2)) / (size / 2)))
    table = np.concatenate([np.sin(angles), np.cos(angles)], 1)[:, :size]
    return (table * np.sqrt(2) * POSITION_DEVIATION).astype(np.float32)
