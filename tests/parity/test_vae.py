"""Against diffusers' AutoencoderKL."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import ModelConfig, VAEConfig
from ppaudioldm.weights import diffusers
from tests.models.test_vae import CONFIGS, make_latents, make_mel
from tests.parity.references import Weights, build, give_weights, make_weights
from tests.support import relative_error, run, save_golden


def reference_network(config: VAEConfig, weights: Weights) -> AutoencoderKL:
    levels = len(config.channel_mult)
    with torch.device("meta"):
        reference = AutoencoderKL(
            in_channels=1,
            out_channels=1,
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            block_out_channels=[config.channels * mult for mult in config.channel_mult],
            layers_per_block=config.num_res_blocks,
            latent_channels=config.latent_channels,
        )
    return give_weights(reference, weights, diffusers.layout(replace(ModelConfig(), vae=config)))


CASES = {
    **{f"reduced {name}": config for name, config in CONFIGS.items()},
    "full 16k": CHECKPOINTS["audioldm2-full"].config.vae,
    "full 48k": CHECKPOINTS["audioldm_48k"].config.vae,
}


@pytest.mark.parametrize("case", CASES)
def test_vae(case, request):
    model = replace(ModelConfig(), vae=CASES[case])
    weights = make_weights(model, "vae_encoder", "vae_decoder")
    reference = reference_network(model.vae, weights)
    mel, latents = make_mel(model.vae), make_latents(model.vae)
    with torch.no_grad():
        posterior = reference.encode(torch.from_numpy(mel)[:, None]).latent_dist
        expected = {
            "mean": posterior.mean.numpy(),
            "log_variance": posterior.logvar.numpy(),
            "mel": reference.decode(torch.from_numpy(latents)).sample[:, 0].numpy(),
        }
    encoder, decoder = build(model, weights)
    actual = dict(zip(("mean", "log_variance"), run(encoder, mel), strict=True))
    actual["mel"] = run(decoder, latents)
    for name, array in expected.items():
        error = relative_error(actual[name], array)
        print(f"vae {case} {name} on {framework.NAME}: relative error {error:.1e}")
        assert error <= 1e-4
    if case.startswith("reduced") and request.config.getoption("--write-golden"):
        save_golden(f"vae_{case.split()[1]}", **expected)
