"""Weight normalization undone: a weight stored as length g and direction v becomes g v / ||v||.

Training of vocoders keeps the two apart; PyTorch has had two namings for them. Source: arXiv:1602.07868.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor, UnreadableTensor

# Endings of the keys of g and v, of which the weight's key is `<module>.weight`.
NAMINGS = ((".weight_g", ".weight_v"), (".parametrizations.weight.original0", ".parametrizations.weight.original1"))


def without_weight_norm(tensors: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
    """`tensors` with `<module>.weight` for every pair of g and v; a plain weight that is stored as well is kept."""
    plain = dict(tensors)
    for of_g, of_v in NAMINGS:
        for key in [key for key in plain if key.endswith(of_g)]:
            module = key.removesuffix(of_g)
            g, v = plain[key], plain.get(f"{module}{of_v}")
            if v is None or isinstance(g, UnreadableTensor) or isinstance(v, UnreadableTensor) or not _fit(g, v):
                continue
            del plain[key], plain[f"{module}{of_v}"]
            plain.setdefault(f"{module}.weight", ComputedTensor(v.shape, partial(_folded, g, v)))
    return plain


def _fit(g: LazyTensor, v: LazyTensor) -> bool:
    """Whether `g` has one length for each index of the first axis of `v`: (n, 1, ...) in PyTorch, (n,) in Paddle."""
    return bool(v.shape) and g.shape in ((v.shape[0], *[1] * (len(v.shape) - 1)), v.shape[:1])


def _folded(g: LazyTensor, v: LazyTensor) -> np.ndarray:
    direction = v.read().astype(np.float32, copy=False)
    axes = tuple(range(1, direction.ndim))
    length = np.sqrt(np.square(direction, dtype=np.float64).sum(axes, keepdims=True))
    scale = g.read().reshape(length.shape) / np.maximum(length, np.finfo(np.float32).tiny)
    return (direction * scale).astype(np.float32)
