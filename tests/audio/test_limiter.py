"""The peak limiter: nothing beyond the limit, nothing softer away from peaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm.audio.limiter import attenuation, limited, smooth_gains
from tests.support import noise


@pytest.mark.parametrize("samples", [160, 1600, 1777])
def test_only_what_is_near_a_peak_is_softer(samples):
    waveform = 0.5 * noise(samples).clip(-1, 1)
    waveform[100] = -3
    result = limited(waveform, 160)
    assert result.shape == (samples,) and np.abs(result).max() <= 1 and result[100] < -0.99
    assert np.array_equal(result[100 + 3 * 160 :], waveform[100 + 3 * 160 :])
    assert np.array_equal(limited(waveform.clip(-1, 1), 160), waveform.clip(-1, 1))


@given(st.integers(1, 2000), st.integers(1, 300), st.floats(0.5, 2))
def test_a_sum_stays_within_the_limit(count, block, limit):
    rest = np.clip(noise(count), -1, 1) * limit
    added = 3 * noise(count, seed=1)
    gains = attenuation(rest, added, limit, block)
    assert gains.shape == (count,) and gains.min() >= 0 and gains.max() <= 1
    assert np.abs(rest + gains * added).max() <= limit * (1 + 1e-6)
    np.testing.assert_array_equal(attenuation(rest, np.zeros(count), limit, block), 1)


def test_gains_change_over_two_blocks():
    gains = smooth_gains(np.where(np.arange(1000) == 500, 0.0, 1.0), 10)
    assert gains[500] == 0 and np.abs(np.diff(gains)).max() <= 0.1 + 1e-9 and (gains[:470] == 1).all()
