"""The UNet's contexts of captions where the text encoders are frozen: each is encoded once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ppaudioldm import framework
from ppaudioldm.framework import Tensor

MOST_CAPTIONS = 2048  # kept: 0.2 GB for audioldm2-full

Encode = Callable[[Sequence[str]], "tuple[list[Tensor], list[Tensor]]"]  # contexts (B, L, D) and masks (B, L)


class CaptionContexts:
    """Contexts by caption. encode: of several captions; "" is the unconditional one.

    Each caption is encoded alone, so that its values do not depend on those before it, by which a run that is resumed
    would differ from one in one go.
    """

    def __init__(self, encode: Encode, most: int = MOST_CAPTIONS) -> None:
        self._encode, self._most = encode, most
        self._kept: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}

    def __call__(self, captions: Sequence[str]) -> dict[str, np.ndarray]:
        """`context_0` (B, L, D), `mask_0` (B, L) and so on, padded with masked zeros."""
        found = [self._of(caption) for caption in captions]
        arrays = {}
        for i in range(len(found[0][0])):
            arrays[f"context_{i}"] = _padded([contexts[i] for contexts, _ in found])
            arrays[f"mask_{i}"] = _padded([masks[i] for _, masks in found])
        return arrays

    def _of(self, caption: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        if caption not in self._kept:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            with framework.no_grad():
                contexts, masks = self._encode([caption])
            self._kept[caption] = _rows(contexts), _rows(masks)
        return self._kept[caption]


def _rows(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """The only item of each of `tensors`."""
    return [framework.to_numpy(tensor)[0] for tensor in tensors]


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (L, ...) as one (B, longest L, ...)."""
    longest = max(map(len, arrays))
    return np.stack([np.pad(x, [(0, longest - len(x)), *[(0, 0)] * (x.ndim - 1)]) for x in arrays])
