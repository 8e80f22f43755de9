"""Captions to token ids and masks, for the text encoders that are trained or frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS, T5_PAD
from ppaudioldm.text.tokenizer import PromptTokenizer


class CaptionTokenizers:
    """The tokenizers of a model's text encoders.

    tokenizer_json: "clap" or "flan_t5" -> the content of its tokenizer.json, as a checkpoint gives it.
    """

    def __init__(self, tokenizer_json: Callable[[str], str], model: ModelConfig) -> None:
        clap, t5 = model.clap_text, model.flan_t5
        assert clap
        text = tokenizer_json("clap")
        self._clap = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, clap.pad_token_id, clap.vocab_size)
        self._t5 = (
            PromptTokenizer(tokenizer_json("flan_t5"), "T5", t5.max_tokens, T5_PAD, t5.vocab_size) if t5 else None
        )

    def __call__(self, captions: Sequence[str]) -> dict[str, np.ndarray]:
        """clap_ids, t5_ids (B, L) int64; clap_mask, t5_mask (B, L) float32, 1 = token. L is the longest of each.

        Without t5_ids and t5_mask for a model without FLAN-T5.
        """
        clap_ids, clap_mask = self._clap(captions)
        if self._t5 is None:
            return {"clap_ids": clap_ids, "clap_mask": clap_mask}
        t5_ids, t5_mask = self._t5(captions)
        return {"clap_ids": clap_ids, "clap_mask": clap_mask, "t5_ids": t5_ids, "t5_mask": t5_mask}
