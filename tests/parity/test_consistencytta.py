"""From prompt to latents, with the same weights in transformers' T5EncoderModel and diffusers' UNet2DConditionModel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.diffusion.noise import INITIAL, STEP, gaussian
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights import consistencytta
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.parity.references import give_weights
from tests.parity.test_unet import reference_network
from tests.support import CONSISTENCYTTA, RecordingEngine, relative_error

PROMPT, SEED, GUIDANCE = "A dog barks", 7, 3.0
SHAPE = (8, 8, 16)
# Heads as diffusers makes them of their number: 3 and 6 for 64 and 128 channels, 21 wide.
SMALL = replace(CONSISTENCYTTA, unet=replace(CONSISTENCYTTA.unet, head_dim=21))


def program(prompt: str, steps: int) -> np.ndarray:
    """The latents (1, 8, T, 16) of ConsistencyTTA's program, from the networks of both libraries."""
    checkpoint = random_checkpoint("consistencytta", SMALL, 0)
    weights = {network: dict(checkpoint.weights(network)) for network in ("unet", "flan_t5")}
    unet = reference_network(SMALL.unet, {"unet": weights["unet"]})
    t5 = SMALL.flan_t5
    with torch.device("meta"):
        encoder = transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=t5.vocab_size,
                d_model=t5.hidden_size,
                d_kv=t5.head_dim,
                d_ff=t5.feed_forward_size,
                num_layers=t5.num_layers,
                num_heads=t5.num_heads,
                feed_forward_proj="gated-gelu",
            )
        )
    unused = {"encoder.embed_tokens.weight"} & set(encoder.state_dict())
    encoder = give_weights(encoder, {"flan_t5": weights["flan_t5"]}, consistencytta.layout(SMALL), unused)
    encoder.encoder.embed_tokens.weight = encoder.shared.weight
    tokenizer = PromptTokenizer(checkpoint.tokenizer_json("flan_t5"), "FLAN-T5", 512, 0, t5.vocab_size)
    ids, mask = map(torch.from_numpy, tokenizer([prompt]))

    # The noise schedule of stabilityai/stable-diffusion-2-1, in float32 as there.
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    sigmas = ((1 - alphas) / alphas).sqrt().numpy()
    unet.guidance_scales = torch.tensor([GUIDANCE])
    latents = torch.zeros(1, *SHAPE)
    with torch.no_grad():
        states = encoder(ids, attention_mask=mask).last_hidden_state
        for i, t in enumerate(np.linspace(999, 0, steps)):
            sigma = float(np.interp(t, np.arange(1000), sigmas))
            draw = torch.from_numpy(
                gaussian(SHAPE, [SEED], INITIAL) if i == 0 else gaussian(SHAPE, [SEED], STEP, i - 1)
            )
            z = latents + sigma * draw
            inputs = z / (sigma**2 + 1) ** 0.5
            latents = unet(inputs, torch.tensor([t]), states, encoder_attention_mask=mask).sample
    return latents.numpy()


@pytest.mark.parametrize("steps", [1, 3])
def test_latents_are_those_of_the_program(steps):
    checkpoint = random_checkpoint("consistencytta", SMALL, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    settings = {"duration": 0.32, "num_inference_steps": steps, "guidance_scale": GUIDANCE, "seed": SEED}
    pipeline.generate(PROMPT, **settings)
    ((decoded,), _), *_ = pipeline.engine.of("vae_decoder")
    latents = framework.to_numpy(decoded) * SMALL.vae.scale_factor
    error = relative_error(latents, program(PROMPT, steps))
    print(f"ConsistencyTTA in {steps} steps on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-5
