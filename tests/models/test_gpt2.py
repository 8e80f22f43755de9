from __future__ import annotations

import numpy as np

from ppaudioldm.config import GPT2Config
from ppaudioldm.loa_generation import empty_cache
from ppaudioldm.models.gpt2 import GPT2
from tests.support import load_golden, noise, random_network, relative_error, run

REDUCED = GPT2Config(hidden_size=32, num_layers=2, num_heads=4, max_positions=24)


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
    whole, all_added = run(network, embeddings, mask, empty_cache(REDUCED, 2))
    cache, parts = empty_cache(REDUCED, 2), []
    for start, end in ((0, 5), (5, 8), (8, 9), (9, 12)):
        hidden, added = run(network, embeddings[:, start:end], mask[:, :end], cache)
        cache = np.concatenate([cache, added], 4)
        parts.append(hidden)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)
    np.testing.assert_allclose(cache, all_added, atol=1e-5)


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
