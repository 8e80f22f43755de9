"""Contrastive losses."""

import numpy as np

from ppaudioldm import framework
from ppaudioldm.training.contrast import TEMPERATURE, paraphrase_loss


def test_the_loss_of_paraphrases_is_the_cross_entropy_of_their_similarities():
    rng = np.random.default_rng(0)
    states = rng.standard_normal((6, 5, 8)).astype(np.float32)
    mask = (np.arange(5) < np.array([[5], [3], [1], [2], [5], [4]])).astype(np.float32)
    found = paraphrase_loss(framework.from_numpy(states), framework.from_numpy(mask))
    means = np.stack([row[: int(length)].mean(0) for row, length in zip(states, mask.sum(1), strict=True)])
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    logits = units[:3] @ units[3:].T / TEMPERATURE
    of_first = -np.diag(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    of_second = -np.diag(logits - np.log(np.exp(logits).sum(0)))
    assert np.isclose(float(found), (of_first.mean() + of_second.mean()) / 2, rtol=1e-4)


def test_the_loss_of_equal_captions_is_small_and_of_swapped_ones_large():
    units = np.eye(4, dtype=np.float32)[:, None]
    mask = framework.from_numpy(np.ones((8, 1), np.float32))
    equal = float(paraphrase_loss(framework.from_numpy(np.concatenate([units, units])), mask))
    swapped = float(paraphrase_loss(framework.from_numpy(np.concatenate([units, units[::-1]])), mask))
    assert equal < 0.001 and swapped > 9
