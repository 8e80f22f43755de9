"""What the joint stage does for a model that speaks: phoneme ids, teacher forcing, and initial position tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import Tensor, xp
from ppaudioldm.text.phonemes import phoneme_ids
from ppaudioldm.training.average import set_values

POSITION_DEVIATION = 0.5  # standard deviation of initial position tables, similar to what they are added to


def padded_phoneme_ids(phonemes: Sequence[str], length: int) -> np.ndarray:
    """The ids of several phoneme strings, (B, length) int64, padded with 0; those of "" are padding alone."""
    return np.concatenate([phoneme_ids(p, length) if p else np.zeros((1, length), np.int64) for p in phonemes])


def teacher_forced_loa(
    gpt2: Callable[[Tensor, Tensor], Tensor],
    prefix: Tensor,
    mask: Tensor,
    targets: Tensor,
    is_sampled: Tensor,
    passes: int,
) -> Tensor:
    """GPT-2's LOA tokens (B, N, D) after `prefix` (B, P, D), each predicted from the targets before it.

    gpt2: hidden states of embeddings and their mask, in one pass. targets: (B, N, D). is_sampled: (B, N, 1), 1 where
    GPT-2's own prediction replaces the target in its input, as everywhere in generation: parallel scheduled sampling,
    arXiv:1906.04331. passes: without gradients, to make those predictions, each from the predictions of the one before.
    """
    mask = xp.concat([mask, xp.ones_like(targets[:, 1:, 0])], 1)
    start = prefix.shape[1] - 1

    def predicted(tokens: Tensor) -> Tensor:
        return gpt2(xp.concat([prefix, tokens[:, :-1]], 1), mask)[:, start:]

    inputs = targets
    for _ in range(passes):
        with framework.no_grad():
            sampled = predicted(inputs)
        inputs = sampled * is_sampled + targets * (1 - is_sampled)
    return predicted(inputs)


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
