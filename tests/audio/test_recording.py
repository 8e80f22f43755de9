"""Recordings with their own rate and depth, and the input that networks take."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.recording import (
    Recording,
    downmixed,
    network_input,
    open_recording,
    resampled,
    scale_for_networks,
)


def sound(count: int = 1000, channels: int = 2) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((count, channels))


@pytest.mark.parametrize(
    ("encoding", "subtype", "dtype"),
    [
        ("PCM_U8", "pcm16", "float32"),
        ("PCM_16", "pcm16", "float32"),
        ("PCM_24", "pcm24", "float32"),
        ("PCM_32", "pcm32", "float64"),
        ("FLOAT", "float", "float32"),
        ("DOUBLE", "double", "float64"),
    ],
)
def test_a_file_as_it_came(tmp_path, encoding, subtype, dtype):
    soundfile.write(tmp_path / "x.wav", sound(), 11025, encoding)
    found = open_recording(tmp_path / "x.wav")
    expected, _ = soundfile.read(tmp_path / "x.wav", dtype=dtype)
    np.testing.assert_array_equal(found.samples, expected)
    assert (found.sample_rate, found.subtype, str(found.samples.dtype)) == (11025, subtype, dtype)
    assert found.duration == 1000 / 11025


def test_a_lossy_file_holds_floats(tmp_path):
    soundfile.write(tmp_path / "x.ogg", sound(), 16000)
    assert open_recording(tmp_path / "x.ogg").subtype == "float"


def test_samples_and_recordings():
    found = open_recording((sound(channels=1)[:, 0].astype(np.float32), 16000))
    assert found.samples.shape == (1000, 1) and found.subtype == "float"
    assert open_recording((sound(), 16000)).subtype == "double"
    assert open_recording(found) is found


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((0, 1)), 16000, r"shape \(0, 1\)"),
        (np.zeros((10, 9)), 16000, "9 channels, allowed: up to 8"),
        (np.zeros(10, np.int16), 16000, "int16"),
        (np.full(10, np.nan), 16000, "NaN"),
        (np.zeros(10), 1, "sample rate 1 Hz"),
        (np.zeros(10), 2_000_000, "sample rate 2000000 Hz is outside 1000 to 1000000"),
        (np.full(10, 1e30), 16000, r"holds samples of 1\.0e\+30, allowed: up to 4\.3e\+09"),
        (np.zeros(601_000), 1000, "lasts 601.0 seconds, allowed: up to 600"),
    ],
)
def test_no_recording(samples, rate, message):
    with pytest.raises(ValueError, match=message):
        open_recording((samples, rate))


def test_no_recording_in_a_file(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(601_000, np.float32), 1000)
    with pytest.raises(ValueError, match=r"long.wav: the recording lasts 601.0 seconds"):
        open_recording(tmp_path / "long.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(ValueError, match=r"text.wav is not a sound file"):
        open_recording(tmp_path / "text.wav")
    with pytest.raises(OSError, match=r"none.wav"):
        open_recording(tmp_path / "none.wav")


def test_more_than_memory_holds_is_refused_not_cut(tmp_path, monkeypatch):
    """What is beyond would be missing in the result."""
    monkeypatch.setattr("ppaudioldm.audio.recording.MAX_VALUES", 1999)
    soundfile.write(tmp_path / "x.wav", sound(), 16000)
    with pytest.raises(ValueError, match=r"x.wav: the recording has 2000 samples in all channels, allowed: up to 1999"):
        open_recording(tmp_path / "x.wav")


def test_the_beginning_of_a_long_file(tmp_path, caplog):
    soundfile.write(tmp_path / "long.wav", np.full(601_000, 0.5), 1000)
    assert open_recording(tmp_path / "long.wav", truncate=True).samples.shape == (600_000, 1)
    assert "only the first 600 seconds are used" in caplog.text


def test_a_recorder_of_bats(tmp_path):
    soundfile.write(tmp_path / "bat.wav", sound(), 400_000)
    found = open_recording(tmp_path / "bat.wav")
    assert found.sample_rate == 400_000 and found.samples.shape == (1000, 2)


def test_downmix():
    samples = sound()
    np.testing.assert_allclose(downmixed(samples), samples.mean(1))
    opposite = samples[:, :1] * [1, -1.1]  # 0.05 of it would be left
    np.testing.assert_array_equal(downmixed(opposite), opposite[:, 1])
    assert not downmixed(np.zeros((10, 2))).any()


def test_scale_for_networks():
    samples = sound()
    assert np.isclose(np.abs(samples * scale_for_networks(samples)).max(), 0.5)
    assert scale_for_networks(np.zeros(10)) == scale_for_networks(np.full(10, 1e-4)) == 1
    assert scale_for_networks(np.zeros(0)) == 1


def test_network_input_is_mono_centred_and_at_the_level_of_training():
    time = np.arange(8000) / 8000
    left = 0.1 * np.sin(2 * np.pi * 440 * time) + 0.05
    samples, scale = network_input(Recording(np.stack([left, 0 * left], 1), 8000), 16000)
    assert samples.dtype == np.float32 and samples.shape == (16000,)
    assert np.abs(samples).max() == pytest.approx(0.5) and abs(samples.mean()) < 1e-6
    assert scale == pytest.approx(0.5 / 0.05, rel=0.02)  # half of the left channel's tone is left of it in the mix
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(samples[200:-200], expected[200:-200], atol=0.01)


def test_resampled_stays_in_place():
    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 440 * time) * np.hanning(8000)
    up = resampled(tone, 8000, 48000, 48100)
    assert len(up) == 48100 and not up[48010:].any()
    np.testing.assert_allclose(resampled(up, 48000, 8000, 8000), tone, atol=1e-3)
    np.testing.assert_allclose(up[:48000:6], tone, atol=1e-3)
    assert resampled(tone, 8000, 8000, 100).shape == (100,)


def test_duration():
    assert Recording(np.zeros((100, 1)), 50).duration == 2


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(100, np.float32), "audio is an array without its rate, allowed: a file, or a pair"),
        (["a.wav", "b.wav"], "audio is a list, allowed: a file, or a pair"),
        (None, "audio is a NoneType, allowed"),
        ((np.zeros(100, np.float32),), "audio is a tuple, allowed"),
    ],
)
def test_errors_name_what_was_passed(audio, message):
    with pytest.raises(ValueError, match=message):
        open_recording(audio)
