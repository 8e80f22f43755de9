"""A contact sheet: the log-mel spectrograms of several clips in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppaudioldm.audio.spectrogram import coloured, write_png

DARKEST, BRIGHTEST = -11.0, 1.0  # natural logarithms of mel magnitudes
GAP = 6  # pixels between clips
HEIGHT_SCALE = 2  # pixels a mel band


def write_sheet(path: str | os.PathLike[str], rows: Sequence[Sequence[np.ndarray]]) -> Path:
    """Write log-mel spectrograms (frames, bands), in rows, as the PNG `path`, all or nothing; returns `path`.

    Time runs to the right at one pixel a frame, frequency upwards. Raises OutputError where the file cannot be written,
    ValueError without any spectrogram.
    """
    return write_png(path, sheet(rows))


def sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """The picture (height, width, 3) uint8."""
    mels = [mel for row in rows for mel in row]
    if not mels:
        raise ValueError("a sheet needs one or more spectrograms")
    frames, height = max(len(mel) for mel in mels), HEIGHT_SCALE * max(mel.shape[1] for mel in mels)
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + GAP) - GAP, columns * (frames + GAP) - GAP, 3)
    picture = np.full(shape, 255, np.uint8)
    for y, row in enumerate(rows):
        for x, mel in enumerate(row):
            top, left = y * (height + GAP), x * (frames + GAP)
            level = (np.flipud(mel.T) - DARKEST) / (BRIGHTEST - DARKEST)
            image = coloured(level).repeat(HEIGHT_SCALE, 0)
            picture[top : top + image.shape[0], left : left + image.shape[1]] = image
    return picture
