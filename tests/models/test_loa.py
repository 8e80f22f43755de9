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
from ppaudioldm.models.loa import PARTS, LoaPrefix
from tests.models.test_gpt2 import REDUCED as GPT2_REDUCED
from tests.models.test_gpt2 import empty_cache
from tests.support import load_golden, noise, random_network, relative_error, run

REDUCED = LoaConfig(condition_dims=(16, 24), hidden_size=32)
NUM_TOKENS = 5
TIMED = replace(REDUCED, num_tokens=NUM_TOKENS, duration_dim=48)


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


def timed_outputs(durations: np.ndarray | None = None) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The weights, and the outputs with durations that are known or predicted."""
    network = random_network("loa", LoaPrefix, TIMED)
    states, masks = ([framework.from_numpy(x) for x in part] for part in conditions())
    known = [] if durations is None else [framework.from_numpy(durations)]
    with framework.no_grad():
        outputs = [framework.to_numpy(x) for x in network(states, masks, *known)]
    return {name: framework.to_numpy(value) for name, value in network.named_parameters()}, outputs


def guess(weights: dict[str, np.ndarray], parts: np.ndarray) -> np.ndarray:
    """The first guess at a token from the embeddings of PARTS parts before it, in it and after it, for item 0."""

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = np.concatenate([conditions()[0][0][0, 0] * 4, parts.ravel()])  # 4 is the root of CLAP's 16 channels
    for name in ("in", "middle", "out"):
        x = weights[f"spoken_{name}.weight"] @ x + weights[f"spoken_{name}.bias"]
        x = x if name == "out" else gelu(x)
    return x


def test_a_timed_prefix_guesses_each_token_from_what_is_spoken_around_it():
    """Known durations: 2.25 tokens with the silence before, then 0.5 and 2."""
    weights, (embeddings, _, spoken) = timed_outputs(np.array([[2.25, 0.5, 2, 0, 0, 0]] * 2, np.float32))
    phonemes = conditions()[0][1][0, :, 12:]  # the embeddings are behind the states
    parts = np.zeros((PARTS * (NUM_TOKENS + 2), 12), np.float32)
    parts[4:13], parts[13:15], parts[15:23] = phonemes[0], phonemes[1], phonemes[2]
    for token in range(NUM_TOKENS):
        np.testing.assert_allclose(spoken[0, token], guess(weights, parts[4 * token : 4 * token + 12]), atol=1e-4)
    np.testing.assert_allclose(embeddings[:, -1], weights["eos_1"] + spoken[:, 0], atol=1e-5)


def test_a_part_of_two_phonemes_has_the_share_of_each():
    weights, (*_, spoken) = timed_outputs(np.array([[1.1, 3, 0, 0, 0, 0]] * 2, np.float32))
    first, second = conditions()[0][1][0, :2, 12:]
    parts = np.stack([*[first] * 4, 0.4 * first + 0.6 * second, *[second] * 7])  # of tokens 0 to 2
    np.testing.assert_allclose(spoken[0, 1], guess(weights, parts), atol=1e-4)


def test_durations_are_predicted_where_none_are_known():
    network = random_network("loa", LoaPrefix, TIMED)
    states, masks = ([framework.from_numpy(x) for x in part] for part in conditions())
    with framework.no_grad():
        durations = framework.to_numpy(network.durations(states, masks[1]))
    assert (durations > 0).sum(1).tolist() == [6, 4] and np.ptp(durations[0]) > 1e-3
    np.testing.assert_allclose(timed_outputs(durations)[1][2], timed_outputs()[1][2], atol=1e-6)


def test_the_first_guess_is_added_to_input_and_output_of_each_token():
    """GPT-2 that returns twice its input; what was added to the first input is in the prefix."""
    prefix, mask = np.ones((1, 3, 2), np.float32), np.ones((1, 3), np.float32)
    spoken = np.array([[[5, 5], [1, 2], [10, 20]]], np.float32)
    tokens = generate_loa(prefix, mask, lambda x, _: 2 * x, 3, np.concatenate, guess=spoken)
    assert tokens.tolist() == [[[7, 7], [17, 20], [64, 100]]]
    with pytest.raises(ValueError, match="cannot generate 4 LOA tokens, choose from 1 to 3"):
        generate_loa(prefix, mask, lambda x, _: 2 * x, 4, np.concatenate, guess=spoken)


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
