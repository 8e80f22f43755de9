from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ppaudioldm.audio.spectrogram import (
    COLOURS,
    HEIGHT,
    LEFT,
    PAPER,
    TICK_LENGTH,
    TOP,
    WIDTH,
    coloured,
    png,
    spectrogram,
    ticks,
    write_spectrogram,
)
from ppaudioldm.audio.write import OutputError


def decoded(content: bytes) -> np.ndarray:
    """The picture in a PNG file."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def brightness(waveform: np.ndarray, rate: int) -> np.ndarray:
    return spectrogram(waveform, rate, axes=False).sum(-1).astype(int)


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("seconds", [0.3, 4.0])
def test_a_tone_is_a_line_at_its_pitch(rate, seconds):
    frequency = 3000.0
    tone = np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)
    rows = brightness(tone, rate).argmax(0)[50:-50]
    expected = HEIGHT - 1 - frequency / (rate / 2) * (HEIGHT - 1)
    assert np.abs(rows - expected).max() <= 2


def test_a_click_is_a_column_at_its_time_in_a_long_clip_too():
    waveform = np.zeros(60 * 16000, np.float32)
    waveform[45 * 16000] = 1
    column = brightness(waveform, 16000).sum(0).argmax()
    assert abs(column - 0.75 * WIDTH) <= 1


def test_silence_and_shortest_sounds_are_pictures():
    for waveform in (np.zeros(4800, np.float32), np.ones(1, np.float32), np.zeros((4800, 2), np.float32)):
        assert spectrogram(waveform, 16000).shape == spectrogram(np.ones(16000), 16000).shape


def test_axes_lie_around_the_same_spectrogram_with_labels_at_their_ticks():
    waveform = np.random.default_rng(0).uniform(-1, 1, 160_000)
    whole, plain = spectrogram(waveform, 16000), spectrogram(waveform, 16000, axes=False)
    assert plain.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(whole[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH], plain)
    ink = (whole != PAPER).any(-1)
    seconds = [LEFT + round(second / 10 * (WIDTH - 1)) for second in range(0, 11, 2)]
    kilohertz = [TOP + HEIGHT - 1 - round(value / 8 * (HEIGHT - 1)) for value in range(9)]
    assert (LEFT + np.flatnonzero(ink[TOP + HEIGHT, LEFT : LEFT + WIDTH])).tolist() == seconds
    assert (TOP + np.flatnonzero(ink[TOP : TOP + HEIGHT, LEFT - 1])).tolist() == kilohertz[::-1]
    below = ink[TOP + HEIGHT + TICK_LENGTH : TOP + HEIGHT + 28].any(0)
    beside = ink[:, LEFT - 40 : LEFT - TICK_LENGTH].any(1)
    for x in seconds:
        assert below[x - 3 : x + 4].any() and not below[x + 20 : x + 100].any()
    for y in kilohertz:
        assert beside[y - 3 : y + 4].any() and not beside[y + 10 : y + 30].any()


def test_colours_go_from_dark_to_bright():
    np.testing.assert_array_equal(coloured(np.array([-1.0, 0, 1, 2])), COLOURS[[0, 0, -1, -1]])
    assert (np.diff(coloured(np.linspace(0, 1, 50)).sum(-1).astype(int)) > 0).all()


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0, 0.3, ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]),
        (0, 20, ["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0", "17.5", "20.0"]),
        (0, 8000, ["0", "1000", "2000", "3000", "4000", "5000", "6000", "7000", "8000"]),
        (-90, -10, ["-90", "-80", "-70", "-60", "-50", "-40", "-30", "-20", "-10"]),
        (0, 600, ["0", "100", "200", "300", "400", "500", "600"]),
    ],
)
def test_ticks(low, high, labels):
    assert [label for _, label in ticks(low, high, 8)] == labels
    assert [value for value, _ in ticks(low, high, 8)] == pytest.approx([float(label) for label in labels])


def test_the_file_holds_the_picture(tmp_path):
    waveform = np.random.default_rng(0).uniform(-1, 1, 16000).astype(np.float32)
    path = write_spectrogram(tmp_path / "x.png", waveform, 16000)
    np.testing.assert_array_equal(decoded(path.read_bytes()), spectrogram(waveform, 16000))
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(decoded(png(picture)), picture)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^cannot write .*x\.png: Not a directory"):
        write_spectrogram(tmp_path / "file" / "x.png", np.ones(9), 16000)
