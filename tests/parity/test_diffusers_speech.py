"""A speech folder that the product wrote, read by diffusers' and transformers' own classes: their LOA and ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel, AutoencoderKL
from transformers import ClapModel, GPT2Model, SpeechT5HifiGan, VitsModel

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.text.phonemes import phoneme_ids
from ppaudioldm.weights import convert
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from tests.parity.test_gpt2 import reference_tokens
from tests.parity.test_pipeline import token_ids
from tests.support import relative_error
from tests.test_every_checkpoint import SMALL

NAME = "anhnct/audioldm2_gigaspeech"
SPEAKER, WORDS = "A man speaks", "wˈɪʃ juː hæv ɐ ɡˈʊd dˈeɪ"
UNUSED = ("text_encoder.project", "flow.", "decoder.", "posterior_encoder.", "duration_predictor.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, NAME, replace(CHECKPOINTS[NAME], config=SMALL[NAME]))
        convert.write_random(NAME, path, "diffusers", seed=0)
    return path


@torch.no_grad()
def reference_loa(folder) -> np.ndarray:
    """As AudioLDM2Pipeline puts its parts together, from phoneme ids that end with the end symbol."""
    clap = ClapModel.from_pretrained(folder / "text_encoder")
    vits, loading = VitsModel.from_pretrained(folder / "text_encoder_2", output_loading_info=True)
    assert not loading["unexpected_keys"]
    assert all(key.startswith(UNUSED) for key in loading["missing_keys"])
    projection = AudioLDM2ProjectionModel.from_pretrained(folder / "projection_model")
    gpt2 = GPT2Model.from_pretrained(folder / "language_model")
    ids, mask = token_ids(folder, "clap", SPEAKER)
    embedding = clap.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    ids = torch.from_numpy(phoneme_ids(WORDS))
    mask = (torch.arange(ids.shape[1]) <= len(WORDS)).long()[None]
    states = vits.eval().text_encoder(ids, attention_mask=mask, padding_mask=mask.unsqueeze(-1).float())[0]
    prefix = projection(embedding[:, None], states, torch.ones(1, 1, dtype=torch.long), mask)
    tokens = gpt2.config.max_new_tokens
    return reference_tokens(gpt2, prefix.hidden_states.numpy(), prefix.attention_mask.numpy(), tokens)


def test_loa(folder):
    checkpoint = open_checkpoint(folder)
    loa = PromptEncoder(checkpoint, EagerEngine(checkpoint, "cpu")).encode([SPEAKER], phoneme_ids(WORDS)).contexts[0]
    error = relative_error(loa, reference_loa(folder))
    print(f"LOA of a speech folder on {framework.NAME}: {loa.shape}, relative error {error:.1e}")
    assert loa.shape == (1, 512, 128) and error <= 1e-4


@pytest.mark.parametrize(
    "component, model",
    [
        ("unet", AudioLDM2UNet2DConditionModel),
        ("vae", AutoencoderKL),
        ("vocoder", SpeechT5HifiGan),
    ],
)
def test_the_other_parts_load_without_a_word(folder, component, model):
    _, loading = model.from_pretrained(folder / component, output_loading_info=True)
    found = {key for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in loading[kind]}
    assert found <= {"mean", "scale"}  # of the vocoder, which are not used


def test_the_other_tensors_of_a_vits_model_are_left_out(folder):
    """A folder may hold the whole VitsModel, of which only the text encoder is used."""
    whole = VitsModel.from_pretrained(folder / "text_encoder_2")
    (folder / "text_encoder_2" / "model.safetensors").unlink()
    whole.save_pretrained(folder / "text_encoder_2")
    checkpoint = open_checkpoint(folder)
    assert checkpoint.config == SMALL[NAME]
    expected = random_checkpoint(NAME, SMALL[NAME], 0).networks["phoneme_encoder"]
    for key, tensor in checkpoint.networks["phoneme_encoder"].items():
        np.testing.assert_array_equal(tensor.read(), expected[key].read(), err_msg=key)
