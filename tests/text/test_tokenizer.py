from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from ppaudioldm.config import T5Config
from ppaudioldm.errors import CheckpointError
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.tokenizer_files import byte_tokenizer_json

BYTES = 256


def clap(**changes: int) -> PromptTokenizer:
    values = {"max_tokens": 512, "pad_token_id": 1, "vocab_size": 4 + BYTES, **changes}
    return PromptTokenizer(byte_tokenizer_json("clap"), "CLAP", **values)


def flan_t5(**changes: int) -> PromptTokenizer:
    values = {"max_tokens": T5Config.max_tokens, "pad_token_id": 0, "vocab_size": 3 + BYTES, **changes}
    return PromptTokenizer(byte_tokenizer_json("flan_t5"), "FLAN-T5", **values)


def test_ids_of_the_byte_tokenizers():
    # Special tokens first, then bytes in the order of the characters that stand for them, from "!" on.
    first = {"clap": 4 - ord("!"), "flan_t5": 3 - ord("!")}
    ids, mask = clap()(["Ab!"])
    assert ids.tolist() == [[0, *(first["clap"] + ord(c) for c in "Ab!"), 2]]  # <s> ... </s>
    assert mask.tolist() == [[1] * 5]
    ids, mask = flan_t5()(["Ab!"])
    assert ids.tolist() == [[*(first["flan_t5"] + ord(c) for c in "Ab!"), 1]]  # ... </s>
    assert ids.dtype == np.int64 and mask.dtype == np.float32


def test_empty_prompt():
    assert clap()([""])[0].tolist() == [[0, 2]]
    assert flan_t5()([""])[0].tolist() == [[1]]


@pytest.mark.parametrize(
    "prompt", ["A dog  barks\n", "Ein Hund bellt, während es regnet", "狗在叫", "🐕\u200d🦺", "\x00\x7f"]
)
def test_every_byte_is_a_token(prompt):
    ids, _ = clap()([prompt])
    assert ids.shape[1] == len(prompt.encode()) + 2
    assert ids[0, 1:-1].min() >= 4 and ids.max() < 4 + BYTES  # none is unknown


def test_shorter_prompts_are_padded():
    ids, mask = clap()(["Birds", "A"])
    assert ids.shape == mask.shape == (2, 7)
    assert ids[1, 3:].tolist() == [1] * 4
    np.testing.assert_array_equal(mask, [[1] * 7, [1] * 3 + [0] * 4])


def test_truncation_says_where(caplog):
    kept, cut = "a" * 100 + " the last words kept are these", " and these are lost"
    limit = len(kept) + 1  # with the end mark
    with caplog.at_level(logging.WARNING):
        ids, _ = flan_t5(max_tokens=limit)([kept])
        assert not caplog.records  # it just fits
        longer, mask = flan_t5(max_tokens=limit)([kept + cut])
    np.testing.assert_array_equal(longer, ids)
    assert mask.all()
    assert [record.getMessage() for record in caplog.records] == [
        f"prompt cut at {limit} FLAN-T5 tokens, after {kept[-30:]!r}: the rest, {cut!r}, is ignored"
    ]


def test_truncation_of_a_long_text_is_one_short_line(caplog):
    with caplog.at_level(logging.WARNING):
        ids, _ = flan_t5()(["one line\n" * 1000])
    assert ids.shape == (1, T5Config.max_tokens) and ids[0, -1] == 1  # the end mark stays
    (message,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in message and len(message) < 250 and "..." in message


def test_truncation_within_a_character(caplog):
    with caplog.at_level(logging.WARNING):
        flan_t5(max_tokens=6)(["狗在叫"])  # five of nine bytes
    assert "prompt cut at 6 FLAN-T5 tokens" in caplog.text


def test_what_the_file_says_about_length_does_not_count():
    values = json.loads(byte_tokenizer_json("flan_t5"))
    values["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    values["padding"] = {
        "strategy": {"Fixed": 20},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    tokenizer = PromptTokenizer(json.dumps(values), "FLAN-T5", 128, 0, 300)
    assert tokenizer(["Birds"])[0].shape == (1, 6)


def test_vocabulary_of_another_model():
    expected = "the CLAP tokenizer returned token 88, but the checkpoint's vocabulary has 50: this is another model's"
    with pytest.raises(CheckpointError, match=expected):
        clap(vocab_size=50)(["soundings"])


@pytest.mark.parametrize("text", ["", "not JSON", "{}", "[]", '{"version": "1.0"}'])
def test_not_a_tokenizer(text):
    with pytest.raises(CheckpointError, match="not a tokenizer.json for CLAP: "):
        PromptTokenizer(text, "CLAP", 512, 1, 300)


def words_tokenizer() -> PromptTokenizer:
    """A word is a token; others are unknown."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "dog": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return PromptTokenizer(tokenizer.to_str(), "CLAP", 10, 0, 4)


def test_what_a_text_encoder_does_not_know_is_named(caplog):
    ids, _ = words_tokenizer()(["a dog barks, 狗"])
    assert ids.tolist() == [[2, 3, 1, 1, 1]]
    assert "CLAP does not know 'barks', ',', '狗'" in caplog.text


def test_known_prompts_give_no_warning(caplog):
    words_tokenizer()(["a dog"])
    flan_t5()(["狗"])
    assert caplog.text == ""
