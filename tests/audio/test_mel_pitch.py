"""The pitch of a mel spectrogram, also where its bands hardly resolve the harmonics."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.griffin_lim import _Bands
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, MelConfig
from ppaudioldm.audio.mel_pitch import mel_pitch
from tests.support import noise


def harmonics(hertz: np.ndarray, sample_rate: int) -> np.ndarray:
    """A second of harmonics of a pitch over time, (samples,) in Hz, over a noise floor."""
    phase = 2 * np.pi * np.cumsum(hertz) / sample_rate
    count = min(20, int(0.45 * sample_rate / hertz.max()))
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, count + 1)) + 3e-4 * noise(len(hertz))


def tracked(waveform: np.ndarray, config: MelConfig = MEL_16K) -> tuple[np.ndarray, np.ndarray]:
    mel = np.exp(log_mel(waveform, config)[8:-8])
    pitch = mel_pitch(config)
    return pitch.track(pitch.scores(mel, _Bands(config).spread(mel)))


@pytest.mark.parametrize("hertz", [92.0, 171.0, 440.0, 1200.0])
def test_a_steady_pitch(hertz):
    found, score = tracked(harmonics(np.full(16000, hertz), 16000))
    assert np.quantile(np.abs(np.log2(found / hertz)), 0.9) < 0.03
    assert np.median(score) > 0.6


def test_a_pitch_that_glides_and_another_sample_rate():
    for rate, config in ((16000, MEL_16K), (48000, MEL_48K)):
        glide = np.geomspace(120, 300, rate)
        found, score = tracked(harmonics(glide, rate), config)
        expected = glide[:: config.hop_length][8:][: len(found)]
        assert np.quantile(np.abs(np.log2(found / expected)), 0.9) < 0.03 and np.median(score) > 0.6


def test_noise_and_silence_have_no_pitch():
    for waveform in (0.1 * noise(16000), np.zeros(16000)):
        assert np.quantile(tracked(waveform)[1], 0.9) < 0.5
