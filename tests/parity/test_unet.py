"""Against diffusers' AudioLDM2UNet2DConditionModel; AudioLDM 1's and ConsistencyTTA's against UNet2DConditionModel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel, UNet2DConditionModel
from diffusers.models.embeddings import GaussianFourierProjection, TimestepEmbedding

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.weights import diffusers
from tests.models.test_unet import (
    BASE,
    CHANGED_TIMESTEPS,
    TIMESTEPS,
    VARIANTS,
    Inputs,
    changed_inputs,
    make_inputs,
    predict,
)
from tests.parity.references import Weights, build, give_weights, make_weights
from tests.support import relative_error, save_golden


def reference_network(config: UNetConfig, weights: Weights) -> torch.nn.Module:
    widths = [config.model_channels * mult for mult in config.channel_mult]
    attends = [level in config.attention_levels for level in range(len(widths))]
    film = {
        "class_embed_type": "simple_projection",
        "class_embeddings_concat": True,
        "projection_class_embeddings_input_dim": config.film_dim,
    }
    reference_class: type = AudioLDM2UNet2DConditionModel
    contexts: list | int | None = [[None, *config.context_dims] for _ in widths]
    linear = {}
    if config.is_audioldm1:
        reference_class, contexts = UNet2DConditionModel, widths
    if config.transformers == "tango":
        reference_class, contexts, linear = (
            UNet2DConditionModel,
            config.context_dims[0],
            {"use_linear_projection": True},
        )
    with torch.device("meta"):
        reference = reference_class(
            in_channels=config.in_channels,
            out_channels=config.in_channels,
            down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
            up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
            block_out_channels=widths,
            layers_per_block=config.num_res_blocks,
            transformer_layers_per_block=config.transformer_depth,
            cross_attention_dim=contexts,
            attention_head_dim=[width // config.head_dim for width in widths],  # a number of heads, despite its name
            **(film if config.film_dim else {}),
            **linear,
        )
        if config.guidance_dim:
            add_guidance(reference, config)
    return give_weights(reference, weights, diffusers.layout(replace(ModelConfig(), unet=config)))


def add_guidance(reference: torch.nn.Module, config: UNetConfig) -> None:
    """ConsistencyTTA's: parts of diffusers, whose embedding of `guidance_scales` is added to that of the timestep."""
    reference.guidance_proj = GaussianFourierProjection(config.guidance_dim // 2, log=False, flip_sin_to_cos=True)
    reference.guidance_embedding = TimestepEmbedding(config.guidance_dim, config.time_embed_dim)

    def with_guidance(_: torch.nn.Module, __: tuple, embedding: torch.Tensor) -> torch.Tensor:
        return embedding + reference.guidance_embedding(reference.guidance_proj(reference.guidance_scales))

    reference.time_embedding.register_forward_hook(with_guidance)


def reference_noise(reference: torch.nn.Module, inputs: Inputs, timesteps: np.ndarray = TIMESTEPS) -> np.ndarray:
    film = None if inputs.film is None else torch.from_numpy(inputs.film)
    if isinstance(reference, UNet2DConditionModel):
        states, mask = ([torch.from_numpy(x) for x in arrays] or [None] for arrays in (inputs.contexts, inputs.masks))
        if inputs.scales is not None:
            reference.guidance_scales = torch.from_numpy(inputs.scales[:, 0])
        with torch.no_grad():
            latents, t = torch.from_numpy(inputs.latents), torch.from_numpy(timesteps)
            output = reference(latents, t, states[0], class_labels=film, encoder_attention_mask=mask[0])
        return output.sample.numpy()
    contexts, masks = ([torch.from_numpy(x) for x in arrays] for arrays in (inputs.contexts, inputs.masks))
    contexts += [None] * (2 - len(contexts))
    masks += [None] * (2 - len(masks))
    with torch.no_grad():
        output = reference(
            torch.from_numpy(inputs.latents),
            torch.from_numpy(timesteps),
            contexts[0],
            class_labels=film,
            encoder_attention_mask=masks[0],
            encoder_hidden_states_1=contexts[1],
            encoder_attention_mask_1=masks[1],
        )
    return output.sample.numpy()


def measured_error(name: str, config: UNetConfig, inputs: Inputs) -> tuple[float, np.ndarray]:
    weights = make_weights(replace(ModelConfig(), unet=config), "unet")
    expected = reference_noise(reference_network(config, weights), inputs)
    (network,) = build(replace(ModelConfig(), unet=config), weights)
    del weights
    error = relative_error(predict(network, inputs), expected)
    print(f"unet {name} on {framework.NAME}: relative error {error:.1e}")
    return error, expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_reduced(variant, request):
    config = VARIANTS[variant]
    error, expected = measured_error(f"reduced {variant}", config, make_inputs(config))
    assert error <= 1e-4
    if request.config.getoption("--write-golden"):
        save_golden(f"unet_{variant}", noise_pred=expected)


def test_each_changed_input(request):
    weights = make_weights(replace(ModelConfig(), unet=BASE), "unet")
    reference = reference_network(BASE, weights)
    (network,) = build(replace(ModelConfig(), unet=BASE), weights)
    expected = {}
    for changed, inputs in changed_inputs().items():
        timesteps = CHANGED_TIMESTEPS if changed == "timestep" else TIMESTEPS
        expected[changed] = reference_noise(reference, inputs, timesteps)
        assert relative_error(predict(network, inputs), expected[changed]) <= 1e-4
    if request.config.getoption("--write-golden"):
        save_golden("unet_changed", **expected)


@pytest.mark.parametrize(
    "checkpoint,frames",
    [
        ("audioldm2-full", 32),
        ("audioldm2-full-large-1150k", 8),
        ("audioldm_48k", 16),
        ("audioldm-s-full", 16),
        ("audioldm-m-full", 16),
        ("audioldm-l-full", 8),
        ("consistencytta", 8),
    ],
)
def test_full(checkpoint, frames):
    model = CHECKPOINTS[checkpoint].config
    inputs = make_inputs(model.unet, frames, model.latent_bands, lengths=(8, 20))
    assert measured_error(f"full {checkpoint}", model.unet, inputs)[0] <= 1e-4
