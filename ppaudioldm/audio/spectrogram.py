"""A spectrogram as a PNG picture: time to the right, frequency upwards, level in dB as colour, axes in s and kHz."""

from __future__ import annotations

import math
import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppaudioldm.audio.write import OutputError
from ppaudioldm.storage.atomic import atomic_path

WIDTH, HEIGHT = 900, 360  # pixels of the spectrogram itself
LEFT, RIGHT, TOP, BOTTOM = 80, 120, 20, 50  # pixels around it, for the axes
WINDOW_S = 0.04  # length of an analysis window: it resolves 25 Hz, as voices and chords need
RANGE_DB = 80  # from the brightest colour to the darkest
TICK_STEPS = (1, 2, 2.5, 5, 10)  # the ticks of an axis are multiples of one of these times a power of ten
MAX_TICKS = 8  # intervals on an axis
TICK_LENGTH = 6  # pixels
BAR_LEFT, BAR_WIDTH = 28, 16  # pixels: the colour bar, and its distance from the spectrogram
FONT_SIZE = 15  # pixels
COLOURS = np.array(  # dark to bright, so that the picture also reads in greyscale
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


def write_spectrogram(path: str | os.PathLike[str], waveform: np.ndarray, sample_rate: int) -> Path:
    """Write the picture of `waveform`, see `spectrogram`, as the PNG `path`, complete or not at all; returns `path`.

    Raises OutputError where it cannot be written.
    """
    return write_png(path, spectrogram(waveform, sample_rate))


def write_png(path: str | os.PathLike[str], picture: np.ndarray) -> Path:
    """Write `picture`, (height, width, 3) uint8, as the PNG `path`, complete or not at all; returns `path`.

    Raises OutputError where it cannot be written.
    """
    path = Path(path)
    content = png(picture)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OutputError.from_cause(path, error) from error
    return path


def png(picture: np.ndarray) -> bytes:
    """`picture`, (height, width, 3) uint8, as the content of a PNG file."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def spectrogram(waveform: np.ndarray, sample_rate: int, axes: bool = True) -> np.ndarray:
    """The picture of `waveform`, (samples,) or (samples, channels) that are mixed: (height, width, 3) uint8.

    0 dB is a sine of full scale. The brightest colour is the loudest level of the sound, rounded up to 10 dB. Without
    `axes` the picture is the spectrogram alone, HEIGHT x WIDTH.
    """
    mono = waveform.reshape(len(waveform), -1).mean(1)
    levels = _levels(mono, sample_rate)
    top_db = 10 * math.ceil(max(-90, levels.max()) / 10)
    colours = coloured((levels - top_db) / RANGE_DB + 1)
    return _with_axes(colours, len(mono) / sample_rate, sample_rate / 2000, top_db) if axes else colours


def _with_axes(colours: np.ndarray, seconds: float, kilohertz: float, top_db: int) -> np.ndarray:
    """The spectrogram `colours` (HEIGHT, WIDTH, 3) of so many seconds and kHz, with its axes and its colour bar."""
    image = Image.new("RGB", (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE)
    right, bottom = LEFT + WIDTH, TOP + HEIGHT
    image.paste(Image.fromarray(colours), (LEFT, TOP))
    for value, label in ticks(0, seconds, MAX_TICKS):
        x = LEFT + round(value / seconds * (WIDTH - 1))
        draw.line((x, bottom, x, bottom + TICK_LENGTH - 1), INK)
        draw.text((x, bottom + TICK_LENGTH + 4), label, INK, font, "ma")
    for value, label in ticks(0, kilohertz, MAX_TICKS):
        y = bottom - 1 - round(value / kilohertz * (HEIGHT - 1))
        draw.line((LEFT - TICK_LENGTH, y, LEFT - 1, y), INK)
        draw.text((LEFT - TICK_LENGTH - 4, y), label, INK, font, "rm")

    bar_left = right + BAR_LEFT
    bar = coloured(np.linspace(1, 0, HEIGHT)[:, None]).repeat(BAR_WIDTH, 1)
    image.paste(Image.fromarray(bar), (bar_left, TOP))
    for value, label in ticks(top_db - RANGE_DB, top_db, MAX_TICKS):
        y = bottom - 1 - round((value - top_db + RANGE_DB) / RANGE_DB * (HEIGHT - 1))
        draw.text((bar_left + BAR_WIDTH + 6, y), label, INK, font, "lm")

    draw.text((LEFT + WIDTH // 2, bottom + BOTTOM - 4), "Time (s)", INK, font, "md")
    _write_upwards(image, "Frequency (kHz)", 8, font)
    _write_upwards(image, "Level (dB)", image.width - 8 - FONT_SIZE, font)
    return np.asarray(image)


def _write_upwards(image: Image.Image, text: str, x: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> None:
    """Write `text` from bottom to top into the FONT_SIZE + 4 columns from `x` on, halfway up the spectrogram."""
    line = Image.new("RGB", (HEIGHT, FONT_SIZE + 4), PAPER)
    ImageDraw.Draw(line).text((HEIGHT // 2, line.height // 2), text, INK, font, "mm")
    image.paste(line.transpose(Image.Transpose.ROTATE_90), (x, TOP))


def ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Up to `most` + 1 round values from `low` to `high`, each with its label."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * s for s in TICK_STEPS if power * s >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += round(step, digits) != round(step, digits + 1)  # 2.5
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step + 0.0:.{digits}f}") for i in range(first, last + 1)]


def _levels(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels (HEIGHT, WIDTH) in dB of `mono` (samples,), the highest frequency in row 0."""
    size = 2 * round(WINDOW_S * sample_rate / 2)
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(mono.astype(np.float64), (size // 2, size))
    # A column shows the loudest of the windows that start in it, so that no click is lost in a long clip.
    edges = np.linspace(0, len(mono), WIDTH + 1)
    power = np.empty((HEIGHT, WIDTH))
    for column in range(WIDTH):
        starts = np.arange(edges[column], max(edges[column + 1], edges[column] + 1), size / 4).astype(int)
        frames = padded[starts[:, None] + np.arange(size)] * window
        spectrum = (np.abs(np.fft.rfft(frames)) ** 2).max(0) / (window.sum() / 2) ** 2
        power[:, column] = _rows(spectrum)
    return 10 * np.log10(np.maximum(power, 1e-20))


def _rows(spectrum: np.ndarray) -> np.ndarray:
    """`spectrum` (bins,) as (HEIGHT,) pixels, the highest frequency first.

    A pixel that covers several bins shows the loudest of them; one that lies between two bins interpolates.
    """
    position = np.linspace(0, len(spectrum) - 1, HEIGHT)
    interpolated = np.interp(position, np.arange(len(spectrum)), spectrum)
    first = np.linspace(0, len(spectrum), HEIGHT, endpoint=False).astype(int)
    return np.maximum(interpolated, np.maximum.reduceat(spectrum, first))[::-1]


def coloured(level: np.ndarray) -> np.ndarray:
    """The colours (..., 3) uint8 of `level` (...), from 0, dark, to 1, bright; values beyond are clipped."""
    position = level.clip(0, 1) * (len(COLOURS) - 1)
    channels = [np.interp(position, np.arange(len(COLOURS)), COLOURS[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)
