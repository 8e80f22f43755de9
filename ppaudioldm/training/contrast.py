"""Contrastive losses: of text and audio as in CLIP (arXiv:2103.00020), and of two captions of the same clip."""

from __future__ import annotations

import numpy as np

from ppaudioldm.framework import F, Tensor, constant, xp

TEMPERATURE = 0.1  # of the similarities of captions
MAX_PARAPHRASES = 4096  # pairs in a batch: their similarities are its square


def contrastive_loss(logits: Tensor) -> Tensor:
    """Symmetric cross-entropy of similarities (B, B), which should be largest on the diagonal."""
    target = constant(np.arange(logits.shape[0]), logits)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.transpose(0, 1), target)) / 2


def paraphrase_loss(states: Tensor, mask: Tensor) -> Tensor:
    """The contrastive loss of captions by their mean states: which other caption describes the same clip?

    states: of a text encoder (2 B, L, D), one caption each of B clips, then another one each in the same order. mask:
    (2 B, L), 1 = token.
    """
    weights = mask.unsqueeze(-1)
    means = (states * weights).sum(1) / weights.sum(1)
    units = means / xp.sqrt((means * means).sum(1, keepdim=True) + 1e-12)
    clips = states.shape[0] // 2
    return contrastive_loss(xp.matmul(units[:clips], units[clips:].transpose(0, 1)) / TEMPERATURE)
