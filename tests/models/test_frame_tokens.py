"""LOA tokens that are added to the frames of their time."""

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import UNetConfig
from ppaudioldm.models.frame_tokens import FrameTokens
from tests.support import noise, random_network

CONFIG = UNetConfig(model_channels=6, context_dims=(None, 5), loa_frames=2, loa_bands=3)


@pytest.mark.parametrize("frames", [8, 5, 11])
def test_each_band_of_a_frame_gets_a_projection_of_the_token_of_its_time(frames):
    network = random_network("unet", FrameTokens, CONFIG)
    matrix = framework.to_numpy(network.projection.weight)
    x, tokens = noise(2, 6, frames, 3), noise(2, 4, 5, seed=1)
    with framework.no_grad():
        projected = network.projection(framework.from_numpy(tokens))
        found = framework.to_numpy(network(framework.from_numpy(x), projected)) - x
    for frame in range(frames):
        for band in range(3):
            weights = matrix[6 * band : 6 * band + 6]
            expected = tokens[:, frame // 2] @ weights.T if frame < 8 else np.zeros((2, 6))
            np.testing.assert_allclose(found[:, :, frame, band], expected, atol=1e-5)


def test_tokens_of_zeros_add_nothing():
    network = random_network("unet", FrameTokens, CONFIG)
    x = framework.from_numpy(noise(1, 6, 8, 3))
    with framework.no_grad():
        added = network(x, network.projection(framework.from_numpy(np.zeros((1, 4, 5), np.float32))))
    assert np.array_equal(framework.to_numpy(added), framework.to_numpy(x))
