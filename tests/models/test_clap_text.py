from __future__ import annotations

import numpy as np

from ppaudioldm.config import ClapTextConfig
from ppaudioldm.models.clap_text import ClapText
from tests.support import load_golden, random_network, relative_error, run

REDUCED = ClapTextConfig(
    vocab_size=99,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    intermediate_size=64,
    max_positions=40,
    projection_dim=16,
)


def token_ids(config: ClapTextConfig, length: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Two prompts, the second padded to the first."""
    ids = np.random.default_rng(0).integers(2, config.vocab_size, (2, length))
    mask = np.ones(ids.shape, np.float32)
    ids[1, 5:], mask[1, 5:] = config.pad_token_id, 0
    return ids, mask


def test_matches_the_public_reference():
    network = random_network("clap_text", ClapText, REDUCED)
    embedding = run(network, *token_ids(REDUCED))
    assert relative_error(embedding, load_golden("clap_text")["embedding"]) < 1e-5
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)


def test_padding_does_not_matter():
    network = random_network("clap_text", ClapText, REDUCED)
    ids, mask = token_ids(REDUCED)
    embedding = run(network, ids, mask)
    ids[1, 5:] = 7
    np.testing.assert_allclose(run(network, ids, mask), embedding, atol=1e-6)
    np.testing.assert_allclose(run(network, ids[1:, :5], mask[1:, :5]), embedding[1:], atol=1e-6)


def test_longest_prompt_fits():
    ids, mask = token_ids(REDUCED, length=REDUCED.max_positions - 2)
    assert np.isfinite(run(random_network("clap_text", ClapText, REDUCED), ids, mask)).all()
