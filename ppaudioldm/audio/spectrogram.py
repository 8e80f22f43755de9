"""A spectrogram as a picture: seconds to the right, Hz upwards, dB as colours, written as PNG without a library."""

from __future__ import annotations

import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ppaudioldm.audio.files import OutputError
from ppaudioldm.storage.atomic import atomic_path

WIDTH, HEIGHT = 900, 360  # pixels of the spectrogram itself
LEFT, RIGHT, TOP, BOTTOM = 90, 110, 20, 50  # pixels around it, for the axes
WINDOW = 0.04  # seconds that are one column: apart by 25 Hz, as voices and chords need
RANGE = 80  # dB from the brightest colour to the darkest
STEPS = (1, 2, 2.5, 5, 10)  # labels of an axis stand at multiples of one of these times a power of ten
COLOURS = np.array(  # dark to bright, so that it reads in grey, too
    [
        (0, 0, 8),
        (32, 14, 80),
        (94, 22, 118),
        (158, 40, 104),
        (214, 72, 68),
        (246, 126, 40),
        (252, 192, 82),
        (255, 255, 224),
    ]
)
INK, PAPER = (40, 40, 40), (255, 255, 255)
SCALE = 2  # pixels a dot of the letters
LETTERS = {  # 5 dots wide and 7 high, a row a number in base 32
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 6, 8, 16, 31),
    "3": (31, 2, 4, 6, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "-": (0, 0, 0, 31, 0, 0, 0),
    "s": (0, 0, 15, 16, 14, 1, 30),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "z": (0, 0, 31, 2, 4, 8, 31),
    "d": (1, 1, 13, 19, 17, 19, 13),
    "B": (30, 17, 17, 30, 17, 17, 30),
    " ": (0, 0, 0, 0, 0, 0, 0),
}


def write_spectrogram(path: str | os.PathLike[str], waveform: np.ndarray, sample_rate: int) -> Path:
    """Write the picture of `waveform`, see `spectrogram`, as the PNG `path`, complete or not at all; returns `path`.

    Raises OutputError where it cannot be written.
    """
    path = Path(path)
    content = png(spectrogram(waveform, sample_rate))
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OutputError.from_cause(path, error) from error
    return path


def spectrogram(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """The picture of `waveform`, (samples,) or (samples, channels) that are mixed: (height, width, 3) uint8.

    0 dB is a sine of full scale. The brightest colour is the loudest there is, rounded up to 10 dB.
    """
    mono = waveform.reshape(len(waveform), -1).mean(1)
    levels = _levels(mono, sample_rate)
    top = 10 * math.ceil(max(-90, levels.max()) / 10)
    picture = np.full((TOP + HEIGHT + BOTTOM, LEFT + WIDTH + RIGHT, 3), PAPER, np.uint8)
    picture[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = _coloured((levels - top) / RANGE + 1)

    right, bottom = LEFT + WIDTH, TOP + HEIGHT
    seconds = len(mono) / sample_rate
    for value, label in ticks(0, seconds, 8):
        x = LEFT + round(value / seconds * (WIDTH - 1))
        picture[bottom : bottom + 6, x] = INK
        _write(picture, label, x, bottom + 10)
    _write(picture, "s", right + 32, bottom + 10, anchor=0.0)
    for value, label in ticks(0, sample_rate / 2, 8):
        y = bottom - 1 - round(value / (sample_rate / 2) * (HEIGHT - 1))
        picture[y, LEFT - 6 : LEFT] = INK
        _write(picture, label, LEFT - 10, y - 7, anchor=1.0)
    _write(picture, "Hz", LEFT - 36, bottom + 10, anchor=1.0)

    bar = slice(right + 30, right + 46)
    picture[TOP:bottom, bar] = _coloured(np.linspace(1, 0, HEIGHT)[:, None])
    for value, label in ticks(top - RANGE, top, 8):
        y = bottom - 1 - round((value - top + RANGE) / RANGE * (HEIGHT - 1))
        _write(picture, label, right + 50, y - 7, anchor=0.0)
    _write(picture, "dB", right + 62, bottom + 10, anchor=0.0)
    return picture


def ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Up to `most` + 1 round values from `low` to `high`, and how they are written."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * s for s in STEPS if power * s >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += round(step, digits) != round(step, digits + 1)  # 2.5
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step + 0.0:.{digits}f}") for i in range(first, last + 1)]


def png(picture: np.ndarray) -> bytes:
    """`picture`, (height, width, 3) uint8, as the content of a PNG file."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _levels(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """(HEIGHT, WIDTH) in dB, the highest frequency first, of `mono` (samples,)."""
    size = 2 * round(WINDOW * sample_rate / 2)
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(mono.astype(np.float64), (size // 2, size))
    # A column shows the loudest of the windows that fall into it, so that no click is lost in a long clip.
    edges = np.linspace(0, len(mono), WIDTH + 1)
    power = np.empty((HEIGHT, WIDTH))
    for column in range(WIDTH):
        starts = np.arange(edges[column], max(edges[column + 1], edges[column] + 1), size / 4).astype(int)
        frames = padded[starts[:, None] + np.arange(size)] * window
        spectrum = (np.abs(np.fft.rfft(frames)) ** 2).max(0) / (window.sum() / 2) ** 2
        power[:, column] = _rows(spectrum)
    return 10 * np.log10(np.maximum(power, 1e-20))


def _rows(spectrum: np.ndarray) -> np.ndarray:
    """(HEIGHT,) of `spectrum` (bins,), the highest first: the loudest bin of a row, or what is between two bins."""
    position = np.linspace(0, len(spectrum) - 1, HEIGHT)
    between = np.interp(position, np.arange(len(spectrum)), spectrum)
    first = np.linspace(0, len(spectrum), HEIGHT, endpoint=False).astype(int)
    return np.maximum(between, np.maximum.reduceat(spectrum, first))[::-1]


def _coloured(level: np.ndarray) -> np.ndarray:
    """The colours (..., 3) of `level` (...), 0 dark to 1 bright."""
    position = level.clip(0, 1) * (len(COLOURS) - 1)
    channels = [np.interp(position, np.arange(len(COLOURS)), COLOURS[:, c]) for c in range(3)]
    return np.stack(np.broadcast_arrays(*channels), -1).astype(np.uint8)


def _write(picture: np.ndarray, text: str, x: int, y: int, anchor: float = 0.5) -> None:
    """Put `text` into `picture`, its upper edge at `y`; at `x` its left edge (anchor 0), middle (0.5) or right (1)."""
    dots = np.zeros((7, 6 * len(text) - 1), bool)
    for i, letter in enumerate(text):
        dots[:, 6 * i : 6 * i + 5] = np.array(LETTERS[letter])[:, None] >> np.arange(4, -1, -1) & 1
    pixels = dots.repeat(SCALE, 0).repeat(SCALE, 1)
    x = min(max(0, x - round(anchor * pixels.shape[1])), picture.shape[1] - pixels.shape[1])
    y = max(0, y)
    picture[y : y + pixels.shape[0], x : x + pixels.shape[1]][pixels] = INK
