"""An excerpt of a file is the same sound as that piece of the whole, and decodes little more."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio import excerpt
from ppaudioldm.audio.excerpt import count_samples, read_excerpt
from ppaudioldm.audio.media import MediaSource
from ppaudioldm.audio.read import _LibsndfileSource, read_audio
from tests.audio.test_media import encoded, without_xing

RATE, SECONDS = 44100, 12
TIME = np.arange(SECONDS * RATE) / RATE
SWEEP = (0.3 * np.sin(2 * np.pi * (200 + 60 * TIME) * TIME)).astype(np.float32)  # no moment is like another
FILES = {
    "a.wav": lambda path: soundfile.write(path, SWEEP, RATE),
    "stereo.flac": lambda path: soundfile.write(path, np.stack([SWEEP, 0 * SWEEP], 1), RATE),
    "a.ogg": lambda path: soundfile.write(path, SWEEP, RATE),
    "a.mp3": lambda path: soundfile.write(path, SWEEP, RATE, format="MP3"),
    "without-a-length.mp3": lambda path: without_xing(path, SECONDS),
    "a.m4a": lambda path: encoded(path, "ipod", "aac", SWEEP),
    "a.aac": lambda path: encoded(path, "adts", "aac", SWEEP),
    "a.webm": lambda path: encoded(path, "webm", "libopus", SWEEP),
    "a.wma": lambda path: encoded(path, "asf", "wmav2", SWEEP),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("excerpts")
    for name, write in FILES.items():
        write(folder / name)
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """The number of samples that are decoded of every file."""
    counts = []
    for kind in (_LibsndfileSource, MediaSource):
        blocks = kind.blocks

        def counted(self, dtype, blocks=blocks):
            for block in blocks(self, dtype):
                counts.append(len(block) / self.samplerate)
                yield block

        monkeypatch.setattr(kind, "blocks", counted)
    return counts


@pytest.mark.parametrize("rate", [RATE, 16000])
@pytest.mark.parametrize("name", FILES)
def test_an_excerpt_is_the_piece_of_the_whole(folder, name, rate, decoded):
    whole, _ = read_audio(folder / name, rate)
    length = count_samples(folder / name, rate, 600)
    assert abs(length - len(whole)) <= 0.03 * rate, "but for what an encoder adds"
    decoded.clear()
    assert count_samples(folder / name, rate, 600) == length and not decoded, "the length is remembered"
    for start in (0, 5 * rate + 77, 9 * rate + 1):
        decoded.clear()
        found = read_excerpt(folder / name, rate, start, rate // 2)
        assert found.shape == (rate // 2,) and found.dtype == np.float32
        # Containers with times in milliseconds: within one of these, at the same place for the same start.
        in_ms = name in ("a.webm", "a.wma") and start
        lags = range(-48, 49) if in_ms else [0]
        errors = [np.abs(found[100:-100] - whole[start + 100 + lag :][: rate // 2 - 200]).max() for lag in lags]
        assert min(errors) < (0.05 if in_ms else 1e-5 if name in ("a.wav", "stereo.flac") else 2e-3)
        assert sum(decoded) < 0.5 + 1.5, "seconds"
        assert np.array_equal(read_excerpt(folder / name, rate, start, rate // 2), found)


def test_the_end_and_what_is_behind(folder):
    whole, _ = read_audio(folder / "a.wav", 16000)
    end = count_samples(folder / "a.wav", 16000, 600)
    assert end == len(whole) == 16000 * SECONDS
    assert np.allclose(read_excerpt(folder / "a.wav", 16000, end - 999, 999), whole[-999:], atol=1e-4)
    assert count_samples(folder / "a.wav", 16000, 2.5) == 40000


def test_a_file_that_ends_before_its_header_says(folder, tmp_path, caplog):
    """All that is there is used, at positions that depend on the start alone."""
    for name in ("stereo.flac", "a.m4a"):
        content = (folder / name).read_bytes()
        path = tmp_path / name
        path.write_bytes(content[: len(content) // 2] if name.endswith("flac") else content)
        found = read_excerpt(path, 16000, 11 * 16000, 8000)
        whole, _ = read_audio(path, 16000)
        assert found.shape == (8000,) and np.abs(found).max() > 0.1
        start = 11 * 16000 % (len(whole) - 8000 + 1) if name.endswith("flac") else 11 * 16000
        assert np.abs(found - whole[start : start + 8000]).max() < 2e-3
    assert "the rest is lost" in caplog.text


def test_a_source_that_cannot_seek_is_decoded_from_its_beginning(folder, monkeypatch):
    monkeypatch.setattr(MediaSource, "seek", lambda self, frame: None)
    whole, _ = read_audio(folder / "a.mp3", 16000)
    assert np.abs(read_excerpt(folder / "a.mp3", 16000, 80000, 8000) - whole[80000:88000]).max() < 2e-3


def test_only_the_excerpt_is_checked_for_nan(tmp_path):
    samples = SWEEP.copy()
    samples[RATE] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    assert np.isfinite(read_excerpt(tmp_path / "nan.wav", RATE, 2 * RATE, 100)).all()
    with pytest.raises(ValueError, match="nan"):
        read_excerpt(tmp_path / "nan.wav", RATE, RATE - 50, 100)


def test_the_length_of_a_changed_file_is_measured_again(tmp_path):
    soundfile.write(tmp_path / "a.wav", SWEEP[:RATE], RATE)
    assert count_samples(tmp_path / "a.wav", 16000, 600) == 16000
    soundfile.write(tmp_path / "a.wav", SWEEP[: 2 * RATE], RATE)
    assert count_samples(tmp_path / "a.wav", 16000, 600) == 32000
    assert excerpt._seconds.cache_info().maxsize == excerpt.MOST_LENGTHS
