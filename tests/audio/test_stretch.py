"""Time stretching changes the duration to the sample, and keeps pitch, level and order."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.stretch import stretched

RATE = 16000


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def pitch(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 8 * RATE))
    return float(spectrum.argmax() / 8)


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.8, 1.0, 1.3, 2.0, 4.0])
@pytest.mark.parametrize("frequency", [110.0, 440.0, 1234.5])
def test_length_changes_and_pitch_does_not(factor, frequency):
    result = stretched(tone(frequency), RATE, factor)
    assert result.shape == (round(RATE * factor),) and result.dtype == np.float32
    assert pitch(result) == pytest.approx(frequency, rel=0.01)
    middle = result[len(result) // 4 : -len(result) // 4]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.abs(np.diff(middle)).max() < 1.1 * np.abs(np.diff(tone(frequency))).max()  # no clicks


def test_the_same_length_is_the_same_sound():
    np.testing.assert_allclose(stretched(tone(300), RATE, 1.0), tone(300), atol=1e-5)


def test_order_in_time_stays():
    parts = np.concatenate([tone(300), np.zeros(RATE, np.float32), tone(900)])
    result = stretched(parts, RATE, 0.5)
    third = RATE // 2
    assert pitch(result[:third]) == pytest.approx(300, rel=0.01)
    assert np.abs(result[third + 800 : 2 * third - 800]).max() < 1e-3
    assert pitch(result[2 * third :]) == pytest.approx(900, rel=0.01)


@pytest.mark.parametrize("count", [1, 2, 100, 641])
def test_short_sounds(count):
    for factor in (0.25, 3.0):
        result = stretched(tone(500)[:count], RATE, factor)
        assert len(result) == round(count * factor) and np.isfinite(result).all()


def test_wrong_arguments():
    for factor in (0.0, 11.0, float("nan")):
        with pytest.raises(ValueError, match="factor is .*, allowed: 0.1 to 10"):
            stretched(tone(300), RATE, factor)
    with pytest.raises(ValueError, match=r"shape \(1, 16000\)"):
        stretched(tone(300)[None], RATE, 1.0)
