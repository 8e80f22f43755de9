"""Distances of sets of sounds, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.evaluation import distances
from tests.support import noise


def frechet_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Through the eigenvalues of the product of the covariances: those of its root are their roots."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * root)


@pytest.mark.parametrize(("n", "m", "size"), [(50, 40, 6), (40, 300, 12), (7, 9, 20), (2, 30, 5)])
def test_frechet_distance_is_as_defined(n, m, size):
    a, b = noise(n, size).astype(np.float64), 2 * noise(m, size, seed=1).astype(np.float64) + 1
    assert distances.frechet_distance(a, b) == pytest.approx(frechet_by_definition(a, b), rel=1e-5)


def test_frechet_distance_of_one_set_is_0_and_grows_with_what_differs():
    a = noise(30, 5)
    assert distances.frechet_distance(a, a[::-1]) < 1e-9
    shifted = [distances.frechet_distance(a, a + shift) for shift in (0.1, 1.0)]
    assert shifted == pytest.approx([5 * 0.01, 5.0], rel=1e-3)


def test_kl_is_as_computed_by_hand():
    p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.9, 0.1], [0.5, 0.5]])
    by_hand = (0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1) + np.log(2)) / 2
    assert distances.kl_divergence(p, q) == pytest.approx(by_hand, rel=1e-4)
    assert distances.kl_divergence(p, p) == 0


def test_diversity_of_copies_is_0_of_orthogonal_ones_1():
    assert distances.diversity(np.ones((5, 3))) == pytest.approx(0)
    assert distances.diversity(np.diag([1.0, 5.0, 0.1])) == pytest.approx(1)


def test_diversity_is_the_mean_over_all_pairs():
    x = noise(6, 4).astype(np.float64)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [1 - units[i] @ units[j] for i in range(6) for j in range(i)]
    assert distances.diversity(x) == pytest.approx(np.mean(pairs))


def test_nearest_finds_a_copy_among_others_but_not_itself():
    a, b = noise(4, 8), noise(5, 8, seed=1)
    b[3] = 2 * a[1]
    assert distances.nearest(a, b).argmin() == 1 and distances.nearest(a, b).min() < 1e-6
    assert distances.nearest(a).min() > 0.01


def test_nearest_mel_finds_a_copy_of_another_length():
    mels = [noise(20, 4, seed=seed) for seed in range(3)]
    assert distances.nearest_mel(mels, [mels[2][:15], mels[1] + 0.5])[1:] == pytest.approx([0.5, 0])
    assert (distances.nearest_mel(mels) > 0.5).all()
    assert distances.nearest_mel(mels[:1])[0] == np.inf


@pytest.mark.parametrize("shape", [(1, 4), (4,), (0, 4)])
def test_too_few_embeddings_are_refused(shape):
    with pytest.raises(ValueError, match="2 or more"):
        distances.frechet_distance(np.zeros(shape), np.zeros((3, 4)))


def test_embeddings_of_another_size_are_refused():
    with pytest.raises(ValueError, match="4 and 5 values"):
        distances.frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))
