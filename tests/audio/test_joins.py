"""Joins: samples outside the fades stay to the bit, fades keep the power, levels do not step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm.audio.bands import merged
from ppaudioldm.audio.joins import MAX_GAIN, Span, complement, fade_weights, gain, gains_at_joins, join, with_fades

ONE = (np.ones(2), np.ones(2))


def noise(count: int, seed: int = 0, level: float = 0.1, channels: int = 2) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal((count, channels))


def power(samples: np.ndarray, blocks: int) -> np.ndarray:
    return (samples**2).reshape(blocks, -1).mean(1)


@st.composite
def counts_and_spans(draw: st.DrawFn) -> tuple[int, list[Span]]:
    """A number of samples, and sorted, disjoint spans of them, of which some may be neighbours."""
    count = draw(st.integers(1, 200))
    edges = sorted(draw(st.sets(st.integers(0, count), max_size=12)))
    return count, [(a, b) for a, b in itertools.pairwise(edges) if draw(st.booleans())]


def covered(spans: list[Span], count: int) -> np.ndarray:
    """How many of `spans` hold each of `count` samples."""
    held = np.zeros(count, int)
    for start, end in spans:
        held[start:end] += 1
    return held


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_fades_keep_the_power(alike):
    old = noise(200_000)
    new = alike * old + np.sqrt(1 - alike**2) * noise(200_000, 1)
    fall, rise = fade_weights(old, new)
    np.testing.assert_allclose(power(fall * old + rise * new, 20), 0.01, rtol=0.1)
    assert fall[0] > 0.999 and rise[-1] > 0.999 and fall[-1] < 1e-3 and rise[0] < 1e-3
    assert (np.diff(rise[:, 0]) > -1e-12).all()


@given(st.integers(1, 300), st.floats(-1, 1), st.floats(0.01, 100))
def test_fade_weights_are_those_of_constant_power_at_the_correlation_of_the_sounds(count, alike, ratio):
    rng = np.random.default_rng(count)
    old, other = rng.standard_normal((2, count, 2))
    new = ratio * (alike * old + np.sqrt(1 - alike**2) * other)
    fall, rise = fade_weights(old, new)
    correlation = max(0, (old * new).sum() / np.sqrt((old**2).sum() * (new**2).sum()))
    np.testing.assert_allclose(fall**2 + rise**2 + 2 * correlation * fall * rise, 1)
    np.testing.assert_allclose(rise[::-1], fall)
    assert (np.diff(fall[:, 0]) <= 0).all() and fall.min() >= 0 and fall.max() <= 1


@given(st.integers(1, 300))
def test_fades_of_equal_sounds_keep_the_amplitude_and_of_unrelated_ones_the_power(count):
    sound = noise(count)
    fall, rise = fade_weights(sound, 3 * sound)
    np.testing.assert_allclose(fall + rise, 1)
    fall, rise = fade_weights(sound * [1, 0], sound * [0, 1])
    np.testing.assert_allclose(fall**2 + rise**2, 1)


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
    before, after = slice(first, span[0]), slice(span[1], last)
    for side, leaving, arriving in ((before, old, new), (after, new, old)):
        if side.start < side.stop:
            fall, rise = fade_weights(leaving[side], arriving[side])
            np.testing.assert_allclose(joined[side], fall * leaving[side] + rise * arriving[side], atol=1e-6)


@given(counts_and_spans(), st.integers(0, 50))
def test_joining_a_sound_with_itself_changes_nothing(count_and_spans, fade):
    count, spans = count_and_spans
    sound = noise(count)
    joined = sound.copy()
    for span in spans:
        join(joined, sound, sound.copy(), span, fade, ONE)
    np.testing.assert_allclose(joined, sound, atol=1e-7)


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


@given(counts_and_spans())
def test_spans_and_their_complement_partition_the_samples(count_and_spans):
    count, spans = count_and_spans
    rest = complement(spans, count)
    assert (covered(spans + rest, count) == 1).all()
    assert all(0 <= start < end <= count for start, end in rest) and rest == sorted(rest)
    assert complement(rest, count) == merged(spans)


@given(counts_and_spans(), st.integers(0, 300))
def test_a_span_with_fades_holds_it_and_fade_samples_on_either_side(count_and_spans, fade):
    count, spans = count_and_spans
    for span in spans:
        first, last = with_fades(span, fade, count)
        held = np.arange(count)
        assert held[first:last].tolist() == [i for i in held if span[0] - fade <= i < span[1] + fade]


def test_complement():
    assert complement([(2, 4), (6, 10)], 10) == [(0, 2), (4, 6)]
    assert complement([], 10) == [(0, 10)] and complement([(0, 10)], 10) == []


def test_gain_is_the_ratio_of_levels():
    old, new = noise(1000), noise(1000, 1)
    ratio = np.sqrt((old**2).mean(0) / (new**2).mean(0))
    np.testing.assert_allclose(gain(old, new, 1e-4), ratio)
    np.testing.assert_allclose(gain(old, new / 100, 1e-4), MAX_GAIN)
    left = old * [1, 0]  # a channel that is silent stays silent
    np.testing.assert_allclose(gain(left, new, 1e-4), ratio * [1, 0])


@given(counts_and_spans(), st.tuples(st.floats(0.01, MAX_GAIN), st.floats(0.01, MAX_GAIN)), st.integers(1, 60))
def test_gains_undo_a_change_of_level_in_each_channel(count_and_spans, factors, compared):
    count, spans = count_and_spans
    new = noise(count)
    for (left, right), (start, end) in zip(
        gains_at_joins(new * factors, new, spans, compared, 1e-9), spans, strict=True
    ):
        rest = complement(spans, count)
        expected = factors if any(e == start or s == end for s, e in rest) else (1, 1)  # else there is no level beside
        np.testing.assert_allclose(left, expected)
        np.testing.assert_allclose(right, expected)


def test_silence_has_no_gain():
    sound, silence = noise(1000), np.zeros((1000, 2))
    for old, new in ((sound, silence), (silence, sound), (silence, silence), (sound[:0], sound[:0])):
        assert gain(old, new, 1e-4) is None


def test_each_join_has_its_own_level():
    old = noise(3000)
    old[2000:] *= 3
    spans = [(900, 1000), (1400, 2000)]
    new = noise(3000, 1)
    for start, end in spans:
        new[start:end] *= 50  # the level of what is replaced does not matter
        old[start:end] *= 50
    (a, b), (c, d) = gains_at_joins(old, new, spans, 400, 1e-4)
    for found, expected in ((a, 1), (b, 1), (c, 1), (d, 3)):
        np.testing.assert_allclose(found, expected, rtol=0.15)


def test_a_side_without_sound_takes_the_others_level():
    old, new = noise(2000), noise(2000, 1, level=0.05)
    ((a, b),) = gains_at_joins(old, new, [(1500, 2000)], 500, 1e-4)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, 2, rtol=0.15)
    ((a, b),) = gains_at_joins(old, new, [(0, 500)], 500, 1e-4)
    np.testing.assert_allclose(a, 2, rtol=0.15)
    np.testing.assert_array_equal(gains_at_joins(old, new, [(0, 2000)], 500, 1e-4), np.ones((1, 2, 2)))
