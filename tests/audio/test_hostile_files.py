"""Malformed and adversarial sound files: a one-line error, or the readable beginning, in little memory."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.formats import MAX_CHANNELS
from ppaudioldm.audio.read import read_audio
from ppaudioldm.audio.recording import open_recording
from ppaudioldm.audio.write import write_audio

RATE = 16000


def wav(data: bytes, bits: int = 16, channels: int = 1, rate: int = RATE, promised: int | None = None) -> bytes:
    """A WAV file by hand. promised: the bytes that the header says there are."""
    promised = len(data) if promised is None else promised
    align = channels * -(-bits // 8)
    header = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * align, align, bits)
    riff = struct.pack("<I", min(2**32 - 1, 36 + promised))
    return b"RIFF" + riff + b"WAVEfmt " + header + b"data" + struct.pack("<I", promised) + data


def noise(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, channels)).astype(np.float32)


def test_one_bit_is_either_of_two_levels(tmp_path):
    # As the format has it: the bit is the uppermost one of a byte.
    (tmp_path / "x.wav").write_bytes(wav(bytes([0, 128, 0, 128]), bits=1))
    np.testing.assert_array_equal(read_audio(tmp_path / "x.wav")[0], [-1, 0, -1, 0])


def test_eight_channels(tmp_path):
    waveform = noise(5000, 8)
    path = write_audio(tmp_path / "x.wav", waveform, RATE, "float")
    np.testing.assert_array_equal(read_audio(path, mono=False)[0], waveform)
    np.testing.assert_allclose(read_audio(path)[0], waveform.mean(1), atol=1e-6)


def test_more_channels_are_mixed_or_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", noise(300, 100), RATE)
    assert read_audio(tmp_path / "x.wav")[0].shape == (300,)
    with pytest.raises(ValueError, match=rf"x\.wav: the file has 100 channels, allowed: up to {MAX_CHANNELS}"):
        read_audio(tmp_path / "x.wav", mono=False)


def test_400_khz_is_resampled(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(400_000) / 400_000)
    soundfile.write(tmp_path / "x.wav", tone, 400_000)
    samples, rate = read_audio(tmp_path / "x.wav", sample_rate=RATE)
    assert rate == RATE and len(samples) == RATE
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(samples[1000:-1000], expected[1000:-1000], atol=1e-3)
    samples, rate = read_audio(tmp_path / "x.wav")
    assert rate == 400_000 and len(samples) == 400_000
    np.testing.assert_allclose(soundfile.read(write_audio(tmp_path / "x.flac", samples, rate))[0], tone, atol=1e-4)


@pytest.mark.parametrize("value", [1e30, -1e300])
def test_samples_beyond_all_measure(tmp_path, value):
    """Their squares would overflow, long after they were read."""
    soundfile.write(tmp_path / "x.wav", np.array([0, value]), RATE, "DOUBLE")
    with pytest.raises(ValueError, match=r"x\.wav: the file holds (samples of 1\.0e\+30, allowed|NaN or infinite)"):
        read_audio(tmp_path / "x.wav")
    with pytest.raises(ValueError, match=r"x\.wav: the file holds samples of 1\.0e\+(30|300), allowed"):
        read_audio(tmp_path / "x.wav", exact=True)


@pytest.mark.parametrize("length", [3_000_000, 30_000])
def test_truncated_flac_is_read_up_to_the_damage(tmp_path, caplog, length):
    waveform = noise(30 * RATE)
    path = write_audio(tmp_path / "x.flac", waveform, RATE)
    whole = read_audio(path)[0]
    content = path.read_bytes()[:length]
    path.write_bytes(content[: len(content) // 2])
    samples = read_audio(path)[0]
    np.testing.assert_array_equal(samples, whole[: len(samples)])
    promised = len(content) / (2 * 30 * RATE) * len(whole)  # FLAC does not compress noise of 16 bits much
    assert promised * 0.5 - 8192 < len(samples) < promised
    assert "x.flac is damaged after" in caplog.text and "lost" in caplog.text


def test_a_truncated_mp3_is_warned_of(tmp_path, caplog):
    path = write_audio(tmp_path / "x.mp3", noise(5 * RATE), RATE)
    assert len(read_audio(path)[0]) == 5 * RATE and not caplog.text
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(read_audio(path)[0]) < 3 * RATE
    assert re.search(r"x\.mp3 ends after 2\.\d+ s of 5 s, the rest is lost", caplog.text)


def piped_flac(path: Path, count: int) -> np.ndarray:
    """The samples of the FLAC file `path`, as an encoder writes it to a pipe: without the length in its header."""
    content = bytearray(write_audio(path, noise(count), RATE).read_bytes())
    content[21] &= 0xF0  # 36 bits count the samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return read_audio(path)[0]


def test_flac_from_a_pipe(tmp_path, caplog):
    samples = piped_flac(tmp_path / "x.flac", 5000)
    np.testing.assert_allclose(samples, noise(5000)[:, 0], atol=2**-15)
    np.testing.assert_array_equal(open_recording(tmp_path / "x.flac").samples[:, 0], samples)
    assert not caplog.text


def test_flac_from_a_pipe_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("ppaudioldm.audio.recording.MAX_SECONDS", 0.1)
    piped_flac(tmp_path / "x.flac", 5000)
    with pytest.raises(ValueError, match=r"x\.flac: the recording lasts 0\.3 seconds, allowed: up to 0\.1"):
        open_recording(tmp_path / "x.flac")


def test_flac_without_any_sound_is_an_error(tmp_path):
    path = write_audio(tmp_path / "x.flac", noise(5000), RATE)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"x\.flac is not a sound file that can be read") as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("has_media", "rounding"), [(False, 1e-6), (True, 4e-6)])
def test_mp3_is_the_same_in_blocks_as_whole(tmp_path, monkeypatch, has_media, rounding):
    """A decoder that starts afresh at every block clicks there."""
    monkeypatch.setattr("ppaudioldm.audio.media.is_installed", lambda: has_media)
    tone = (0.5 * np.sin(np.arange(12 * RATE) / 10)).astype(np.float32)
    path = write_audio(tmp_path / "x.mp3", tone, RATE)
    whole = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_allclose(read_audio(path)[0], whole, atol=rounding)
    assert np.abs(whole - tone)[1000:-1000].max() < 0.05


@pytest.mark.parametrize(
    "content",
    [
        wav(b"", promised=0),
        wav(b"\1" * 99, bits=0),
        wav(b"\1" * 99, channels=0),
        wav(b"\1" * 99, rate=0),
        wav(b"\1" * 99, bits=64),
        wav(b"\1" * 99)[:40],
        b"RIFF" + b"\xff" * 200,
        b"fLaC" + b"\xff" * 200,
        b"OggS" + b"\0" * 200,
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\0" * 200,
        b"\xff\xfb" + b"\xff" * 2000,
        b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff" + b"\xff" * 90,
        b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + b"\xff" * 200,
        b"\0\0\0\x08moov\xff\xff\xff\xfftrak" + b"\xff" * 200,
        bytes.fromhex("1a45dfa301ffffffffffffff") + b"\xff" * 200,
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\xff" * 200,
        b"FLV\x01\x05\xff\xff\xff\xff" + b"\xff" * 200,
        b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xff" + b"\xff" * 200,
        b"\xff\xf1\x50\x80\x01\x1f\xfc" + b"\xff" * 200,
        b"#!AMR\n" + b"\xff" * 200,
        b"I am a text file, and somebody has called me .wav\n" * 50,
    ],
)
@pytest.mark.parametrize("extension", [".wav", ".flac", ".mp3"])
def test_nonsense_is_one_line(tmp_path, content, extension):
    path = tmp_path / f"x{extension}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^" + str(path)) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_endless_and_enormous_files(tmp_path):
    """In a process that may take 600 MB, and that is stopped when it waits."""
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "promise.wav").write_bytes(wav(b"\1\0" * 1000, promised=2**32 - 40))
    soundfile.write(tmp_path / "promise.flac", np.zeros(5000), RATE)
    flac = bytearray((tmp_path / "promise.flac").read_bytes())
    flac[21] |= 0x0F  # the upper of the 36 bits that count the samples
    (tmp_path / "promise.flac").write_bytes(flac)
    with (tmp_path / "hours.wav").open("wb") as file:  # ten hours of 8 channels at 8 kHz, mostly a hole
        file.write(wav(b"", bits=8, channels=8, rate=8000, promised=36000 * 64000))
        file.truncate(44 + 36000 * 64000)
    script = """
        import os, resource, sys
        from ppaudioldm.audio.read import read_audio
        os.chdir(sys.argv[1])
        most = 600 * 2**20 + 4096 * int(open("/proc/self/statm").read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for path in ("pipe.wav", "/dev/zero", "/dev/urandom", "promise.wav", "promise.flac", "hours.wav"):
            try:
                print(path, read_audio(path, mono=False)[0].shape)
            except ValueError as error:
                print(error)
    """
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    refused = [
        f"{path} is a device or pipe, expected a sound file" for path in ("pipe.wav", "/dev/zero", "/dev/urandom")
    ]
    assert done.stdout.splitlines() == [
        *refused,
        "promise.wav (1000, 1)",
        "promise.flac (5000, 1)",
        "hours.wav (4800000, 8)",
    ]
