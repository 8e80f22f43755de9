"""Joins: what is kept to the bit, and levels that do not step."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.joins import MAX_GAIN, complement, fade_weights, gain, gains_at_joins, join, with_fades

ONE = (np.ones(2), np.ones(2))


def noise(count: int, seed: int = 0, level: float = 0.1, channels: int = 2) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal((count, channels))


def power(samples: np.ndarray, parts: int) -> np.ndarray:
    return (samples**2).reshape(parts, -1).mean(1)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_fades_keep_the_power(alike):
    old = noise(200_000)
    new = alike * old + np.sqrt(1 - alike**2) * noise(200_000, 1)
    fall, rise = fade_weights(old, new)
    np.testing.assert_allclose(power(fall * old + rise * new, 20), 0.01, rtol=0.1)
    assert fall[0] > 0.999 and rise[-1] > 0.999 and fall[-1] < 1e-3 and rise[0] < 1e-3
    assert (np.diff(rise[:, 0]) > -1e-12).all()


def test_a_sound_fades_into_itself_unchanged():
    sound = noise(500)
    fall, rise = fade_weights(sound, sound)
    np.testing.assert_allclose(fall * sound + rise * sound, sound)


def test_fades_from_and_to_silence():
    fall, rise = fade_weights(np.zeros((50, 1)), np.zeros((50, 1)))
    np.testing.assert_allclose(fall + rise, 1)


@pytest.mark.parametrize("span", [(300, 600), (0, 200), (700, 1000), (0, 1000), (5, 995), (400, 401)])
def test_what_is_outside_the_fades_stays_to_the_bit(span):
    old, new = noise(1000), noise(1000, 1)
    old[0], old[999] = -0.0, -0.0
    joined = old.copy()
    join(joined, old, new, span, 40, ONE)
    first, last = with_fades(span, 40, 1000)
    assert joined[:first].tobytes() == old[:first].tobytes() and joined[last:].tobytes() == old[last:].tobytes()
    np.testing.assert_allclose(joined[slice(*span)], new[slice(*span)])
    assert not np.isclose(joined[first : span[0]], old[first : span[0]]).all() or first == span[0]


def test_a_band_of_a_sound_is_replaced():
    low, high, new = noise(1000), noise(1000, 1), noise(1000, 2)
    samples = low + high
    join(samples, high, new, (300, 600), 50, ONE)
    np.testing.assert_allclose(samples[300:600], (low + new)[300:600])
    np.testing.assert_array_equal(samples[:250], (low + high)[:250])


def test_gains_rise_steadily_from_one_join_to_the_other():
    old, new = np.zeros((1000, 1)), np.ones((1000, 1))
    join(old, old.copy(), new, (200, 800), 0, (np.array([1.0]), np.array([2.0])))
    assert old[200, 0] == 1 and np.isclose(old[500, 0], 1.5) and np.isclose(old[799, 0], 2, atol=0.01)


def test_between():
    assert complement([(2, 4), (6, 10)], 10) == [(0, 2), (4, 6)]
    assert complement([], 10) == [(0, 10)] and complement([(0, 10)], 10) == []


def test_gain_is_the_ratio_of_levels():
    old, new = noise(1000), noise(1000, 1)
    wanted = np.sqrt((old**2).mean(0) / (new**2).mean(0))
    np.testing.assert_allclose(gain(old, new, 1e-4), wanted)
    np.testing.assert_allclose(gain(old, new / 100, 1e-4), MAX_GAIN)
    left = old * [1, 0]  # a channel that is silent stays silent
    np.testing.assert_allclose(gain(left, new, 1e-4), wanted * [1, 0])


def test_silence_says_nothing():
    sound, silence = noise(1000), np.zeros((1000, 2))
    for old, new in ((sound, silence), (silence, sound), (silence, silence), (sound[:0], sound[:0])):
        assert gain(old, new, 1e-4) is None


def test_each_join_has_its_own_level():
    old = noise(3000)
    old[2000:] *= 3
    spans = [(900, 1000), (1400, 2000)]
    new = noise(3000, 1)
    for start, end in spans:
        new[start:end] *= 50  # what is to be generated does not count
        old[start:end] *= 50
    (a, b), (c, d) = gains_at_joins(old, new, spans, 400, 1e-4)
    for found, wanted in ((a, 1), (b, 1), (c, 1), (d, 3)):
        np.testing.assert_allclose(found, wanted, rtol=0.15)


def test_a_side_without_sound_takes_the_others_level():
    old, new = noise(2000), noise(2000, 1, level=0.05)
    ((a, b),) = gains_at_joins(old, new, [(1500, 2000)], 500, 1e-4)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, 2, rtol=0.15)
    ((a, b),) = gains_at_joins(old, new, [(0, 500)], 500, 1e-4)
    np.testing.assert_allclose(a, 2, rtol=0.15)
    np.testing.assert_array_equal(gains_at_joins(old, new, [(0, 2000)], 500, 1e-4), np.ones((1, 2, 2)))
