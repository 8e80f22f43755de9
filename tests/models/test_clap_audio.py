from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.config import ClapAudioConfig
from ppaudioldm.models.clap_audio import MASKED_SCORE, ClapAudio, shift_mask
from tests.support import load_golden, noise, random_network, relative_error, run

# Maps 16, 8 and 4 wide: two stages with shifted windows, one with a single window.
REDUCED = ClapAudioConfig(
    spec_size=64,
    n_mels=16,
    hidden_size=16,
    depths=(2, 2, 2),
    num_heads=(1, 2, 4),
    window_size=4,
    projection_dim=16,
)


def log_mel(config: ClapAudioConfig) -> np.ndarray:
    return noise(2, 1, config.spec_size**2 // config.n_mels, config.n_mels)


def test_matches_the_public_reference():
    embedding = run(random_network("clap_audio", ClapAudio, REDUCED), log_mel(REDUCED))
    assert relative_error(embedding, load_golden("clap_audio")["embedding"]) < 1e-5
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)


def test_batch_items_are_independent():
    network = random_network("clap_audio", ClapAudio, REDUCED)
    x = log_mel(REDUCED)
    np.testing.assert_allclose(run(network, x[1:]), run(network, x)[1:], atol=1e-6)


@pytest.mark.parametrize("width,window,shift", [(8, 4, 2), (16, 4, 2), (12, 4, 1), (12, 6, 5)])
def test_shift_mask_keeps_pairs_that_are_neighbours_without_the_shift(width, window, shift):
    """Where the cyclic shift puts two positions of the map as far apart, in both directions, as they are in the map."""
    mask = shift_mask(width, window, shift)[:, 0]
    before = np.roll(np.arange(width), -shift)  # the position in the map that is at each position after the shift
    windows = width // window
    for y, x in np.ndindex(windows, windows):
        rows, columns = np.divmod(np.arange(window**2), window)
        rows, columns = rows + y * window, columns + x * window

        def stays(positions: np.ndarray) -> np.ndarray:
            return before[positions][:, None] - before[positions] == positions[:, None] - positions

        expected = np.where(stays(rows) & stays(columns), 0, MASKED_SCORE)
        np.testing.assert_array_equal(mask[y * windows + x], expected)


@pytest.mark.parametrize("shape", [(1, 1, 255, 16), (1, 1, 256, 15), (1, 2, 256, 16), (1, 256, 16)])
def test_refuses_another_shape(shape):
    network = random_network("clap_audio", ClapAudio, REDUCED)
    with pytest.raises(ValueError, match=r"log_mel must be \(batch, 1, 256, 16\)"):
        run(network, np.zeros(shape, np.float32))


def test_refuses_a_map_that_cannot_be_folded_or_windowed():
    with pytest.raises(ValueError, match="spec_size 64 must be a multiple of n_mels 15"):
        ClapAudio(replace(REDUCED, n_mels=15))
    with pytest.raises(ValueError, match="window_size 3 must divide the map of stage 0, 16 wide"):
        ClapAudio(replace(REDUCED, window_size=3))
