from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.models.phoneme_encoder import PhonemeEncoder
from tests.support import load_golden, random_network, relative_error, run

REDUCED = PhonemeEncoderConfig(
    vocab_size=40, hidden_size=24, num_layers=2, num_heads=2, feed_forward_size=32, window_size=3, max_phonemes=20
)
LENGTHS = (0, 1, 3, 13, 20)  # 0: nothing but padding; 3: all within the window


def phoneme_ids(config: PhonemeEncoderConfig, lengths: tuple[int, ...] = LENGTHS) -> np.ndarray:
    ids = np.random.default_rng(0).integers(1, config.vocab_size, (len(lengths), config.max_phonemes))
    return np.where(np.arange(config.max_phonemes) < np.array(lengths)[:, None], ids, 0)


@pytest.fixture(scope="module")
def network():
    return random_network("phoneme_encoder", PhonemeEncoder, REDUCED)


def test_matches_the_public_reference(network):
    states, mask = run(network, phoneme_ids(REDUCED))
    assert relative_error(states, load_golden("phoneme_encoder")["states"]) < 1e-5
    np.testing.assert_array_equal(mask, np.arange(REDUCED.max_phonemes) < np.array(LENGTHS)[:, None])
    assert mask.dtype == np.float32


def test_padding_alone_is_the_positional_table(network):
    states, mask = run(network, np.zeros((2, REDUCED.max_phonemes), np.int64))
    table = dict(network.named_parameters())["positions"].numpy()
    np.testing.assert_array_equal(states, np.repeat(table.transpose(0, 2, 1), 2, 0))
    assert not mask.any()


def test_the_batch_does_not_matter(network):
    ids = phoneme_ids(REDUCED)
    together, _ = run(network, ids)
    for row, expected in zip(ids, together, strict=True):
        np.testing.assert_allclose(run(network, row[None])[0][0], expected, atol=1e-5)


def test_a_padding_id_within_shortens_the_mask(network):
    # As in the published model: it counts ids, it does not look where they are.
    ids = phoneme_ids(REDUCED, (10,))
    ids[0, 4] = 0
    assert run(network, ids)[1].sum() == 9
