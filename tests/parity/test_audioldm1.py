"""From prompt to waveform against diffusers' AudioLDMPipeline, on a diffusers folder that the product wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
import transformers

from ppaudioldm import compat, framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.convert import write_random
from tests.support import AUDIOLDM1, noise, relative_error

PROMPT, NEGATIVE, STEPS, GUIDANCE = "A dog barks", "music", 5, 2.5
SECONDS = 0.32
SHAPE = (1, 8, 8, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("audioldm1") / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, "untrained", replace(CHECKPOINTS["untrained"], config=AUDIOLDM1))
        write_random("untrained", path, "diffusers", seed=0)
    return path


@pytest.fixture(scope="module")
def reference(folder) -> diffusers.AudioLDMPipeline:
    """diffusers' own, with our tokenizer: that of random weights is no file that transformers reads."""
    config = open_checkpoint(folder).config.clap_text
    text = open_checkpoint(folder).tokenizer_json("clap")
    tokenizer = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)

    class Tokenizer:
        model_max_length = CLAP_MAX_TOKENS

        def __call__(self, texts: list[str] | str, **_: object) -> SimpleNamespace:
            ids, mask = tokenizer([texts] if isinstance(texts, str) else texts)
            return SimpleNamespace(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))

    load = {
        "vae": diffusers.AutoencoderKL,
        "unet": diffusers.UNet2DConditionModel,
        "vocoder": transformers.SpeechT5HifiGan,
        "text_encoder": transformers.ClapTextModelWithProjection,
        "scheduler": diffusers.DDIMScheduler,
    }
    parts = {name: cls.from_pretrained(folder / name) for name, cls in load.items()}
    pipeline = diffusers.AudioLDMPipeline(tokenizer=transformers.RobertaTokenizerFast(vocab=None), **parts)
    pipeline.tokenizer = Tokenizer()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def from_reference(reference: diffusers.AudioLDMPipeline, latents: np.ndarray) -> np.ndarray:
    return reference(
        PROMPT,
        negative_prompt=NEGATIVE,
        audio_length_in_s=SECONDS,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=torch.from_numpy(latents),
    ).audios


def test_the_product(folder, reference):
    from ppaudioldm.diffusion.noise import gaussian

    pipeline = AudioLDM.from_pretrained(folder, engine="eager", device="cpu", precision="f32")
    settings = {"duration": SECONDS, "num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "seed": 7}
    clip = pipeline.generate(PROMPT, negative_prompt=NEGATIVE, sampler="ddim", eta=0.0, **settings)
    error = relative_error(clip.waveforms, from_reference(reference, gaussian(SHAPE[1:], [7])))
    print(f"AudioLDM 1 on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-5


def test_under_diffusers_names(folder, reference):
    latents = noise(*SHAPE)
    pipeline = compat.AudioLDMPipeline.from_pretrained(folder, engine="eager")
    actual = pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        audio_length_in_s=SECONDS,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=torch.from_numpy(latents),
    ).audios
    assert relative_error(actual, from_reference(reference, latents)) <= 1e-5
