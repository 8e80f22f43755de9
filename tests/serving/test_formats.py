"""Sounds encoded in every format."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from ppaudioldm.serving.formats import FORMATS, encode
from ppaudioldm.serving.result import Sound

RATE = 16000
RAW = {"pcm": "PCM_16", "ulaw": "ULAW", "alaw": "ALAW"}


def tone(channels: int = 1, rate: int = RATE, seconds: float = 1.0) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return (wave if channels == 1 else np.repeat(wave[:, None], channels, 1)).astype(np.float32)


def decoded(content: bytes, name: str) -> tuple[np.ndarray, int]:
    kind = name.split("_")[0]
    if kind not in RAW:
        return soundfile.read(io.BytesIO(content), dtype="float32")
    return soundfile.read(
        io.BytesIO(content), samplerate=int(name.split("_")[1]), channels=1, subtype=RAW[kind], format="RAW",
        endian="LITTLE", dtype="float32",
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_encodes_the_sound(name):
    for channels in (1, 2):
        samples, rate = decoded(encode(Sound(tone(channels), RATE, 1), name), name)
        assert rate == (FORMATS[name].rate or RATE)
        assert 0 <= len(samples) - rate <= 2304  # MP3 adds up to two frames
        mono = samples if samples.ndim == 1 else samples.mean(1)
        spectrum = np.abs(np.fft.rfft(mono[: int(0.9 * rate)] * np.hanning(int(0.9 * rate))))
        assert spectrum.argmax() / 0.9 == pytest.approx(440, abs=3)
        assert np.sqrt((mono**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("name", [name for name in FORMATS if name.startswith(("mp3_", "opus_"))])
def test_bitrates(name):
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    codec, _, kbps = name.split("_")
    for waveform in (noise, np.stack([noise, noise[::-1]], 1)):
        found = 8 * len(encode(Sound(waveform, RATE, 1), name)) / 10 / 1000
        assert found == pytest.approx(int(kbps), rel=0.02 if codec == "mp3" else 0.25)


def test_a_recording_keeps_rate_channels_and_depth_as_wav():
    stereo = np.rint(tone(2, 44100) * 2**23) / 2**23
    content = encode(Sound(stereo, 44100, 1, subtype="pcm24"), "wav")
    found = soundfile.info(io.BytesIO(content))
    assert (found.samplerate, found.channels, found.subtype) == (44100, 2, "PCM_24")
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(content))[0], stereo)


@pytest.mark.parametrize("rate", [8000, 11000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 8])
def test_rates_and_channels_that_a_coder_does_not_have(rate, channels):
    for name in ("mp3", "opus", "ogg", "flac", "pcm_16000"):
        samples, _ = decoded(encode(Sound(tone(channels, rate), rate, 1), name), name)
        assert np.isfinite(samples).all() and len(samples)


def test_an_unknown_format():
    with pytest.raises(ValueError, match="unknown format 'aac', choose from wav, flac"):
        encode(Sound(tone(), RATE, 1), "aac")
