from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.models.audiomae import AudioMAE
from tests.support import load_golden, noise, random_network, relative_error, run

# A grid of 8 x 4 patches, so that tokens have an order in both directions; more layers than are averaged.
REDUCED = AudioMAEConfig(n_mels=16, frames=32, patch_size=4, hidden_size=24, num_layers=4, num_heads=3, pooling=2)
SPEECH = replace(REDUCED, pooling=1)


def fbank(config: AudioMAEConfig) -> np.ndarray:
    return noise(2, config.frames, config.n_mels)


@pytest.mark.parametrize("name, config", [("tokens", REDUCED), ("speech_tokens", SPEECH)])
def test_matches_the_public_reference(name, config):
    tokens = run(random_network("audiomae", AudioMAE, config), fbank(config))
    assert relative_error(tokens, load_golden("audiomae")[name]) < 1e-5


def test_a_token_lies_between_average_and_maximum_of_its_patches():
    tokens = run(random_network("audiomae", AudioMAE, REDUCED), fbank(REDUCED))
    patches = run(random_network("audiomae", AudioMAE, SPEECH), fbank(REDUCED)).reshape(2, 8, 4, 24)
    assert tokens.shape == (2, 8, 24)
    second = patches[:, :2, 2:].reshape(2, 4, 24)  # time-major: the same moment, higher frequencies
    np.testing.assert_allclose(tokens[:, 1], (second.mean(1) + second.max(1)) / 2, atol=1e-6)


def test_batch_items_are_independent():
    network = random_network("audiomae", AudioMAE, REDUCED)
    x = fbank(REDUCED)
    np.testing.assert_allclose(run(network, x[1:]), run(network, x)[1:], atol=1e-5)


def test_published_sizes():
    with framework.empty_weights():
        shapes = framework.parameter_shapes(AudioMAE(AudioMAEConfig()))
    assert shapes["positions"] == (1, 513, 768)
    assert shapes["patch_embed.weight"] == (768, 1, 16, 16)
    assert sum(np.prod(shape) for shape in shapes.values()) == 85_648_128


@pytest.mark.parametrize("shape", [(1, 31, 16), (1, 32, 15), (1, 16, 32), (32, 16), (1, 1, 32, 16)])
def test_refuses_another_shape(shape):
    network = random_network("audiomae", AudioMAE, REDUCED)
    with pytest.raises(ValueError, match=r"fbank must be \(batch, 32, 16\), got \["):
        run(network, np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_layers": 2}, "num_layers must be 3 or more, got 2"),
        ({"frames": 36}, r"frames 36 must be a multiple of patch_size \* pooling 8"),
        ({"n_mels": 20}, r"n_mels 20 must be a multiple of patch_size \* pooling 8"),
    ],
)
def test_refuses_a_configuration_that_makes_no_sense(wrong, message):
    with pytest.raises(ValueError, match=message):
        AudioMAE(replace(REDUCED, **wrong))
