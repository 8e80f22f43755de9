"""Distances between sets of sounds, and measures of one set: its inception score, diversity, nearest neighbours."""

from __future__ import annotations

import numpy as np

FLOOR = 1e-7  # of a probability
# Of audioldm_eval.
LOGITS_FLOOR = 1e-6  # added to a probability before its logarithm
INCEPTION_SPLITS = 10
INCEPTION_SEED = 2020  # of the order in which clips are divided into splits
COARSE_FRAMES = 1024  # of 10 ms, before averaging
COARSE_BLOCK = (4, 4)  # frames and bands that are averaged
COARSE_FLOOR = -6.0  # of log-mel values: anything quieter counts as silence
DISTANCE_ROWS = 1024  # of the matrix of distances that are computed at a time


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of Gaussians fitted to embeddings (n, size) and (m, size); 0 for equal sets.

    |mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2)), as in arXiv:1812.08466. It is biased: it falls as
    clips are added, so compare only sets of one size. Raises ValueError for fewer than two embeddings, or another size.
    """
    a, b = _checked(a, 2), _checked(b, 2)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"embeddings of {a.shape[1]} and {b.shape[1]} values cannot be compared")
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


def kl_of_logits(reference: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """The mean over pairs of KL(reference || generated) in nats, of logits (pairs, labels) each, as in audioldm_eval.

    Once with the softmax of the logits as probabilities, as AudioGen's authors compute it, once with their sigmoid,
    where labels do not exclude each other. The second is no divergence: it can be negative.
    """
    generated, reference = np.asarray(generated, np.float64), np.asarray(reference, np.float64)
    sums = []
    for probabilities in (_softmax, _sigmoid):
        p, q = probabilities(reference), probabilities(generated)
        logarithm = np.log(np.maximum(p, np.finfo(np.float64).tiny))  # where p is 0, so is the product
        sums.append(float(np.mean(np.sum(p * (logarithm - np.log(q + LOGITS_FLOOR)), 1))))
    return sums[0], sums[1]


def inception_score(logits: np.ndarray) -> tuple[float, float]:
    """Mean and deviation over INCEPTION_SPLITS parts of exp(mean KL(clip || mean of the part)), of logits (n, labels).

    Between 1, where all clips are alike, and the number of labels. As in audioldm_eval, with its order of the clips.
    Raises ValueError for fewer clips than parts.
    """
    logits = _checked(logits, INCEPTION_SPLITS)
    shuffled = _softmax(logits[np.random.RandomState(INCEPTION_SEED).permutation(len(logits))])
    tiny = np.finfo(np.float64).tiny
    scores = []
    for part in range(INCEPTION_SPLITS):
        start, end = (len(logits) * i // INCEPTION_SPLITS for i in (part, part + 1))
        p = shuffled[start:end]
        ratio = np.log(np.maximum(p, tiny)) - np.log(np.maximum(p.mean(0), tiny))
        scores.append(np.exp(np.mean(np.sum(p * ratio, 1))))
    return float(np.mean(scores)), float(np.std(scores))


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, labels) of logits."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -700, 700))))


def diversity(embeddings: np.ndarray) -> float:
    """The mean cosine distance of all pairs among embeddings (n, size): 0 if all are equal."""
    units = _units(_checked(embeddings, 2))
    count, total = len(units), units.sum(0)
    return float(1 - (total @ total - count) / (count * (count - 1)))


def coarse_mel(mel: np.ndarray) -> np.ndarray:
    """(4096,) float32: a log-mel spectrogram (frames, 64) at a quarter of its resolution, cut or repeated to 10 s.

    Equal ones are of the same recording; two recordings of one kind of sound differ.
    """
    frames, bands = COARSE_BLOCK
    repeated = np.maximum(mel[np.arange(COARSE_FRAMES) % len(mel)], COARSE_FLOOR)
    return repeated.reshape(COARSE_FRAMES // frames, frames, -1, bands).mean((1, 3)).reshape(-1).astype(np.float32)


def nearest_distances(coarse_mels: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """(n,) root mean square difference of each of `coarse_mels` (n, size) to its nearest neighbour.

    The neighbour is looked for among `others` (m, size), by default among the remaining `coarse_mels`. In the units of
    log-mel spectrograms; infinite where there is no neighbour.
    """
    points = np.asarray(coarse_mels, np.float64)
    targets = points if others is None else np.asarray(others, np.float64)
    squares = (targets**2).sum(1)
    nearest = np.full(len(points), np.inf)
    for start in range(0, len(points), DISTANCE_ROWS):
        block = points[start : start + DISTANCE_ROWS]
        distance = (block**2).sum(1)[:, None] + squares - 2 * block @ targets.T
        if others is None:
            distance[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        nearest[start : start + DISTANCE_ROWS] = distance.min(1, initial=np.inf)
    return np.sqrt(np.maximum(nearest, 0) / points.shape[1])


def _units(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _checked(embeddings: np.ndarray, least: int) -> np.ndarray:
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2 or len(embeddings) < least:
        raise ValueError(f"embeddings have shape {embeddings.shape}, expected ({least} or more, size)")
    return embeddings
