from __future__ import annotations

import numpy as np

from ppaudioldm.config import T5Config
from ppaudioldm.models.flan_t5 import FlanT5Encoder, relative_buckets
from tests.support import load_golden, random_network, relative_error, run

# An inner width other than the hidden size, and a sequence longer than the largest distance.
REDUCED = T5Config(vocab_size=99, hidden_size=24, num_layers=2, num_heads=4, head_dim=8, feed_forward_size=40)
LENGTH = 150


def token_ids(config: T5Config, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Two prompts, the second padded to the first."""
    ids = np.random.default_rng(0).integers(2, config.vocab_size, (2, length))
    mask = np.ones(ids.shape, np.float32)
    ids[1, length // 2 :], mask[1, length // 2 :] = 0, 0
    return ids, mask


def test_matches_the_public_reference():
    states = run(random_network("flan_t5", FlanT5Encoder, REDUCED), *token_ids(REDUCED))
    assert relative_error(states[0], load_golden("flan_t5")["states"]) < 1e-5


def test_padding_does_not_matter():
    network = random_network("flan_t5", FlanT5Encoder, REDUCED)
    ids, mask = token_ids(REDUCED)
    states = run(network, ids, mask)[1, : LENGTH // 2]
    ids[1, LENGTH // 2 :] = 7
    np.testing.assert_allclose(run(network, ids, mask)[1, : LENGTH // 2], states, atol=1e-5)
    alone = run(network, ids[1:, : LENGTH // 2], mask[1:, : LENGTH // 2])
    np.testing.assert_allclose(alone[0], states, atol=1e-5)


def test_one_token():
    ids = np.array([[1]])
    states = run(random_network("flan_t5", FlanT5Encoder, REDUCED), ids, np.ones((1, 1), np.float32))
    assert states.shape == (1, 1, REDUCED.hidden_size)


def test_buckets_of_every_distance_match_the_public_reference():
    buckets = relative_buckets(np.arange(-512, 513), 32, 128)
    np.testing.assert_array_equal(buckets, load_golden("flan_t5")["buckets"])
