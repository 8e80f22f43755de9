"""Bands against their definition: what passes, what adds up, where spectra end."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from ppaudioldm.audio.bands import (
    CROSSOVER_HZ,
    band_filter,
    filtered,
    latent_bands,
    merged,
    neighbours,
    spectrum_end,
)
from ppaudioldm.audio.mel import MEL_16K, MEL_48K, mel_edges, mel_filters

RATE = 16000


def white(seconds: float = 4, rate: int = RATE, channels: int = 1, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))


def response(bands: list[tuple[float, float]], rate: int, hertz: np.ndarray) -> np.ndarray:
    taps = band_filter(bands, rate)
    n = np.arange(len(taps)) - len(taps) // 2
    return np.array([(taps * np.cos(2 * np.pi * f / rate * n)).sum() for f in hertz])  # linear phase: real


@pytest.mark.parametrize("rate", [16000, 44100])
def test_what_passes(rate):
    bands = [(0.0, 300.0), (1000.0, 2000.0), (5000.0, rate / 2)]
    inside = np.array([0, 100, 240, 1060, 1500, 1940, 5060, rate / 2 - 1])
    outside = np.array([360, 700, 940, 2060, 3000, 4940])
    np.testing.assert_allclose(response(bands, rate, inside), 1, atol=2e-4)
    np.testing.assert_allclose(response(bands, rate, outside), 0, atol=2e-4)
    edges = np.array([300.0, 1000, 2000, 5000])
    np.testing.assert_allclose(response(bands, rate, edges), 0.5, atol=0.01)
    assert CROSSOVER_HZ == 100  # the figures above


def test_all_frequencies_are_the_sound_itself():
    sound = white(channels=2)
    np.testing.assert_allclose(filtered(sound, band_filter([(0, RATE / 2)], RATE)), sound, atol=1e-12)


@pytest.mark.parametrize("count", [1, 100, 5000, 300_000])
def test_filtered_is_convolution(count):
    sound = np.random.default_rng(1).standard_normal((count, 2))
    taps = band_filter([(500, 900)], RATE)
    expected = np.stack([np.convolve(channel, taps)[len(taps) // 2 :][:count] for channel in sound[:20000].T], 1)
    result = filtered(sound, taps)
    assert result.shape == sound.shape
    whole = max(0, min(count, 20000) - len(taps)) if count > 20000 else count
    np.testing.assert_allclose(result[:whole], expected[:whole], atol=1e-12)
    # Blocks leave no trace: the same in pieces that begin elsewhere.
    if count > 200_000:
        later = filtered(sound[100_000:], taps)[len(taps) :]
        np.testing.assert_allclose(result[100_000 + len(taps) :], later, atol=1e-12)


def test_merged():
    assert merged([(5, 6), (1, 2), (2, 3), (1.5, 1.8)]) == [(1, 3), (5, 6)]
    assert merged([(0, 1), (1.5, 2)], gap=0.5) == [(0, 2)]
    assert merged([]) == []


def test_neighbours():
    assert neighbours([(4000, 8000)], 8000) == [(2000, 4000)]
    assert neighbours([(0, 1000)], 8000) == [(1000, 2000)]
    assert neighbours([(1000, 2000)], 8000) == [(500, 1000), (2000, 4000)]
    assert neighbours([(1000, 2000), (3000, 4000)], 8000) == [(500, 1000), (2000, 3000), (4000, 8000)]
    assert neighbours([(0, 8000)], 8000) == []
    assert neighbours([(50, 8000)], 8000) == []  # too narrow to hear a level in


@pytest.mark.parametrize(("config", "mels"), [(MEL_16K, 4), (MEL_48K, 8)])
def test_latent_bands_are_those_whose_filters_reach_the_band(config, mels):
    filters = mel_filters(config).reshape(-1, mels, config.n_fft // 2 + 1).max(1)  # (latent bands, bins)
    hertz = np.linspace(0, config.sample_rate / 2, filters.shape[1])
    for low, high in [(2000, 4000), (0, 500), (6000, config.sample_rate / 2), (700, 710)]:
        heard = (filters[:, (hertz > low) & (hertz < high)] > 0).any(1)
        held = latent_bands([(low, high)], config, mels)
        assert (held >= heard).all()  # none is missed
        assert held.sum() <= heard.sum() + 2  # an edge between two bins of the spectrum
    assert latent_bands([(0, config.sample_rate / 2)], config, mels).all()
    assert not latent_bands([], config, mels).any()


def test_mel_edges():
    edges = mel_edges(MEL_16K)
    assert (edges[0], len(edges)) == (0, 66) and np.isclose(edges[-1], 8000)
    peaks = mel_filters(MEL_16K).argmax(1) * 8000 / 512
    np.testing.assert_allclose(edges[1:-1], peaks, atol=16)


@pytest.mark.parametrize("low", [8000, 4000, 11025])
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_a_resampled_spectrum_ends_where_it_did(low, colour):
    sound = white(rate=low)[:, 0]
    if colour == "pink":
        spectrum = np.fft.rfft(sound)
        sound = np.fft.irfft(spectrum / np.sqrt(1 + np.arange(len(spectrum))))
    end = spectrum_end(soxr.resample(sound, low, 48000)[:, None], 48000)
    assert end is not None
    assert 0.85 * low / 2 < end <= 1.02 * low / 2


def test_rounding_to_16_bits_hides_no_end():
    sound = soxr.resample(white(rate=8000, level=0.03)[:, 0], 8000, 16000)
    end = spectrum_end(np.rint(sound * 32768)[:, None] / 32768, 16000)
    assert end is not None and 3500 < end < 4100


def test_full_spectra_have_no_end():
    pink = np.fft.irfft(np.fft.rfft(white()[:, 0]) / np.sqrt(1 + np.arange(32001)))
    for sound in (white(), pink[:, None], white()[:100], np.zeros((5000, 1)), white(channels=2)):
        assert spectrum_end(sound, RATE) is None


def test_a_pure_tone_is_no_resampled_recording():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert spectrum_end(tone[:, None], RATE) is None
