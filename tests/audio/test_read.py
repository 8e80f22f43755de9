"""Sound files are read at any rate, in little memory, and wrong ones are one-line errors."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.read import read_audio
from ppaudioldm.audio.write import write_audio

RATE = 16000


def tone(seconds: float = 0.5, rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_resampling_keeps_the_tone(tmp_path, rate):
    path = write_audio(tmp_path / "x.wav", tone(seconds=6, rate=22050), 22050, subtype="float")  # several blocks
    samples, read_rate = read_audio(path, sample_rate=rate)
    expected = tone(seconds=6, rate=rate)
    assert read_rate == rate
    assert samples.shape == expected.shape
    assert np.abs(samples - expected)[rate // 10 : -rate // 10].max() < 1e-3  # the ends ring


def test_stereo_resampled(tmp_path):
    waveform = np.stack([tone(), np.zeros_like(tone())], 1)
    samples, _ = read_audio(write_audio(tmp_path / "x.wav", waveform, RATE), sample_rate=8000, mono=False)
    assert samples.shape == (4000, 2)
    assert np.abs(samples[:, 0]).max() > 0.4 and not samples[:, 1].any()


def test_mono_is_the_mean(tmp_path):
    waveform = np.array([[0.5, 0.25], [-0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(read_audio(write_audio(tmp_path / "x.wav", waveform, RATE))[0], [0.375, 0])


def test_long_file_is_cut_and_reported(tmp_path, caplog):
    path = write_audio(tmp_path / "x.wav", tone(seconds=2), RATE)
    assert len(read_audio(path, max_seconds=0.75)[0]) == 12000
    assert "only the first 0.75 seconds" in caplog.text
    caplog.clear()
    assert len(read_audio(path, sample_rate=8000, max_seconds=2)[0]) == 16000
    assert len(read_audio(path, max_seconds=None)[0]) == 32000
    assert not caplog.records


def test_ten_hours_are_not_held(tmp_path):
    path = tmp_path / "x.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:
        file.write(np.zeros(8000))
    header = bytearray(path.read_bytes()[:44])
    header[4:8] = (36 + 36000 * 8000).to_bytes(4, "little")
    header[40:44] = (36000 * 8000).to_bytes(4, "little")
    with path.open("wb") as raw:
        raw.write(header)
        raw.truncate(44 + 36000 * 8000)  # sparse
    script = f"""
        import resource
        from ppaudioldm.audio.read import read_audio
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        samples, rate = read_audio({str(path)!r}, max_seconds=20)
        print(len(samples), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "160000 True\n"


@pytest.mark.parametrize(
    "name, content",
    [("x.wav", b""), ("x.wav", b"not audio" * 100), ("x.mp3", b"\0" * 1000), ("x.txt", b"text"), ("x.raw", b"\0" * 99)],
)
def test_not_audio(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="not a sound file") as caught:
        read_audio(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"x\.wav: the file holds no samples"):
        read_audio(tmp_path / "x.wav", sample_rate=8000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, value):
    soundfile.write(tmp_path / "x.wav", np.array([0, value]), RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"x\.wav: the file holds NaN"):
        read_audio(tmp_path / "x.wav")


def test_absurd_rate_in_the_file(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(9), 2_000_000_000)
    with pytest.raises(ValueError, match="sample rate 2000000000 Hz"):
        read_audio(tmp_path / "x.wav", sample_rate=RATE)


@pytest.mark.parametrize("arguments", [{"sample_rate": 0}, {"sample_rate": 10**9}, {"max_seconds": 0}])
def test_absurd_requests(tmp_path, arguments):
    path = write_audio(tmp_path / "x.wav", tone(), RATE)
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        read_audio(path, **arguments)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_audio(tmp_path / "x.wav")
    with pytest.raises(IsADirectoryError):
        read_audio(tmp_path)


def test_truncated_file_gives_what_is_there(tmp_path):
    path = write_audio(tmp_path / "x.wav", tone(), RATE)
    path.write_bytes(path.read_bytes()[:8044])
    assert len(read_audio(path)[0]) == 4000
