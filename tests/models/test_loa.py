from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import LoaConfig
from ppaudioldm.engines.states import Stateful
from ppaudioldm.framework import xp
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.models.gpt2 import GPT2
from ppaudioldm.models.loa import LoaPrefix
from ppaudioldm.training.spoken import sinusoids
from tests.models.test_gpt2 import REDUCED as GPT2_REDUCED
from tests.models.test_gpt2 import empty_cache
from tests.support import load_golden, noise, random_network, relative_error, run

REDUCED = LoaConfig(condition_dims=(16, 24), hidden_size=32)
NUM_TOKENS = 5


def conditions() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """States and masks of a CLAP vector and a padded prompt."""
    mask = np.ones((2, 6), np.float32)
    mask[1, 4:] = 0
    return [noise(2, 1, 16), noise(2, 6, 24, seed=1)], [np.ones((2, 1), np.float32), mask]


def make_prefix(network: LoaPrefix) -> tuple[np.ndarray, np.ndarray]:
    states, masks = ([framework.from_numpy(x) for x in part] for part in conditions())
    with framework.no_grad():
        embeddings, mask = network(states, masks)
    return framework.to_numpy(embeddings), framework.to_numpy(mask)


def generate(prefix: np.ndarray, mask: np.ndarray, num_tokens: int = NUM_TOKENS) -> np.ndarray:
    """With the reduced GPT-2 as an engine of NumPy arrays."""
    network = random_network("gpt2", GPT2, GPT2_REDUCED)
    return generate_loa(
        prefix,
        mask,
        Stateful(lambda *arrays: run(network, *arrays), lambda batch: empty_cache(GPT2_REDUCED, batch)),
        num_tokens,
        np.concatenate,
        max_positions=GPT2_REDUCED.max_positions,
    )


def test_prefix_is_conditions_between_their_marks():
    network = random_network("loa", LoaPrefix, REDUCED)
    prefix, mask = make_prefix(network)
    weights = {name: framework.to_numpy(value) for name, value in network.named_parameters()}
    states, masks = conditions()
    for item in range(2):
        rows = []
        for index in range(2):
            x = states[index][item] @ weights[f"projections.{index}.weight"].T + weights[f"projections.{index}.bias"]
            rows += [weights[f"sos_{index}"][None], x, weights[f"eos_{index}"][None]]
        np.testing.assert_allclose(prefix[item], np.concatenate(rows), atol=1e-5)
        np.testing.assert_array_equal(mask[item], [1, 1, 1, 1, *masks[1][item], 1])


def test_a_timed_prefix_has_sinusoids_of_the_time_at_which_each_item_is_spoken():
    """Those of the position of the LOA token of this time, like GPT-2's own table when training begins."""
    plain, timed = (random_network("loa", LoaPrefix, replace(REDUCED, duration_dim=dim)) for dim in (None, 48))
    values = {name: framework.to_numpy(value) for name, value in timed.named_parameters()}
    values |= {name: framework.to_numpy(value) for name, value in plain.named_parameters()}
    framework.assign_weights(timed, values.items())
    states, masks = ([framework.from_numpy(x) for x in part] for part in conditions())
    with framework.no_grad():
        durations = framework.to_numpy(timed.durations(states, masks[1]))
    assert (durations > 0).sum(1).tolist() == [6, 4] and np.ptp(durations[0]) > 1e-3
    added = make_prefix(timed)[0] - make_prefix(plain)[0]
    assert np.abs(added[:, :4]).max() == np.abs(added[:, -1]).max() == 0
    middles = added.shape[1] + np.cumsum(durations, 1) - durations / 2
    angles = middles[:, :, None] * 10000.0 ** (-np.arange(16) / 16)
    expected = np.concatenate([np.sin(angles), np.cos(angles)], 2) / np.sqrt(2)
    np.testing.assert_allclose(added[:, 4:-1], expected, atol=1e-4)
    with framework.no_grad():
        known = framework.to_numpy(timed(states, masks, framework.from_numpy(2 * durations))[0])
    later = known - make_prefix(plain)[0]  # durations that are known take the place of the predicted ones
    angles = (added.shape[1] + 2 * np.cumsum(durations, 1) - durations)[:, :, None] * 10000.0 ** (-np.arange(16) / 16)
    np.testing.assert_allclose(later[:, 4:-1, :16], np.sin(angles) / np.sqrt(2), atol=1e-4)
    np.testing.assert_allclose(sinusoids(40, 32)[7, [0, 16]], np.array([np.sin(7), np.cos(7)]) / np.sqrt(2), atol=1e-6)


def test_prefix_refuses_another_number_of_conditions():
    states, masks = conditions()
    network = random_network("loa", LoaPrefix, REDUCED)
    with pytest.raises(ValueError, match="expected 2 conditions, got 1 and 2 masks"):
        network(states[:1], masks)


def test_tokens_match_the_public_reference():
    tokens = generate(*make_prefix(random_network("loa", LoaPrefix, REDUCED)))
    assert relative_error(tokens, load_golden("loa")["tokens"]) < 1e-5


def test_loop_runs_on_the_framework_too():
    prefix, mask = make_prefix(random_network("loa", LoaPrefix, REDUCED))
    network = random_network("gpt2", GPT2, GPT2_REDUCED)
    arrays = [framework.from_numpy(x) for x in (prefix, mask)]
    gpt2 = Stateful(network, lambda batch: [framework.from_numpy(x) for x in empty_cache(GPT2_REDUCED, batch)])
    with framework.no_grad():
        tokens = generate_loa(*arrays, gpt2, NUM_TOKENS, xp.concat, max_positions=GPT2_REDUCED.max_positions)
    np.testing.assert_allclose(framework.to_numpy(tokens), generate(prefix, mask), atol=1e-6)


def test_long_prefix_is_cut_with_a_warning(caplog):
    prefix, mask = noise(1, 30, 32), np.ones((1, 30), np.float32)
    room = GPT2_REDUCED.max_positions - NUM_TOKENS
    with caplog.at_level(logging.WARNING):
        tokens = generate(prefix, mask)
    assert f"cut from 30 to {room} positions" in caplog.text
    np.testing.assert_array_equal(tokens, generate(prefix[:, :room], mask[:, :room]))


@pytest.mark.parametrize("num_tokens", [0, 24])
def test_impossible_number_of_tokens(num_tokens):
    with pytest.raises(ValueError, match=f"cannot generate {num_tokens} LOA tokens, choose from 1 to 23"):
        generate(noise(1, 3, 32), np.ones((1, 3), np.float32), num_tokens)
