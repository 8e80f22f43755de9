"""Sections of latents that have conditions of their own: each is denoised by itself, and cross-faded into the next.

As windows (`diffusion.windows`), sections share their steps (MultiDiffusion, arXiv:2302.08113): at every step the
network predicts the noise of each section, neighbours are cross-faded where they overlap, and the sampler takes one
step of the whole. A section is as a clip of its own to the network: its first frame is that of a sound that begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ppaudioldm.diffusion.schedule import Array
from ppaudioldm.diffusion.windows import Concat, Windows, windows_over


@dataclass(frozen=True)
class Section:
    """The frames that the network sees for one condition: `windows` over those from `first` on.

    begin, end: the frames whose prediction counts, with those in which it is cross-faded with a neighbour's.
    """

    first: int
    windows: Windows
    begin: int
    end: int


@dataclass(frozen=True)
class Sections:
    """`sections` in order. borders: the frames, with fractions, at which one passes into the next, half way through
    a cross-fade of so many frames: `fades`."""

    sections: tuple[Section, ...]
    borders: tuple[float, ...] = ()
    fades: tuple[float, ...] = ()

    def cut(self, array: Array) -> list[Array]:
        """The frames of each section of `array`, (..., frames, bands)."""
        if len(self.sections) == 1:
            return [array]
        return [array[..., section.first : section.first + section.windows.total, :] for section in self.sections]

    def join(self, arrays: Sequence[Array], asarray: Callable[[np.ndarray], Array], concat: Concat) -> Array:
        """`arrays`, of the frames that `cut` returns, as one (..., frames, bands), cross-faded at the borders."""
        if len(arrays) == 1:
            return arrays[0]

        def piece(index: int, begin: int, end: int) -> Array:
            first = self.sections[index].first
            return arrays[index][..., begin - first : end - first, :]

        pieces, begin = [], 0
        for index, (section, following) in enumerate(pairwise(self.sections)):
            pieces.append(piece(index, begin, following.begin))
            begin = section.end
            earlier, later = (piece(i, following.begin, section.end) for i in (index, index + 1))
            share = asarray(self._shares(index, following.begin, section.end)[:, None])
            pieces.append(earlier + share * (later - earlier))
        pieces.append(piece(len(arrays) - 1, begin, self.sections[-1].end))
        return concat([x for x in pieces if x.shape[-2]], -2)

    def _shares(self, index: int, begin: int, end: int) -> np.ndarray:
        """The share of the later section at each frame from `begin` to `end` of the border of that index."""
        places = (np.arange(begin, end) + 0.5 - self.borders[index]) / self.fades[index]
        return np.sin(np.pi / 2 * np.clip(places + 0.5, 0, 1)).astype(np.float32) ** 2


def sections_over(windows: Windows, borders: Sequence[float] = (), fade: float = 0.0, unit: int = 1) -> Sections:
    """Sections of all frames of `windows` that pass into each other at `borders`.

    windows: those of a single section. borders: ascending, in frames, which may be fractions. fade: frames of a
    cross-fade, fewer where borders are nearer to each other. unit: the network takes a multiple of so many frames.

    The windows of all sections have one of two lengths, since an engine compiles the network for exact lengths: as many
    frames as the longest section, or as `windows` where that is shorter; or half as many, where a section fits in.
    """
    total = windows.total
    if not borders:
        return Sections((Section(0, windows, 0, total),))
    gaps = [later - earlier for earlier, later in pairwise((0, *borders, total))]
    fades = tuple(min(fade, before, after) for before, after in pairwise(gaps))
    # The frames whose middle is within the cross-fade.
    rises = [math.ceil(border - width / 2 - 0.5) for border, width in zip(borders, fades, strict=True)]
    falls = [math.ceil(border + width / 2 - 0.5) for border, width in zip(borders, fades, strict=True)]
    spans = list(zip((0, *rises), (*falls, total), strict=True))
    whole = min(windows.length, _rounded_up(max(end - begin for begin, end in spans), unit))
    half = _rounded_up(whole / 2, unit)
    sections = []
    for begin, end in spans:
        length = half if end - begin <= half else whole
        size = max(length, _rounded_up(end - begin, unit))
        first = min(begin, total - size)
        sections.append(Section(first, windows_over(size, length), begin, end))
    return Sections(tuple(sections), tuple(borders), fades)


def _rounded_up(frames: float, unit: int) -> int:
    return unit * math.ceil(frames / unit)
