from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import VAEConfig
from ppaudioldm.models.vae import LOG_VARIANCE_RANGE, VAEDecoder, VAEEncoder
from tests.support import load_golden, noise, random_network, relative_error, run

REDUCED = VAEConfig(channels=32, latent_channels=4, n_mels=16)
REDUCED_48K = VAEConfig(channels=32, channel_mult=(1, 2, 4, 8), num_res_blocks=1, latent_channels=6, n_mels=32)
CONFIGS = {"16k": REDUCED, "48k": REDUCED_48K}


def make_encoder(config: VAEConfig) -> VAEEncoder:
    return random_network("vae_encoder", VAEEncoder, config)


def make_decoder(config: VAEConfig) -> VAEDecoder:
    return random_network("vae_decoder", VAEDecoder, config)


def make_mel(config: VAEConfig, frames: int = 16) -> np.ndarray:
    return noise(2, frames, config.n_mels)


def make_latents(config: VAEConfig, frames: int = 4) -> np.ndarray:
    return noise(2, config.latent_channels, frames, config.n_mels // config.downsampling)


@pytest.mark.parametrize("name", CONFIGS)
def test_encoder_matches_the_public_reference(name):
    mean, log_variance = run(make_encoder(CONFIGS[name]), make_mel(CONFIGS[name]))
    golden = load_golden(f"vae_{name}")
    assert relative_error(mean, golden["mean"]) < 1e-5
    assert relative_error(log_variance, golden["log_variance"]) < 1e-5


@pytest.mark.parametrize("name", CONFIGS)
def test_decoder_matches_the_public_reference(name):
    mel = run(make_decoder(CONFIGS[name]), make_latents(CONFIGS[name]))
    assert relative_error(mel, load_golden(f"vae_{name}")["mel"]) < 1e-5


@pytest.mark.parametrize("name,frames", [("16k", 4), ("16k", 20), ("48k", 8), ("48k", 24)])
def test_shapes(name, frames):
    config = CONFIGS[name]
    latents = (2, config.latent_channels, frames // config.downsampling, config.n_mels // config.downsampling)
    mean, log_variance = run(make_encoder(config), make_mel(config, frames))
    assert mean.shape == log_variance.shape == latents
    assert run(make_decoder(config), mean).shape == (2, frames, config.n_mels)


def test_log_variance_is_clamped():
    network = make_encoder(REDUCED)
    weights = {name: framework.to_numpy(value) for name, value in network.named_parameters()}
    lowest, highest = LOG_VARIANCE_RANGE
    assert (lowest, highest) == (-30, 20)
    channels = REDUCED.latent_channels
    weights["quant_conv.bias"][:] = 100
    weights["quant_conv.bias"][channels] = -100
    framework.assign_weights(network, weights.items())
    mean, log_variance = run(network, make_mel(REDUCED))
    assert (log_variance[:, 0] == lowest).all() and (log_variance[:, 1:] == highest).all()
    assert mean.min() > highest  # means are not clamped


def test_items_of_a_batch_do_not_meet():
    encoder, decoder = make_encoder(REDUCED), make_decoder(REDUCED)
    mel, latents = make_mel(REDUCED), make_latents(REDUCED)
    mean, decoded = run(encoder, mel)[0], run(decoder, latents)
    for i in range(2):
        np.testing.assert_allclose(run(encoder, mel[i : i + 1])[0], mean[i : i + 1], atol=1e-5)
        np.testing.assert_allclose(run(decoder, latents[i : i + 1]), decoded[i : i + 1], atol=1e-5)


def test_scale_factor_is_left_to_the_caller():
    latents = make_latents(REDUCED)
    scaled = make_decoder(replace(REDUCED, scale_factor=3.0))
    np.testing.assert_array_equal(run(scaled, latents), run(make_decoder(REDUCED), latents))
