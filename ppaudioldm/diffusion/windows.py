"""Overlapping windows over long latents, and the weighted mean that joins the network's outputs for them.

Used with shared steps (MultiDiffusion, arXiv:2302.08113): at every step the network predicts the noise of each window,
the predictions are blended, and the sampler takes one step of the whole. Arrays are (..., frames, bands), of NumPy or
either framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ppaudioldm.diffusion.schedule import Array

# The least overlap of neighbours, as a fraction of a window's length. Measured on random weights with 256 frames: the
# predictions of two windows differ by 0.8 of their size at the end of one, by 0.16 eight frames inside it, and from
# sixteen on no more than further in. With a quarter, the overlap has 32 frames to either side of its middle, and the
# network runs 1.33 times as often as without overlap; a half costs 2 times, without smaller steps at the borders.
OVERLAP = 0.25

Concat = Callable[[Sequence[Array], int], Array]


@dataclass(frozen=True)
class Windows:
    """Windows of `length` frames over `total`, by their first frames; one that crosses the end goes on at frame 0."""

    length: int
    total: int
    starts: tuple[int, ...]

    def scaled(self, factor: int) -> Windows:
        """The same windows over an array with `factor` frames for each of these."""
        return Windows(self.length * factor, self.total * factor, tuple(start * factor for start in self.starts))

    def cut(self, array: Array, concat: Concat) -> list[Array]:
        """Each window of `array`, (..., length, bands)."""
        windows = []
        for start in self.starts:
            pieces = [array[..., first:end, :] for _, first, end in self._pieces(start)]
            windows.append(pieces[0] if len(pieces) == 1 else concat(pieces, -2))
        return windows

    def blend(self, windows: Sequence[Array], asarray: Callable[[np.ndarray], Array], concat: Concat) -> Array:
        """The weighted mean of `windows` (..., length, bands) at each frame: (..., total, bands).

        A window's weight is highest in its middle and near zero at its ends, so that nothing jumps where one begins.
        """
        if len(windows) == 1:
            return windows[0]
        weights = asarray(self._weights[:, None])
        weighted = [window * weights for window in windows]
        # Between two neighbours of these, every frame is covered by the same windows.
        borders = sorted({frame for start in self.starts for piece in self._pieces(start) for frame in piece[1:]})
        segments = []
        for begin, end in pairwise(borders):
            covering = [
                window[..., offset + begin - first : offset + end - first, :]
                for window, start in zip(weighted, self.starts, strict=True)
                for offset, first, last in self._pieces(start)
                if first <= begin and end <= last
            ]
            segments.append(sum(covering[1:], covering[0]))
        return concat(segments, -2) * asarray(1 / self._weight_sums[:, None])

    def _pieces(self, start: int) -> list[tuple[int, int, int]]:
        """The window from `start` in pieces within `total`: (offset in the window, first frame, end frame) of each."""
        pieces, offset = [], 0
        while offset < self.length:
            first = (start + offset) % self.total
            size = min(self.length - offset, self.total - first)
            pieces.append((offset, first, first + size))
            offset += size
        return pieces

    @cached_property
    def _weights(self) -> np.ndarray:
        """(length,) of a window's frames, before division by the sum over all windows."""
        return np.sin(np.pi * (np.arange(self.length) + 0.5) / self.length).astype(np.float32) ** 2

    @cached_property
    def _weight_sums(self) -> np.ndarray:
        """(total,) the sum of the weights of each frame in all windows."""
        sums = np.zeros(self.total, np.float32)
        for start in self.starts:
            for offset, first, end in self._pieces(start):
                sums[first:end] += self._weights[offset : offset + end - first]
        return sums


def windows_over(total: int, length: int, circular: bool = False) -> Windows:
    """Windows of `length` frames that overlap by OVERLAP or a little more, evenly over `total`; one if that is enough.

    circular: for a loop, whose end continues in its start. There are two windows or more, so that every frame is well
    inside one of them.
    """
    step = length - round(OVERLAP * length)
    if circular:
        count = max(2, math.ceil(total / step))
        return Windows(length, total, tuple(i * total // count for i in range(count)))
    if total <= length:
        return Windows(total, total, (0,))
    count = 1 + math.ceil((total - length) / step)
    return Windows(length, total, tuple(i * (total - length) // (count - 1) for i in range(count)))
