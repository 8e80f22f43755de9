from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from ppaudioldm.audio.files import OutputError
from ppaudioldm.audio.spectrogram import HEIGHT, LEFT, TOP, WIDTH, png, spectrogram, ticks, write_spectrogram


def decoded(content: bytes) -> np.ndarray:
    """The picture in a PNG file; every checksum is checked."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(content):
        (size,) = struct.unpack_from(">I", content, position)
        name, body = content[position + 4 : position + 8], content[position + 8 : position + 8 + size]
        assert struct.unpack_from(">I", content, position + 8 + size) == (zlib.crc32(name + body),)
        chunks[name] = body
        position += 12 + size
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 2, 0, 0, 0] and chunks[b"IEND"] == b""
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def brightness(waveform: np.ndarray, rate: int) -> np.ndarray:
    return spectrogram(waveform, rate)[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH].sum(-1).astype(int)


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
