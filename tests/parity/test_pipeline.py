"""From prompt to waveform against diffusers and transformers, on a diffusers folder that the product wrote."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
)
from transformers import ClapModel, GPT2Model, SpeechT5HifiGan, T5EncoderModel

from ppaudioldm import framework
from ppaudioldm.diffusion.noise import gaussian
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS, T5_PAD
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.convert import write_random
from tests.parity.test_gpt2 import reference_tokens
from tests.support import RecordingEngine, relative_error, save_golden
from tests.test_pipeline import DEFAULT_OPTIONS, GOLDEN_OPTIONS, PROMPTS, recorded_stages

GUIDANCE, SEED, DURATION = 3.5, 7, 0.32  # of both options


def token_ids(folder: Path, kind: str, prompt: str) -> list[torch.Tensor]:
    """Ids and mask, by the product's tokenizers."""
    checkpoint = open_checkpoint(folder)
    text, config = checkpoint.tokenizer_json(kind), checkpoint.config
    if kind == "clap":
        tokenizer = PromptTokenizer(
            text, "CLAP", CLAP_MAX_TOKENS, config.clap_text.pad_token_id, config.clap_text.vocab_size
        )
    else:
        tokenizer = PromptTokenizer(text, "FLAN-T5", config.flan_t5.max_tokens, T5_PAD, config.flan_t5.vocab_size)
    return [torch.from_numpy(array) for array in tokenizer([prompt])]


def reference_conditions(folder: Path, prompts: Sequence[str]) -> dict[str, list[np.ndarray]]:
    """For each of `prompts` its LOA tokens and FLAN-T5 states, and the states of an empty prompt."""
    clap = ClapModel.from_pretrained(folder / "text_encoder")
    t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_2")
    projection = AudioLDM2ProjectionModel.from_pretrained(folder / "projection_model")
    gpt2 = GPT2Model.from_pretrained(folder / "language_model")
    loa, all_states = [], []
    for prompt in prompts:
        ids, mask = token_ids(folder, "clap", prompt)
        embedding = clap.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
        ids, mask = token_ids(folder, "flan_t5", prompt)
        states = t5(input_ids=ids, attention_mask=mask).last_hidden_state
        prefix = projection(embedding[:, None], states, torch.ones(1, 1), mask)
        embeddings, mask = prefix.hidden_states.numpy(), prefix.attention_mask.numpy()
        loa.append(reference_tokens(gpt2, embeddings, mask, gpt2.config.max_new_tokens))
        all_states.append(states.numpy())
    empty = t5(*token_ids(folder, "flan_t5", "")).last_hidden_state.numpy()
    return {"loa": loa, "states": all_states, "empty": [empty]}


def reference_scheduler(folder: Path, sampler: str) -> tuple[Any, int]:
    """diffusers' scheduler for a sampler of ours, and the steps of the options that use it."""
    if sampler == "ddim":
        return DDIMScheduler.from_pretrained(folder / "scheduler"), GOLDEN_OPTIONS["num_inference_steps"]
    betas = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear"}
    # "lu lambdas" are our spacing "log-snr".
    return DPMSolverMultistepScheduler(**betas, algorithm_type="dpmsolver++", solver_order=2, use_lu_lambdas=True), 10


def reference_latents(
    folder: Path, conditions: dict[str, list[np.ndarray]], noise: np.ndarray, sampler: str
) -> list[np.ndarray]:
    """Each prompt alone and two calls of the UNet a step, so that nothing is padded."""
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(folder / "unet")

    def predict(latents: torch.Tensor, t: torch.Tensor, loa: np.ndarray, states: np.ndarray) -> torch.Tensor:
        return unet(latents, t, torch.from_numpy(loa), encoder_hidden_states_1=torch.from_numpy(states)).sample

    results = []
    for loa, states in zip(conditions["loa"], conditions["states"], strict=True):
        scheduler, steps = reference_scheduler(folder, sampler)
        scheduler.set_timesteps(steps)
        latents = torch.from_numpy(noise)
        for t in scheduler.timesteps:
            unconditional = predict(latents, t, np.zeros_like(loa), conditions["empty"][0])
            guided = unconditional + GUIDANCE * (predict(latents, t, loa, states) - unconditional)
            latents = scheduler.step(guided, t, latents).prev_sample
        results.append(latents.numpy())
    return results


@torch.no_grad()
def reference_stages(
    folder: Path, prompts: Sequence[str], latent_shape: tuple[int, int, int], sampler: str = "ddim"
) -> dict[str, np.ndarray]:
    conditions = reference_conditions(folder, prompts)
    gc.collect()
    latents = np.concatenate(reference_latents(folder, conditions, gaussian(latent_shape, [SEED]), sampler))
    gc.collect()
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    mel = vae.decode(torch.from_numpy(latents) / vae.config.scaling_factor).sample.squeeze(1)
    vocoder = SpeechT5HifiGan.from_pretrained(folder / "vocoder")
    samples = round(DURATION * vocoder.config.sampling_rate)
    return {
        "loa": np.concatenate(conditions["loa"]),
        "states": np.concatenate([states[0] for states in conditions["states"]]),
        "empty": conditions["empty"][0],
        "latents": latents,
        "mel": mel.numpy(),
        "waveform": vocoder(mel)[:, :samples].numpy(),
    }


@pytest.mark.parametrize("name,prompts", [("untrained", PROMPTS), ("audioldm2-full", PROMPTS[:1])])
def test_pipeline(name, prompts, request):
    with tempfile.TemporaryDirectory() as parent:  # gigabytes: gone even if the test fails, unlike tmp_path
        folder = Path(parent) / name
        write_random(name, folder, "diffusers", seed=0)
        config = open_checkpoint(folder).config
        actual = recorded_stages(RecordingEngine(open_checkpoint(folder)), prompts)
        gc.collect()
        expected = reference_stages(folder, prompts, (config.vae.latent_channels, 8, config.latent_bands))
    errors = {stage: relative_error(actual[stage], expected[stage]) for stage in expected}
    print(f"pipeline {name} on {framework.NAME}: " + ", ".join(f"{s} {error:.1e}" for s, error in errors.items()))
    limits = {"latents": 1e-3, "mel": 1e-3, "waveform": 1e-3}
    assert all(error <= limits.get(stage, 1e-4) for stage, error in errors.items()), errors
    if name == "untrained" and request.config.getoption("--write-golden"):
        save_golden("pipeline_tiny", **expected)


def test_default_settings(tmp_path, request):
    """DPM-Solver++ with 10 steps."""
    folder = tmp_path / "untrained"
    write_random("untrained", folder, "diffusers", seed=0)
    config = open_checkpoint(folder).config
    actual = recorded_stages(RecordingEngine(open_checkpoint(folder)), PROMPTS, DEFAULT_OPTIONS)
    expected = reference_stages(folder, PROMPTS, (config.vae.latent_channels, 8, config.latent_bands), "dpm++")
    errors = {stage: relative_error(actual[stage], expected[stage]) for stage in ("latents", "mel", "waveform")}
    print(f"default settings on {framework.NAME}: " + ", ".join(f"{s} {error:.1e}" for s, error in errors.items()))
    assert all(error <= 1e-3 for error in errors.values()), errors
    if request.config.getoption("--write-golden"):
        save_golden("pipeline_default", **{stage: expected[stage] for stage in errors})
