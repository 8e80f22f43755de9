"""Distances of sets of sounds, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.evaluation import distances
from ppaudioldm.sounds import example
from ppaudioldm.sounds.captions import SPLITS
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


def test_nearest_is_the_root_mean_square_difference_to_the_nearest():
    a, b = noise(7, 32).astype(np.float64), noise(5, 32, seed=1).astype(np.float64)
    b[3] = a[1]
    by_hand = [min(np.sqrt(np.mean((x - y) ** 2)) for y in b) for x in a]
    assert distances.nearest_distances(a, b) == pytest.approx(by_hand, abs=1e-6)
    among = [min(np.sqrt(np.mean((a[i] - a[j]) ** 2)) for j in range(7) if j != i) for i in range(7)]
    assert distances.nearest_distances(a) == pytest.approx(among, abs=1e-6)
    assert distances.nearest_distances(a[:1])[0] == np.inf


def test_nearest_is_the_same_in_blocks(monkeypatch):
    a, b = noise(20, 8), noise(30, 8, seed=1)
    whole = distances.nearest_distances(a), distances.nearest_distances(a, b)
    monkeypatch.setattr(distances, "DISTANCE_ROWS", 7)
    assert distances.nearest_distances(a) == pytest.approx(whole[0]) and distances.nearest_distances(
        a, b
    ) == pytest.approx(whole[1])


def test_coarse_spectrograms_distinguish_recordings_but_not_copies():
    clips = [example(seed, (kind,), split=split) for seed in (0, 1) for kind in ("rain", "bell") for split in SPLITS]
    worn = [clip.waveform + 0.0005 * noise(len(clip.waveform)) for clip in clips]
    coarse_mels, copies = (
        np.stack([distances.coarse_mel(log_mel(w)) for w in x]) for x in ([c.waveform for c in clips], worn)
    )
    assert coarse_mels.shape == (8, 4096)
    assert 2 * distances.nearest_distances(coarse_mels, copies).max() < distances.nearest_distances(coarse_mels).min()


@pytest.mark.parametrize("shape", [(1, 4), (4,), (0, 4)])
def test_too_few_embeddings_are_refused(shape):
    with pytest.raises(ValueError, match="2 or more"):
        distances.frechet_distance(np.zeros(shape), np.zeros((3, 4)))


def test_embeddings_of_another_size_are_refused():
    with pytest.raises(ValueError, match="4 and 5 values"):
        distances.frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))
