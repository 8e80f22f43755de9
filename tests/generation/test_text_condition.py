from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.text_condition import Conditioning, PromptEncoder, concatenated
from ppaudioldm.weights.checkpoint import random_checkpoint

PROMPTS = ["Birds", "A dog barks in the rain", "A siren"]
CONFIGS = {
    "both": UNTRAINED,
    "t5": replace(UNTRAINED, unet=replace(UNTRAINED.unet, context_dims=(160,)), gpt2=None, loa=None),
    "film": replace(
        UNTRAINED, unet=replace(UNTRAINED.unet, context_dims=(None,), film_dim=64), flan_t5=None, gpt2=None, loa=None
    ),
}


@cache
def encoder(name: str = "both") -> PromptEncoder:
    config: ModelConfig = CONFIGS[name]
    checkpoint = random_checkpoint(name, config, seed=0)
    return PromptEncoder(checkpoint, EagerEngine(checkpoint))


def t5_length(prompt: str) -> int:
    return len(prompt.encode()) + 1  # the tiny tokenizer makes a token of every byte, and one for the end


def test_conditions_of_prompts():
    conditions = encoder().encode(PROMPTS)
    longest = max(t5_length(prompt) for prompt in PROMPTS)
    loa, states = conditions.contexts
    assert loa.shape == (3, 8, 128) and states.shape == (3, longest, 160)
    assert conditions.film is None
    np.testing.assert_array_equal(conditions.masks[0], np.ones((3, 8)))
    for prompt, row, mask in zip(PROMPTS, states, conditions.masks[1], strict=True):
        length = t5_length(prompt)
        np.testing.assert_array_equal(mask, np.arange(longest) < length)
        assert not row[length:].any() and row[:length].any()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_other_prompts_do_not_matter(name):
    together = encoder(name).encode(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = encoder(name).encode([prompt])
        for context, mask, expected in zip(together.contexts, together.masks, alone.contexts, strict=True):
            np.testing.assert_allclose(context[i][mask[i] == 1], expected[0], atol=1e-5)
        if name == "film":
            np.testing.assert_allclose(together.film[i], alone.film[0], atol=1e-5)


def test_clap_does_not_hear_padding():
    together = encoder().embed_text(PROMPTS)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for prompt, embedding in zip(PROMPTS, together, strict=True):
        np.testing.assert_allclose(encoder().embed_text([prompt])[0], embedding, atol=1e-5)


# What the published code gives the UNet for "no condition".


def test_unconditional():
    conditions = encoder().unconditional(2)
    loa, states = conditions.contexts
    np.testing.assert_array_equal(loa, np.zeros((2, 8, 128), np.float32))
    np.testing.assert_array_equal(conditions.masks[0], np.ones((2, 8), np.float32))
    assert states.shape == (2, 1, 160) and states.dtype == np.float32
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[:1], encoder().encode([""]).contexts[1])
    np.testing.assert_array_equal(conditions.masks[1], np.ones((2, 1), np.float32))
    assert conditions.film is None


def test_unconditional_with_flan_t5_alone():
    conditions = encoder("t5").unconditional(3)
    assert [context.shape for context in conditions.contexts] == [(3, 1, 160)]
    np.testing.assert_array_equal(conditions.masks[0], np.ones((3, 1), np.float32))


def test_unconditional_with_film():
    conditions = encoder("film").unconditional(2)
    assert conditions.contexts == conditions.masks == ()
    np.testing.assert_allclose(conditions.film, np.repeat(encoder("film").embed_text([""]), 2, 0), atol=1e-6)


# ---- Arithmetic on conditions


def example(batch: int, length: int, start: float) -> Conditioning:
    context = start + np.arange(batch * length * 2, dtype=np.float32).reshape(batch, length, 2)
    return Conditioning((context,), (np.ones((batch, length), np.float32),), np.full((batch, 3), start, np.float32))


@pytest.mark.parametrize("lengths", [(2, 4), (4, 2), (3, 3)])
def test_joined(lengths):
    parts = [example(1, lengths[0], 10), example(2, lengths[1], 50)]
    both = concatenated(*parts)
    longest = max(lengths)
    assert both.contexts[0].shape == (3, longest, 2) and both.masks[0].shape == (3, longest)
    np.testing.assert_array_equal(both.film[:, 0], [10, 50, 50])
    for part, rows in zip(parts, (slice(0, 1), slice(1, 3)), strict=True):
        length = part.contexts[0].shape[1]
        np.testing.assert_array_equal(both.contexts[0][rows, :length], part.contexts[0])
        np.testing.assert_array_equal(both.masks[0][rows, :length], 1)
        assert not both.contexts[0][rows, length:].any() and not both.masks[0][rows, length:].any()
    assert both.contexts[0].dtype == both.masks[0].dtype == np.float32


def test_joined_without_film():
    first, second = (replace(example(1, 2, start), film=None) for start in (0, 9))
    assert concatenated(first, second).film is None


def test_take():
    taken = example(3, 2, 0).take([2, 0, 0])
    whole = example(3, 2, 0)
    np.testing.assert_array_equal(taken.contexts[0], whole.contexts[0][[2, 0, 0]])
    assert taken.masks[0].shape == (3, 2) and taken.film.shape == (3, 3)
    assert replace(whole, film=None).take([1]).film is None
