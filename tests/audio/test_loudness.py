"""Against the values that ITU-R BS.1770 and EBU Tech 3341 give for their test signals."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from ppaudioldm.audio.loudness import at_loudness, loudness, true_peak

RATES = [16000, 44100, 48000]


def tone(seconds: float, decibels: float, rate: int = 48000, frequency: float = 1000.0) -> np.ndarray:
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def stereo(*parts: tuple[float, float], rate: int = 48000) -> np.ndarray:
    """Parts of (seconds, dBFS) in a row, the same on both channels."""
    return np.repeat(np.concatenate([tone(*part, rate) for part in parts])[:, None], 2, 1)


@pytest.mark.parametrize("rate", RATES)
def test_full_scale_sine_in_one_channel(rate):
    assert loudness(tone(20, 0, rate, 997), rate) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(20, -23)], -23),
        ([(20, -33)], -33),
        ([(10, -36), (60, -23), (10, -36)], -23),
        ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23),
        ([(20, -26), (20.1, -20), (20, -26)], -23),
    ],
)
def test_ebu_tech_3341(rate, parts, expected):
    assert loudness(stereo(*parts, rate=rate), rate) == pytest.approx(expected, abs=0.1)


def test_low_and_high_tones_are_weighted():
    # The response of the standard's two filters, relative to 1 kHz.
    at_1k = loudness(tone(5, -20), 48000)
    for frequency, difference in ((40, -6.5), (100, -1.7), (5000, 3.2), (10000, 3.3)):
        measured = loudness(tone(5, -20, frequency=frequency), 48000) - at_1k
        assert measured == pytest.approx(difference, abs=0.35), frequency


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize(("frequency", "phase"), [(1 / 4, 0.0), (1 / 4, 45.0), (1 / 6, 60.0), (1 / 8, 67.5)])
def test_true_peak_between_the_samples(rate, frequency, phase):
    count = np.arange(25 * rate)  # several pieces
    waveform = 0.5 * np.sin(2 * np.pi * frequency * count + np.radians(phase))
    waveform *= np.clip(count / 1000, 0, 1) * np.clip(count[::-1] / 1000, 0, 1)
    assert -6.4 <= true_peak(waveform, rate) <= -5.8


def test_one_of_the_samples_may_be_the_peak():
    click = np.zeros(1000)
    click[500] = -1
    assert true_peak(click, 16000) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.3, 0.45, 5])
@pytest.mark.parametrize("target", [-30.0, -16.0])
def test_brought_to_a_level(rate, seconds, target):
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, round(seconds * rate)).astype(np.float32)
    normalised = at_loudness(waveform, rate, target)
    assert normalised.dtype == np.float32 and normalised.shape == waveform.shape
    assert loudness(normalised, rate) == pytest.approx(target, abs=0.05)


def test_peaks_stay_below_full_scale(caplog):
    waveform = 0.01 * np.random.default_rng(0).standard_normal(48000)
    waveform[24000] = 0.9
    with caplog.at_level(logging.WARNING):
        normalised = at_loudness(waveform, 48000, -10)
    assert true_peak(normalised, 48000) == pytest.approx(-1, abs=0.01)
    assert "not -10" in caplog.text


def test_silence_stays(caplog):
    silence = np.zeros((48000, 2), np.float32)
    assert loudness(silence, 48000) == -np.inf and true_peak(silence, 48000) == -np.inf
    np.testing.assert_array_equal(at_loudness(silence, 48000, -16), silence)
    assert "silence" in caplog.text


@pytest.mark.parametrize("target", [0.0, -71, float("nan"), float("inf")])
def test_impossible_targets(target):
    with pytest.raises(ValueError, match=r"loudness is .*allowed: -70 to -5 LUFS"):
        at_loudness(np.zeros(9), 48000, target)


@pytest.mark.parametrize("count", [1, 50, 1599])
def test_less_than_a_hop_has_the_loudness_of_its_power(count):
    samples = np.full((count, 1), 0.1) * np.cos(np.pi / 4 * np.arange(count))[:, None]
    assert -40 < loudness(samples, 16000) < 0
