from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppaudioldm.config import GPT2Config, ModelConfig
from ppaudioldm.engines.states import empty_states
from ppaudioldm.models.gpt2 import GPT2
from tests.support import load_golden, noise, random_network, relative_error, run

REDUCED = GPT2Config(hidden_size=32, num_layers=2, num_heads=4, max_positions=24)


def empty_cache(config: GPT2Config, batch: int) -> list[np.ndarray]:
    return empty_states("gpt2", replace(ModelConfig(), gpt2=config), batch)


def sequence(config: GPT2Config, length: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and a mask with padding inside, as conditions have it."""
    mask = np.ones((2, length), np.float32)
    mask[1, 4:7] = 0
    return noise(2, length, config.hidden_size), mask


def test_matches_the_public_reference():
    embeddings, mask = sequence(REDUCED)
    hidden, _ = run(random_network("gpt2", GPT2, REDUCED), embeddings, mask, empty_cache(REDUCED, 2))
    assert relative_error(hidden, load_golden("gpt2")["hidden"]) < 1e-5


def test_the_cache_changes_nothing():
    network = random_network("gpt2", GPT2, REDUCED)
    embeddings, mask = sequence(REDUCED)
    whole, expected = run(network, embeddings, mask, empty_cache(REDUCED, 2))
    cache, parts = empty_cache(REDUCED, 2), []
    for start, end in ((0, 5), (5, 8), (8, 9), (9, 12)):
        hidden, cache = run(network, embeddings[:, start:end], mask[:, :end], cache)
        parts.append(hidden)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)
    assert len(cache) == 2 * REDUCED.num_layers
    for kept, at_once in zip(cache, expected, strict=True):
        np.testing.assert_allclose(kept, at_once, atol=1e-5)


def test_what_is_masked_or_yet_to_come_does_not_matter():
    network = random_network("gpt2", GPT2, REDUCED)
    embeddings, mask = sequence(REDUCED)
    hidden, _ = run(network, embeddings, mask, empty_cache(REDUCED, 2))
    embeddings[1, 4:7] += 1
    embeddings[:, 10:] += 1
    changed, _ = run(network, embeddings, mask, empty_cache(REDUCED, 2))
    np.testing.assert_allclose(changed[1, 7:10], hidden[1, 7:10], atol=1e-6)
    np.testing.assert_allclose(changed[0, :10], hidden[0, :10], atol=1e-6)


def test_longest_sequence_fits():
    embeddings, mask = sequence(REDUCED, REDUCED.max_positions)
    hidden, _ = run(random_network("gpt2", GPT2, REDUCED), embeddings, mask, empty_cache(REDUCED, 2))
    assert np.isfinite(hidden).all()
