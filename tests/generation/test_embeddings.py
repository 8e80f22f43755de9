"""Embeddings that a caller has computed, and negative prompts of several prompts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.pipeline import AudioLDM
from tests.support import relative_error

FAST: dict[str, Any] = {"duration": 0.3, "seed": 3, "num_inference_steps": 2}
PROMPTS = ["A dog barks in the rain", "Birds"]


@cache
def pipeline() -> AudioLDM:
    return AudioLDM.from_pretrained("untrained")


@cache
def embeddings(prompts: tuple[str, ...], prefix: str = "") -> dict[str, np.ndarray]:
    encoded = PromptEncoder(pipeline().checkpoint, pipeline().engine).encode(prompts)
    contexts = dict(zip(pipeline().config.contexts, zip(encoded.contexts, encoded.masks, strict=True), strict=True))
    states, mask = contexts["flan_t5"]
    names = ("prompt_embeds", "attention_mask", "generated_prompt_embeds")
    return {prefix + name: value for name, value in zip(names, (states, mask, contexts["loa"][0]), strict=True)}


def generate(prompt: Any, **settings: Any) -> np.ndarray:
    return pipeline().generate(prompt, **FAST | settings).waveforms


def test_embeddings_take_the_place_of_prompts():
    expected = generate(PROMPTS, batch_size=2)
    np.testing.assert_array_equal(generate(None, batch_size=2, **embeddings(tuple(PROMPTS))), expected)
    np.testing.assert_array_equal(generate(PROMPTS, batch_size=2, **embeddings(tuple(PROMPTS))), expected)


def test_negative_embeddings_take_the_place_of_negative_prompts():
    expected = generate(PROMPTS[0], negative_prompt="music")
    assert relative_error(generate(PROMPTS[0], **embeddings(("music",), "negative_")), expected) < 1e-5


def test_only_the_networks_that_are_needed_run():
    fresh = AudioLDM.from_pretrained("untrained")
    given = embeddings((PROMPTS[0],)) | embeddings(("music",), "negative_")
    fresh.generate(None, **FAST, **given)
    assert set(fresh.engine._networks) == {"unet", "vae_decoder", "vocoder"}


def test_each_prompt_has_its_negative_prompt():
    negatives = ["music", ""]
    both = generate(PROMPTS, negative_prompt=negatives, batch_size=2)
    for waveform, prompt, negative in zip(both, PROMPTS, negatives, strict=True):
        assert relative_error(waveform, generate(prompt, negative_prompt=negative)[0]) < 1e-4


@pytest.mark.parametrize("blank", ["", "  ", [None], [""]])
def test_an_empty_negative_prompt_is_none(blank):
    np.testing.assert_array_equal(generate("Birds", negative_prompt=blank), generate("Birds"))


def with_changes(**changes: Any) -> dict[str, Any]:
    return embeddings((PROMPTS[0],)) | changes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negative_prompt": ["a", "b"]}, "2 negative prompts for 1.* allowed: one for all, or one for each"),
        ({"negative_prompt": [3]}, "negative_prompt is 3, allowed: a text"),
        ({"negative_prompt": 3}, "negative_prompt is 3, allowed: a text, or a list"),
        (with_changes(generated_prompt_embeds=None), "generated_prompt_embeds are missing: this checkpoint takes"),
        (with_changes(prompt_embeds=None), "prompt_embeds are missing"),
        (with_changes(prompt_embeds=np.zeros((1, 3, 5))), r"prompt_embeds are float64 of shape \(1, 3, 5\), expected"),
        (with_changes(attention_mask=np.ones((1, 1))), r"attention_mask has shape \(1, 1\), expected"),
        (embeddings(tuple(PROMPTS)), "2 embeddings for 1 prompts, allowed: one for each"),
        ({"negative_attention_mask": np.ones((1, 4))}, "negative_.*prompt_embeds are missing"),
    ],
)
def test_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        generate("Birds", **settings)


@pytest.mark.parametrize("settings", [{"negative_prompt": "music"}, {"reuse": 2}])
def test_settings_without_effect_are_named(settings, caplog):
    generate("Birds", guidance_scale=1.0, **settings)
    assert f"guidance_scale is 1, so {next(iter(settings))} changes nothing" in caplog.text


def test_numpys_false_stops():
    from ppaudioldm.generation.clip import Cancelled

    with pytest.raises(Cancelled):
        generate("Birds", progress=lambda at: np.bool_(False))
