"""The linear map from LOA tokens to latents, and the errors of latents that errors of tokens make."""

import numpy as np

from ppaudioldm import framework
from ppaudioldm.training.latent_map import latent_error, latent_map
from tests.support import noise

TOKENS, SIZE, CHANNELS, BANDS, FRAMES = 8, 6, 3, 2, 2  # two latent frames a token


def clips(count):
    """Tokens, and latents that depend on them and on the tokens after them, but not on the last two channels."""
    tokens = noise(count, TOKENS, SIZE)
    later = np.concatenate([tokens[:, 1:], np.zeros((count, 1, SIZE), np.float32)], 1)
    weights = noise(2, SIZE, FRAMES * CHANNELS * BANDS, seed=1)
    weights[:, -2:] = 0
    values = tokens @ weights[0] + later @ weights[1] + 5
    return tokens, values.reshape(count, TOKENS * FRAMES, CHANNELS, BANDS).transpose(0, 2, 1, 3), weights


def test_the_map_is_that_of_the_latents():
    tokens, latents, weights = clips(2000)
    found = latent_map(tokens, latents)
    assert found.shape == (3, SIZE, FRAMES * CHANNELS * BANDS) and found.dtype == np.float32
    np.testing.assert_allclose(found, [np.zeros_like(weights[0]), *weights], atol=0.02)


def test_errors_count_by_what_they_change():
    tokens, latents, weights = clips(2000)
    found = framework.from_numpy(latent_map(tokens, latents))
    errors = np.zeros((1, TOKENS, SIZE), np.float32)
    errors[0, 3, 0], errors[0, :, -1] = 1, 1  # the second is an error that the latents do not depend on
    squares = framework.to_numpy(latent_error(framework.from_numpy(errors), found))
    assert squares.shape == (1, TOKENS, FRAMES * CHANNELS * BANDS)
    expected = np.zeros_like(squares)
    expected[0, 2], expected[0, 3] = weights[1, 0] ** 2, weights[0, 0] ** 2
    np.testing.assert_allclose(squares, expected, atol=0.2)
    assert squares[0, 3].max() > 1
