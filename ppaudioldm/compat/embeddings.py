"""Prompts to embeddings as diffusers' pipelines compute them, which differs from `generation.text_condition`.

A batch of prompts is padded to its longest, and padding counts in GPT-2's positions. Without a negative prompt the
unconditional half is what the text encoders, GPT-2 included, make of an empty text, as many tokens long as the prompt;
here, as in training, it has zeros for LOA tokens. Negative prompts are cut to that length, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS, T5_PAD, Conditioning
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.locate import Description

T5_MAX_TOKENS = 512  # of the tokenizers in diffusers folders


@dataclass(frozen=True)
class Embeddings:
    """Under diffusers' names, of B items. Any of them is None where the checkpoint has none.

    prompt_embeds: (B, L, D), of FLAN-T5, or of the phonemes of a speech checkpoint. attention_mask: (B, L), 1 = attend.
    generated_prompt_embeds: LOA tokens (B, N, D), which GPT-2 continues the others with.
    """

    prompt_embeds: np.ndarray | None
    attention_mask: np.ndarray | None
    generated_prompt_embeds: np.ndarray | None

    def repeated(self, count: int) -> Embeddings:
        """Each item `count` times."""
        return Embeddings(*(None if x is None else np.repeat(x, count, axis=0) for x in self._arrays))

    def after(self, first: Embeddings) -> Embeddings:
        """One batch of `first`, as long, and these."""
        pairs = zip(first._arrays, self._arrays, strict=True)
        return Embeddings(*(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs))

    @property
    def _arrays(self) -> tuple[np.ndarray | None, ...]:
        return self.prompt_embeds, self.attention_mask, self.generated_prompt_embeds

    def conditioning(self, contexts: Sequence[str]) -> Conditioning:
        """For a UNet that attends to `contexts`: "loa", "flan_t5" or both."""
        arrays, masks = [], []
        for context in contexts:
            array = self.generated_prompt_embeds if context == "loa" else self.prompt_embeds
            assert array is not None
            whole = context == "loa" or self.attention_mask is None
            arrays.append(array.astype(np.float32))
            masks.append(np.ones(array.shape[:2], np.float32) if whole else self.attention_mask.astype(np.float32))  # type: ignore[union-attr]
        return Conditioning(tuple(arrays), tuple(masks), None)


class PromptEmbedder:
    """The text side of `checkpoint`, an AudioLDM 2 one, run by `engine`."""

    def __init__(self, checkpoint: Description, engine: Engine) -> None:
        self._checkpoint = checkpoint
        self._config = checkpoint.config
        self._engine = engine

    def embed(
        self, prompts: list[str], phonemes: np.ndarray | None = None, num_loa_tokens: int | None = None
    ) -> Embeddings:
        """The embeddings of `prompts`. phonemes: (B, 310) int64, what each says, for a speech checkpoint.

        num_loa_tokens: to generate; by default as many as the checkpoint was trained with.
        """
        if phonemes is not None:
            states, mask = self._engine.run("phoneme_encoder", self._engine.asarray(phonemes))
            states, mask = self._engine.to_numpy(states), self._engine.to_numpy(mask)
        else:
            states, mask = self._t5(prompts, T5_MAX_TOKENS)
        return self._with_loa(prompts, states, mask, num_loa_tokens)

    def embed_negative(self, prompts: list[str], length: int, num_loa_tokens: int | None = None) -> Embeddings:
        """The embeddings of negative prompts beside prompt_embeds of that length; "" is the unconditional half."""
        encoder = self._config.phoneme_encoder
        if encoder is not None:  # nothing is said
            states = np.zeros((len(prompts), length, encoder.hidden_size), np.float32)
            mask = np.zeros((len(prompts), length), np.float32)
        else:
            states, mask = self._t5(prompts, length, length)
        return self._with_loa(prompts, states, mask, num_loa_tokens)

    def embed_clap(self, prompts: list[str]) -> np.ndarray:
        """CLAP's embeddings (B, 512) of `prompts`, of length 1."""
        config = self._config.clap_text
        assert config
        text = self._checkpoint.tokenizer_json("clap")
        tokenizer = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)
        return self._engine.run_numpy("clap_text", *tokenizer(prompts))

    def _t5(self, prompts: list[str], most: int, length: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """States and mask of `prompts`, cut to `most` tokens and padded to `length`, or to the longest."""
        config = self._config.flan_t5
        if config is None:
            raise ValueError(f"{self._checkpoint.name} has no FLAN-T5, which reads prompts")
        tokenizer = PromptTokenizer(
            self._checkpoint.tokenizer_json("flan_t5"), "FLAN-T5", most, T5_PAD, config.vocab_size
        )
        ids, mask = tokenizer(prompts)
        padding = [(0, 0), (0, max(0, length - ids.shape[1]))]
        ids, mask = np.pad(ids, padding, constant_values=T5_PAD), np.pad(mask, padding)
        return self._engine.run_numpy("flan_t5", ids, mask), mask

    def _with_loa(
        self, prompts: list[str], states: np.ndarray, mask: np.ndarray, num_loa_tokens: int | None
    ) -> Embeddings:
        config, engine = self._config, self._engine
        embeddings = Embeddings(states, mask, None)
        if config.loa is None or config.gpt2 is None:
            return embeddings
        clap = engine.asarray(self.embed_clap(prompts)[:, None])
        ones = engine.asarray(np.ones((len(prompts), 1), np.float32))
        prefix, prefix_mask, *guess = engine.run("loa", [clap, engine.asarray(states)], [ones, engine.asarray(mask)])
        count = config.loa.num_tokens if num_loa_tokens is None else num_loa_tokens
        tokens = generate_loa(
            prefix, prefix_mask, engine.start("gpt2"), count, engine.concat, config.gpt2.max_positions, *guess
        )
        return replace(embeddings, generated_prompt_embeds=engine.to_numpy(tokens))
