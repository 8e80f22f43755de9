"""What the known times of phonemes teach: their durations."""

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.training.spoken_times import duration_loss, padded_phoneme_times, times_in_tokens, true_durations

TIMES = np.array([[[0.08, 0.12], [0.12, 0.3], [0.3, np.inf], [np.nan, np.nan]]], np.float32)


def test_times_are_counted_in_tokens_and_the_first_phoneme_from_the_beginning():
    found = times_in_tokens(TIMES.astype(np.float16), 0.1)
    np.testing.assert_allclose(found[0, :2], [[0, 1.2], [1.2, 3]], atol=1e-2)
    assert found.dtype == np.float32 and found[0, 2, 1] == np.inf and np.isnan(found[0, 3]).all()
    assert np.isnan(times_in_tokens(np.full_like(TIMES, np.nan), 0.1)).all()


def test_times_are_padded_and_unknown_where_a_symbol_was_left_out():
    ids = np.array([5, 6, 7, 0])
    assert np.array_equal(padded_phoneme_times(TIMES[0, :3], ids)[:3], TIMES[0, :3])
    assert np.isnan(padded_phoneme_times(TIMES[0, :3], ids)[3]).all()
    assert np.isnan(padded_phoneme_times(TIMES[0, :2], ids)).all() and np.isnan(padded_phoneme_times(None, ids)).all()


def test_the_loss_of_durations_counts_known_ones_alone():
    times = times_in_tokens(TIMES, 0.1)

    def loss(*durations):
        arrays = framework.from_numpy(np.array([durations], np.float32)), framework.from_numpy(times)
        return float(duration_loss(*arrays))

    assert loss(1.2, 1.8, 50.0, 60.0) == pytest.approx(0, abs=1e-5)
    # Squares 0.25 and 0; the times that they add up to are 0.5 late, each.
    assert loss(1.7, 1.8, 0.0, 0.0) == pytest.approx(0.125 + 0.1 * 0.5, abs=1e-5)


def test_true_durations_are_predicted_where_times_are_unknown():
    times = times_in_tokens(np.concatenate([TIMES, np.full_like(TIMES, np.nan)]), 0.1)
    predicted = np.array([[1, 2, 3, 0], [4, 5, 6, 0]], np.float32)
    found = framework.to_numpy(true_durations(framework.from_numpy(times), framework.from_numpy(predicted)))
    np.testing.assert_allclose(found, [[1.2, 1.8, 3, 0], [4, 5, 6, 0]], atol=1e-5)
