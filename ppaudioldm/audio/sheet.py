"""A contact sheet: the log-mel spectrograms of several clips in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppaudioldm.audio.spectrogram import INK, coloured, write_png

DARKEST, BRIGHTEST = -11.0, 1.0  # natural logarithms of mel magnitudes
GAP = 6  # pixels between clips
HEIGHT_SCALE = 2  # pixels a mel band
BLOCK_ROWS = 24  # more are drawn as several blocks side by side, at half the scale
NAME_WIDTH, HEAD_HEIGHT, FONT_SIZE = 140, 24, 15  # pixels, of the names of rows and columns


def write_sheet(
    path: str | os.PathLike[str],
    rows: Sequence[Sequence[np.ndarray]],
    names: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Path:
    """Write log-mel spectrograms (frames, bands), in rows, as the PNG `path`, all or nothing; returns `path`.

    names: of the rows. columns: the names of the columns. Time runs to the right, at one pixel a frame or two frames a
    pixel; frequency upwards. Raises OutputError where the file cannot be written, ValueError without any spectrogram.
    """
    return write_png(path, named_sheet(rows, names, columns) if names else sheet(rows))


def named_sheet(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """The picture (height, width, 3) uint8 with a name before each row and above each column."""
    if len(rows) <= BLOCK_ROWS:
        return _block(rows, names, columns, HEIGHT_SCALE)
    count = -(-len(rows) // BLOCK_ROWS)
    size = -(-len(rows) // count)
    halved = [[_half(mel) for mel in row] for row in rows]
    starts = range(0, len(rows), size)
    blocks = [_block(halved[at : at + size], names[at : at + size], columns, HEIGHT_SCALE // 2) for at in starts]
    height = max(len(block) for block in blocks)
    padded = [np.pad(b, ((0, height - len(b)), (0, 2 * GAP), (0, 0)), constant_values=255) for b in blocks]
    return np.concatenate(padded, axis=1)


def _block(
    rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], columns: Sequence[str], height_scale: int
) -> np.ndarray:
    clips = sheet(rows, height_scale)
    picture = np.pad(clips, ((HEAD_HEIGHT, 0), (NAME_WIDTH, 0), (0, 0)), constant_values=255)
    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE)
    row_height, width = (len(clips) + GAP) / len(rows), (clips.shape[1] + GAP) / max(len(row) for row in rows)
    for number, name in enumerate(names):
        middle = HEAD_HEIGHT + number * row_height + (row_height - GAP) / 2
        draw.text((NAME_WIDTH - GAP, middle), name, INK, font, "rm")
    for number, name in enumerate(columns):
        draw.text((NAME_WIDTH + number * width, HEAD_HEIGHT - GAP), name, INK, font, "ls")
    return np.asarray(image)


def _half(mel: np.ndarray) -> np.ndarray:
    """`mel` (frames, bands) with each two frames averaged."""
    frames = len(mel) // 2 * 2
    return mel[:frames].reshape(-1, 2, mel.shape[1]).mean(1) if frames else mel


def sheet(
    rows: Sequence[Sequence[np.ndarray]],
    height_scale: int = HEIGHT_SCALE,
    levels: tuple[float, float] = (DARKEST, BRIGHTEST),
) -> np.ndarray:
    """The picture (height, width, 3) uint8 without names. levels: of the darkest and the brightest colour."""
    mels = [mel for row in rows for mel in row]
    if not mels:
        raise ValueError("a sheet needs one or more spectrograms")
    frames, height = max(len(mel) for mel in mels), height_scale * max(mel.shape[1] for mel in mels)
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + GAP) - GAP, columns * (frames + GAP) - GAP, 3)
    picture = np.full(shape, 255, np.uint8)
    for y, row in enumerate(rows):
        for x, mel in enumerate(row):
            top, left = y * (height + GAP), x * (frames + GAP)
            level = (np.flipud(mel.T) - levels[0]) / (levels[1] - levels[0])
            image = coloured(level).repeat(height_scale, 0)
            picture[top : top + image.shape[0], left : left + image.shape[1]] = image
    return picture
