"""How far apart sets of sounds are: arithmetic on what was heard of each."""

from __future__ import annotations

import numpy as np

FLOOR = 1e-7  # of a probability


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of Gaussians fitted to embeddings (n, size) and (m, size); 0 for the same ones.

    |mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2)), as in arXiv:1812.08466. It falls with the number of clips: only
    sets of the same size compare. Raises ValueError for fewer than two embeddings, or another size.
    """
    a, b = _checked(a, 2), _checked(b, 2)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"embeddings of {a.shape[1]} and {b.shape[1]} values do not compare")
    mean = a.mean(0) - b.mean(0)
    # With X^T X = A and Y^T Y = B, the trace of (A B)^(1/2) is the sum of the singular values of X Y^T: exact also
    # where there are fewer clips than dimensions, where a matrix root is not.
    x, y = (_root((e - e.mean(0)) / np.sqrt(len(e) - 1)) for e in (a, b))
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(0.0, mean @ mean + (x**2).sum() + (y**2).sum() - 2 * root))


def _root(x: np.ndarray) -> np.ndarray:
    """A matrix with the same X^T X as `x` and no more rows than columns."""
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x


def kl_divergence(reference: np.ndarray, generated: np.ndarray) -> float:
    """The mean over pairs of KL(reference || generated) in nats, of probabilities (pairs, labels) each."""
    p, q = np.maximum(reference, FLOOR), np.maximum(generated, FLOOR)
    return float(np.mean(np.sum(p * np.log(p / q), 1)))


def diversity(embeddings: np.ndarray) -> float:
    """The mean cosine distance of all pairs among embeddings (n, size): 0 if all sounds are the same."""
    units = _units(_checked(embeddings, 2))
    count, total = len(units), units.sum(0)
    return float(1 - (total @ total - count) / (count * (count - 1)))


def nearest(embeddings: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """(n,) cosine distance of each embedding (n, size) to the nearest of `others`, or of the rest of them."""
    units = _units(_checked(embeddings, 1 if others is not None else 2))
    similarity = units @ (units if others is None else _units(_checked(others, 1))).T
    if others is None:
        np.fill_diagonal(similarity, -1)
    return np.maximum(0, 1 - similarity.max(1))


def nearest_mel(mels: list[np.ndarray], others: list[np.ndarray] | None = None) -> np.ndarray:
    """(n,) mean absolute difference of each log-mel spectrogram (frames, bands) to the nearest one of the others.

    Of `others`, or of the rest of `mels`; infinite where there is none. Over the frames that both have. A copy is at 0,
    the same sound through a good vocoder at about 0.2.
    """
    found = []
    for place, mel in enumerate(mels):
        rest = [other for number, other in enumerate(mels) if number != place] if others is None else others
        found.append(min((_mel_distance(mel, other) for other in rest), default=np.inf))
    return np.array(found)


def _mel_distance(a: np.ndarray, b: np.ndarray) -> float:
    frames = min(len(a), len(b))
    return float(np.abs(a[:frames] - b[:frames]).mean())


def _units(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _checked(embeddings: np.ndarray, least: int) -> np.ndarray:
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2 or len(embeddings) < least:
        raise ValueError(f"embeddings have shape {embeddings.shape}, expected ({least} or more, size)")
    return embeddings
