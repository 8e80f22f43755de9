from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio import mel
from ppaudioldm.audio.clap_mel import CLAP_MAX_SAMPLES, MEL_CLAP, clap_log_mel, interpolate_frames
from ppaudioldm.audio.mel import log_mel, stft_magnitude
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, mel_filters
from tests.support import load_golden, noise, relative_error


def waveform(samples: int) -> np.ndarray:
    return 0.1 * noise(samples)


@pytest.mark.parametrize("name, config", [("mel_16k", MEL_16K), ("mel_48k", MEL_48K)])
def test_log_mel_matches_the_public_reference(name, config):
    assert relative_error(log_mel(waveform(4000), config), load_golden("mel")[name]) < 1e-5


def test_clap_log_mel_matches_the_public_reference():
    mel = clap_log_mel(waveform(4000))
    assert mel.dtype == np.float32 and mel.shape == (1, 1024, 64)
    assert relative_error(mel[0, ::64], load_golden("mel")["clap"]) < 1e-5


def test_tone_peaks_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    bands = mel_filters(MEL_16K)
    expected = bands[:, 64].argmax()  # bin 64 of 1024 at 16 kHz is 1 kHz
    assert (log_mel(tone)[10:-10].argmax(1) == expected).all()


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(1600)), np.log(1e-5), rtol=1e-6)
    np.testing.assert_allclose(clap_log_mel(np.zeros(1600)), -100, rtol=1e-6)


def test_frames_are_one_a_hop_and_one_more():
    assert log_mel(waveform(163840), MEL_16K).shape == (1025, 64)
    assert log_mel(waveform(160), MEL_16K).shape == (2, 64)


def test_frames_are_centred():
    click = np.zeros(1600)
    click[800] = 1
    assert stft_magnitude(click, 1024, 160).sum(1).argmax() == 5


def test_clap_uses_the_first_ten_seconds():
    long = waveform(CLAP_MAX_SAMPLES + 1000)
    np.testing.assert_array_equal(clap_log_mel(long), clap_log_mel(long[:CLAP_MAX_SAMPLES]))


@pytest.mark.parametrize("samples", [1, 2, 100, 512, 513])
@pytest.mark.parametrize("front_end", [log_mel, clap_log_mel])
def test_very_short(front_end, samples):
    assert np.isfinite(front_end(waveform(samples))).all()


@pytest.mark.parametrize("front_end", [log_mel, clap_log_mel])
@pytest.mark.parametrize(
    "samples, message",
    [
        (np.zeros(0), "the waveform is empty"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([0.0, np.inf], np.float32), "not finite"),
        (np.zeros(100, np.int16), "floating-point waveform, got int16"),
        (np.zeros((1, 100)), r"1-D .* of shape \(1, 100\)"),
    ],
)
def test_refuses(front_end, samples, message):
    with pytest.raises(ValueError, match=message):
        front_end(samples)


@pytest.mark.parametrize("config", [MEL_16K, MEL_48K, MEL_CLAP])
def test_filters_have_unit_area(config):
    filters = mel_filters(config)
    assert filters.shape == (config.n_mels, config.n_fft // 2 + 1)
    # Low in the spectrum, filters span a few bins only: too coarse a sampling for the area.
    np.testing.assert_allclose(filters[-20:].sum(1) * config.sample_rate / config.n_fft, 1, rtol=0.02)


def test_stretch_keeps_frames_and_levels():
    frames = noise(9, 2)
    np.testing.assert_allclose(interpolate_frames(frames, 9), frames, atol=1e-12)
    np.testing.assert_allclose(interpolate_frames(frames, 17)[::2], frames, atol=1e-6)
    np.testing.assert_allclose(interpolate_frames(np.full((5, 1), 3.0), 64), 3.0)
    np.testing.assert_allclose(interpolate_frames(frames[:1], 4), frames[[0, 0, 0, 0]])


def test_frames_are_computed_in_blocks(monkeypatch):
    waveform = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    whole = log_mel(waveform)
    monkeypatch.setattr(mel, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(log_mel(waveform), whole, atol=1e-6)
    assert log_mel(waveform).shape == (101, 64)
