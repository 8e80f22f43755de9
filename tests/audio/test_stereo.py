"""Stereo of mono sounds: decorrelated, its mean the mono sound, without clipping."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.stereo import side_filters, widened
from ppaudioldm.sounds import SINGLE_KINDS, example

RATE = 16000
PEAK = 10 ** (-2 / 20)  # of the loudest training clips


def correlation(stereo: np.ndarray) -> float:
    return float(np.corrcoef(stereo.T)[0, 1])


@pytest.mark.parametrize("kind", SINGLE_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_kind_is_decorrelated_and_compatible_with_mono(kind, seed):
    mono = example(seed, (kind,)).waveform
    mono = mono * np.float32(PEAK / np.abs(mono).max())
    stereo = widened(mono, RATE)
    assert stereo.shape == (len(mono), 2) and stereo.dtype == np.float32
    assert np.abs(stereo.mean(1) - mono).max() < 1e-6
    assert np.abs(np.rint(stereo * 32768).clip(-32768, 32767).mean(1) / 32768 - mono).max() < 1e-4  # as written
    assert correlation(stereo) < 0.9
    assert np.abs(stereo).max() <= 1


@pytest.mark.parametrize("rate", [16000, 48000])
def test_tones_of_any_pitch(rate):
    """Also those at which one of the filters changes its sign."""
    times = np.arange(rate // 2) / rate
    for hertz in np.geomspace(60, 0.45 * rate, 60):
        tone = (0.7 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)
        assert correlation(widened(tone, rate)) < 0.9, hertz


def test_both_channels_have_the_spectrum_of_the_sound():
    mono = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    spectra = np.abs(np.fft.rfft(np.stack([mono, *widened(mono, RATE).T]))) ** 2
    bands = spectra[:, 100:7900].reshape(3, 20, -1).sum(2)
    assert np.abs(10 * np.log10(bands[1:] / bands[0]) - 10 * np.log10(1.36)).max() < 0.5
    for taps in side_filters(RATE):
        assert len(taps) % 2 == 1 and np.allclose(taps, -taps[::-1])  # antisymmetric: 90 degrees


def test_a_sound_at_full_scale_stays_within_it():
    square = np.sign(np.sin(np.arange(RATE) * 0.2)).astype(np.float32)
    for mono in (square, square * 1.5, np.zeros(1, np.float32), np.zeros(RATE, np.float32)):
        stereo = widened(mono, RATE)
        assert np.abs(stereo).max(initial=0) <= max(1.0, np.abs(mono).max())
        np.testing.assert_allclose(stereo.mean(1), mono, atol=1e-6)
