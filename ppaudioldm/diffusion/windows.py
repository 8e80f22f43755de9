"""Overlapping windows over arrays that are too long to be seen at once, and how what becomes of each is made one.

Used with shared steps (MultiDiffusion, arXiv:2302.08113): at every step the network predicts each window, the
predictions are blended, and the sampler steps the whole once. Arrays are (..., frames, bands) of any kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from .schedule import Array

# Of a window's length, at least. Measured on random weights, 256 frames: two windows disagree by 0.8 of the prediction
# at an end of one, by 0.16 eight frames inside, and from sixteen on no more than further in. A quarter has 32 frames to
# either side of its middle and costs 1.33 times no overlap; a half costs 2, without smaller steps at the borders.
OVERLAP = 0.25

Concat = Callable[[Sequence[Array], int], Array]


@dataclass(frozen=True)
class Windows:
    """Where windows of `length` frames start among `total`; those that go beyond the end continue at the start."""

    length: int
    total: int
    starts: tuple[int, ...]

    def scaled(self, factor: int) -> Windows:
        """The same windows over something that has `factor` frames for each of ours."""
        return Windows(self.length * factor, self.total * factor, tuple(start * factor for start in self.starts))

    def cut(self, array: Array, concat: Concat) -> list[Array]:
        """Each window of `array`, (..., length, bands)."""
        windows = []
        for start in self.starts:
            pieces = [array[..., first:end, :] for _, first, end in self._parts(start)]
            windows.append(pieces[0] if len(pieces) == 1 else concat(pieces, -2))
        return windows

    def blend(self, windows: Sequence[Array], asarray: Callable[[np.ndarray], Array], concat: Concat) -> Array:
        """What each frame is in the mean of the `windows` that hold it, (..., total, bands).

        The nearer a frame is to a window's middle, the more it counts there; at its ends hardly at all, so that nothing
        jumps where a window begins.
        """
        if len(windows) == 1:
            return windows[0]
        weights = asarray(self._weights[:, None])
        weighted = [window * weights for window in windows]
        # Between two neighbours of these, the same windows hold every frame.
        borders = sorted({frame for start in self.starts for part in self._parts(start) for frame in part[1:]})
        segments = []
        for begin, end in pairwise(borders):
            held = [
                window[..., offset + begin - first : offset + end - first, :]
                for window, start in zip(weighted, self.starts, strict=True)
                for offset, first, last in self._parts(start)
                if first <= begin and end <= last
            ]
            segments.append(sum(held[1:], held[0]))
        return concat(segments, -2) * asarray(1 / self._weight_sums[:, None])

    def _parts(self, start: int) -> list[tuple[int, int, int]]:
        """The window from `start` in pieces (offset in the window, first frame, end) that do not cross the end."""
        parts, offset = [], 0
        while offset < self.length:
            first = (start + offset) % self.total
            size = min(self.length - offset, self.total - first)
            parts.append((offset, first, first + size))
            offset += size
        return parts

    @cached_property
    def _weights(self) -> np.ndarray:
        """(length,) of a window's frames, before those of all windows are made to sum to one."""
        return np.sin(np.pi * (np.arange(self.length) + 0.5) / self.length).astype(np.float32) ** 2

    @cached_property
    def _weight_sums(self) -> np.ndarray:
        """(total,) of each frame in all windows."""
        sums = np.zeros(self.total, np.float32)
        for start in self.starts:
            for offset, first, end in self._parts(start):
                sums[first:end] += self._weights[offset : offset + end - first]
        return sums


def windows_over(total: int, length: int, circular: bool = False) -> Windows:
    """Windows of `length` frames that overlap by OVERLAP or a little more, evenly over `total`; one if that is enough.

    circular: the end continues in the start. There are two windows or more, so that each frame is well inside of one.
    """
    step = length - round(OVERLAP * length)
    if circular:
        count = max(2, math.ceil(total / step))
        return Windows(length, total, tuple(i * total // count for i in range(count)))
    if total <= length:
        return Windows(total, total, (0,))
    count = 1 + math.ceil((total - length) / step)
    return Windows(length, total, tuple(i * (total - length) // (count - 1) for i in range(count)))
