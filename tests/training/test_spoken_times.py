"""What the times of phonemes teach: durations, and where GPT-2 looks."""

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import GPT2Config
from ppaudioldm.engines.states import empty_states
from ppaudioldm.models.gpt2 import GPT2
from ppaudioldm.training.spoken import parallel_loa
from ppaudioldm.training.spoken_times import (
    duration_loss,
    guided_attention_loss,
    guided_layers,
    padded_phoneme_times,
    phoneme_shares,
    spoken_times,
    true_durations,
    watched_scores,
)
from tests.network_examples import CONFIGS
from tests.support import noise, random_network

TIMES = np.array([[[0.08, 0.12], [0.12, 0.3], [0.3, np.inf], [np.nan, np.nan]]], np.float32)


def test_shares_are_of_what_is_spoken_during_a_token():
    shares = phoneme_shares(TIMES, 4, 0.1)
    assert shares.shape == (1, 4, 4) and shares.dtype == np.float32
    np.testing.assert_allclose(shares[0], [[1, 0, 0, 0], [0.2, 0.8, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], atol=1e-6)
    assert phoneme_shares(np.full_like(TIMES, np.nan), 4, 0.1).max() == 0


def test_what_a_batch_has_of_times():
    found = spoken_times(TIMES.astype(np.float16), 4, 0.1)
    assert found["phoneme_shares"].shape == (1, 4, 4)
    np.testing.assert_allclose(found["phoneme_times"][0, :2], [[0, 0.4], [0.4, 2.2]], atol=1e-2)
    assert found["phoneme_times"][0, 2, 1] == np.inf and np.isnan(found["phoneme_times"][0, 3]).all()


def test_times_are_padded_and_unknown_where_a_symbol_was_left_out():
    ids = np.array([5, 6, 7, 0])
    assert np.array_equal(padded_phoneme_times(TIMES[0, :3], ids)[:3], TIMES[0, :3])
    assert np.isnan(padded_phoneme_times(TIMES[0, :3], ids)[3]).all()
    assert np.isnan(padded_phoneme_times(TIMES[0, :2], ids)).all() and np.isnan(padded_phoneme_times(None, ids)).all()


def test_the_loss_of_durations_counts_known_ones_alone():
    times = spoken_times(TIMES, 4, 0.1)["phoneme_times"]

    def loss(*durations):
        arrays = framework.from_numpy(np.array([durations], np.float32)), framework.from_numpy(times)
        return float(duration_loss(*arrays))

    assert loss(0.4, 1.8, 50.0, 60.0) == pytest.approx(0, abs=1e-5)
    # Squares 0.25 and 0; the times that they add up to are 0.5 late, each.
    assert loss(0.9, 1.8, 0.0, 0.0) == pytest.approx(0.125 + 0.1 * 0.5, abs=1e-5)


def test_true_durations_are_predicted_where_times_are_unknown():
    times = spoken_times(np.concatenate([TIMES, np.full_like(TIMES, np.nan)]), 4, 0.1)["phoneme_times"]
    predicted = np.array([[1, 2, 3, 0], [4, 5, 6, 0]], np.float32)
    found = framework.to_numpy(true_durations(framework.from_numpy(times), framework.from_numpy(predicted)))
    np.testing.assert_allclose(found, [[0.4, 1.8, 3, 0], [4, 5, 6, 0]], atol=1e-5)


@pytest.fixture
def passes():
    """The scores of two passes of a GPT-2 of three layers over a prefix of 8 positions, and its layers' number."""
    config = GPT2Config(32, 3, 2, 32)
    network = random_network("gpt2", GPT2, config)
    empty = [framework.from_numpy(x) for x in empty_states("gpt2", replace(CONFIGS["untrained"], gpt2=config), 2)]
    prefix, mask = framework.from_numpy(noise(2, 8, 32)), framework.from_numpy(np.ones((2, 8), np.float32))
    history = framework.from_numpy(np.zeros((2, 3, 32), np.float32))
    with framework.no_grad(), watched_scores(network, True) as scores:
        parallel_loa(network, prefix, mask, empty, history, 1)
    return network, [framework.to_numpy(s) for s in scores]


def test_the_scores_are_those_of_each_pass_and_nothing_is_watched_later(passes):
    network, scores = passes
    assert len(guided_layers(network)) == 2
    assert [s.shape for s in scores] == [(2, 1, 7, 7)] * 2 + [(2, 1, 4, 11)] * 4, "the prefix, and two passes"
    assert all(layer.watch is None for layer in network.layers)
    with watched_scores(network, False) as none:
        assert all(layer.watch is None for layer in network.layers) and none == []


def test_guided_attention_is_the_cross_entropy_over_the_phonemes(passes):
    _, (*_, scores) = passes
    shares = np.zeros((2, 4, 3), np.float32)
    shares[0, 1, 2], shares[1, 3, :2] = 1, 0.5  # phonemes at 4 to 6: the end mark and three tokens follow
    loss = guided_attention_loss([framework.from_numpy(scores)], framework.from_numpy(shares))
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = [-np.log(weights[0, 0, 1, 6]), -np.log(weights[1, 0, 3, 4:6]).mean()]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-4)
    assert float(guided_attention_loss([framework.from_numpy(scores)], framework.from_numpy(0 * shares))) == 0
