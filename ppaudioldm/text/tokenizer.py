"""Prompts as token ids, truncated to the number of tokens that a text encoder was trained with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ppaudioldm.errors import CheckpointError

logger = logging.getLogger(__name__)


class PromptTokenizer:
    """A tokenizer for batches of prompts, with a limit on the number of tokens.

    text: the content of a tokenizer.json. name: of the text encoder, for messages. vocab_size: of the text encoder.
    Raises CheckpointError for a text that is no tokenizer.json.
    """

    def __init__(self, text: str, name: str, max_tokens: int, pad_token_id: int, vocab_size: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_str(text)
        except Exception as error:  # the library raises plain Exception
            raise CheckpointError(f"not a tokenizer.json for {name}: {str(error)[:200]}") from error
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        unknown = getattr(self._tokenizer.model, "unk_token", None) or "<unk>"
        self._unknown_id = self._tokenizer.token_to_id(unknown)
        self._name = name
        self._max_tokens = max_tokens
        self._pad_token_id = pad_token_id
        self._vocab_size = vocab_size

    def __call__(self, prompts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids (B, L) int64 and attention mask (B, L) float32, 1 = token; L is the length of the longest prompt.

        A prompt beyond the limit is truncated, with a warning that says where. Raises CheckpointError for a token
        outside the vocabulary of the text encoder.
        """
        encodings = [self._tokenizer.encode(prompt) for prompt in prompts]
        for prompt, encoding in zip(prompts, encodings, strict=True):
            if encoding.overflowing:
                end = max(end for _, end in encoding.offsets)
                logger.warning(
                    "prompt cut at %d %s tokens, after %r: the rest, %r, is ignored",
                    self._max_tokens, self._name, prompt[max(0, end - 30) : end], _shortened(prompt[end:]),
                )  # fmt: skip
            self._warn_of_unknown(prompt, encoding)
        length = max(len(encoding.ids) for encoding in encodings)
        ids = np.full((len(prompts), length), self._pad_token_id, np.int64)
        mask = np.zeros((len(prompts), length), np.float32)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        if ids.max() >= self._vocab_size:
            raise CheckpointError(
                f"the {self._name} tokenizer returned token {ids.max()}, but the checkpoint's vocabulary has"
                f" {self._vocab_size}: this is another model's tokenizer"
            )
        return ids, mask

    def _warn_of_unknown(self, prompt: str, encoding: Any) -> None:
        """Name what has no token: the text encoder gets the same unknown token for all of it."""
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        unknown = [prompt[start:end].strip() for token, (start, end) in pairs if token == self._unknown_id]
        texts = [text for text in dict.fromkeys(unknown) if text]
        if texts:
            logger.warning(
                "%s does not know %s: it cannot tell that from other unknown text",
                self._name, ", ".join(map(repr, map(_shortened, texts[:5]))),
            )  # fmt: skip


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
