"""Band filters, latent bands and spectral edges against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from ppaudioldm.audio.bands import (
    CROSSOVER_HZ,
    band_filter,
    filtered,
    latent_bands,
    merged,
    neighbours,
    spectrum_end,
)
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, mel_edges, mel_filters

RATE = 16000


RANGES = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted).map(tuple), max_size=10)


@st.composite
def disjoint_bands(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Sorted bands from 0 to half of RATE that do not overlap."""
    edges = sorted(draw(st.sets(st.integers(0, RATE // 20), max_size=8)))
    return [(10.0 * low, 10.0 * high) for low, high in zip(edges[::2], edges[1::2], strict=False)]


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


@settings(max_examples=25)
@given(disjoint_bands(), st.integers(1, 3000))
def test_bands_and_their_complement_add_up_to_the_sound(bands, count):
    sound = np.random.default_rng(count).standard_normal((count, 2))
    edges = [0.0, *(edge for band in bands for edge in band), RATE / 2]
    rest = [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
    whole = filtered(sound, band_filter(bands, RATE)) + filtered(sound, band_filter(rest, RATE))
    np.testing.assert_allclose(whole, sound, atol=1e-9)


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


@given(RANGES, st.integers(0, 20), st.randoms())
def test_merging_covers_the_ranges_and_the_gaps_between_them_in_any_order(ranges, gap, random):
    result = merged(ranges, gap)
    assert result == sorted(result) and all(b[0] - a[1] > gap for a, b in itertools.pairwise(result))
    assert merged(result, gap) == result
    assert merged(random.sample(ranges, len(ranges)), gap) == result
    assert {edge for pair in result for edge in pair} <= {edge for pair in ranges for edge in pair}
    for start, end in ranges:
        assert sum(low <= start and end <= high for low, high in result) == 1
    points = np.arange(0, 100, 0.5) + 0.25
    inside = np.array([any(low < p < high for low, high in ranges) for p in points])
    covered = np.array([any(low < p < high for low, high in result) for p in points])
    assert (covered >= inside).all() and (gap > 0 or (covered == inside).all())


@given(disjoint_bands())
def test_neighbours_touch_a_band_and_reach_an_octave_without_any_band(bands):
    result = neighbours(bands, RATE / 2)
    edges = {edge for band in merged(bands) for edge in band}
    for low, high in result:
        assert low >= 0 and high <= RATE / 2 and high - low > CROSSOVER_HZ
        assert low in edges or high in edges
        assert not any(low < b and a < high for a, b in bands)
        # One octave beside a band, or two that meet between two bands.
        assert high <= 2 * low or low == 0 or (low in edges and high in edges)


def test_neighbours():
    assert neighbours([(4000, 8000)], 8000) == [(2000, 4000)]
    assert neighbours([(0, 1000)], 8000) == [(1000, 2000)]
    assert neighbours([(1000, 2000)], 8000) == [(500, 1000), (2000, 4000)]
    assert neighbours([(1000, 2000), (3000, 4000)], 8000) == [(500, 1000), (2000, 3000), (4000, 8000)]
    assert neighbours([(0, 8000)], 8000) == []
    assert neighbours([(50, 8000)], 8000) == []  # narrower than the transition band of a filter


@pytest.mark.parametrize(("config", "mels"), [(MEL_16K, 4), (MEL_48K, 8)])
def test_latent_bands_are_those_whose_filters_reach_the_band(config, mels):
    filters = mel_filters(config).reshape(-1, mels, config.n_fft // 2 + 1).max(1)  # (latent bands, bins)
    hertz = np.linspace(0, config.sample_rate / 2, filters.shape[1])
    for low, high in [(2000, 4000), (0, 500), (6000, config.sample_rate / 2), (700, 710)]:
        reached = (filters[:, (hertz > low) & (hertz < high)] > 0).any(1)
        held = latent_bands([(low, high)], config, mels)
        assert (held >= reached).all()  # none is missed
        assert held.sum() <= reached.sum() + 2  # an edge between two bins of the spectrum
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
