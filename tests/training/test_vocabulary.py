"""Tokenizers made of captions work where the published ones do."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ppaudioldm.errors import CheckpointError
from ppaudioldm.sounds.clips import captions as clip_captions
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.training import vocabulary
from ppaudioldm.training.dataset import SynthesisedClips
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.tiny import VOCABULARY
from ppaudioldm.training.vocabulary import (
    dataset_captions,
    prepare_tokenizers,
    sound_captions,
    train_tokenizer,
    trained_tokenizer,
    warn_of_other_captions,
    write_tokenizers,
)
from ppaudioldm.weights.tokenizer_files import tokenizer_json

CAPTIONS = ["a low tone", "a high tone", "A bell rings.", "the sound of heavy rain", "rain on a roof"] * 3


def tokens(text: str, kind: str, prompt: str) -> np.ndarray:
    ids, mask = PromptTokenizer(text, kind, 100, 0, VOCABULARY)([prompt])
    assert mask.all()
    return ids[0]


@pytest.mark.parametrize(("kind", "first", "last"), [("clap", 0, 2), ("flan_t5", None, 1)])
def test_special_tokens_are_where_the_published_ones_are(kind, first, last):
    ids = tokens(train_tokenizer(kind, CAPTIONS), kind, "a low tone")
    assert ids[-1] == last and (first is None or ids[0] == first)
    assert len(ids) == 3 + (1 if first is None else 2), "a word of the captions is one token"


def test_case_and_spaces_do_not_matter_and_any_text_has_tokens():
    text = train_tokenizer("clap", CAPTIONS)
    assert np.array_equal(tokens(text, "clap", " A  Bell\nrings."), tokens(text, "clap", "a bell rings."))
    assert len(tokens(text, "clap", "ein Glöckchen 钟 🔔")) > 10
    assert len(tokens(text, "clap", "")) == 2


def test_the_same_captions_give_the_same_tokenizer():
    text = train_tokenizer("flan_t5", CAPTIONS)
    assert text == train_tokenizer("flan_t5", CAPTIONS)
    assert len(json.loads(train_tokenizer("flan_t5", CAPTIONS, 270))["model"]["vocab"]) == 270


def test_captions_of_synthesised_sounds_are_short_sequences_of_words():
    captions = list(sound_captions(per_kind=3))
    assert captions == list(sound_captions(per_kind=3))
    text = train_tokenizer("clap", captions)
    held_out = list(clip_captions(200, duration=2.56, split="test"))
    lengths = [len(tokens(text, "clap", caption)) - 2 for caption in held_out]
    words = [len(re.findall(r"[A-Za-z'-]+|[一-龥]", caption)) for caption in held_out]
    assert sum(lengths) < 1.3 * sum(words)


def test_tokenizers_are_trained_on_captions_of_recordings_or_of_synthesised_sounds():
    recordings = Recordings((("a.wav", "a bell"), ("b.wav", "rain")), 1.0)
    assert list(dataset_captions(recordings)) == ["a bell", "rain"]
    assert next(dataset_captions(SynthesisedClips(1.0))) == next(sound_captions())


def test_a_checkpoint_finds_them(tmp_path):
    write_tokenizers(tmp_path, CAPTIONS)
    for kind in ("clap", "flan_t5"):
        assert tokenizer_json(kind, tmp_path) == train_tokenizer(kind, CAPTIONS)


def test_a_chinese_word_has_the_same_tokens_in_every_sentence():
    captions = ["一只狗在叫", "下雨的声音", "先下雨，然后狗叫", "狗"] * 5
    text = train_tokenizer("flan_t5", captions, 400)
    dog = tokens(text, "flan_t5", "狗")
    assert len(dog) == 2, "one token, and the end"
    for caption in captions[:3]:
        length = len(tokens(text, "flan_t5", caption)) - 1
        assert length == len(caption)
        assert (dog[0] in tokens(text, "flan_t5", caption)) == ("狗" in caption)


def recorded(*captions: str) -> Recordings:
    return Recordings(tuple(("a.wav", caption) for caption in captions), 1.0)


FIRST, SECOND = recorded("a low tone", "rain"), recorded("a cat purrs", "a dog barks")


@pytest.fixture
def no_download(monkeypatch):
    monkeypatch.setattr("ppaudioldm.weights.tokenizer_files.fetch_file", lambda *_: pytest.fail("a download"))


def test_an_interrupted_start_leaves_nothing_and_the_next_one_both(tmp_path, monkeypatch, no_download):
    def interrupted(kind, captions, size):
        if kind == "flan_t5":
            raise KeyboardInterrupt
        return train_tokenizer(kind, captions, size)

    folder = tmp_path / "runs" / "tokenizers"
    monkeypatch.setattr(vocabulary, "train_tokenizer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_tokenizers(folder, FIRST, 300)
    assert not folder.exists()
    with pytest.raises(CheckpointError, match=r"tokenizer_2/tokenizer.json: no tokenizer; the stage clap writes it"):
        trained_tokenizer("flan_t5", folder)
    monkeypatch.undo()
    prepare_tokenizers(folder, FIRST, 300)
    for kind in ("clap", "flan_t5"):
        assert trained_tokenizer(kind, folder) == train_tokenizer(kind, ["a low tone", "rain"], 300)


def test_half_of_what_version_0_1_0_wrote_is_completed(tmp_path, no_download):
    prepare_tokenizers(tmp_path / "new", FIRST, 300)
    for path in ("new/tokenizer_2/tokenizer.json", "new/vocabulary.json"):
        (tmp_path / path).unlink()
    with pytest.raises(CheckpointError, match=r"holds tokenizer/tokenizer.json alone, of other captions than these"):
        prepare_tokenizers(tmp_path / "new", SECOND, 300)
    prepare_tokenizers(tmp_path / "new", FIRST, 300)
    assert trained_tokenizer("flan_t5", tmp_path / "new") == train_tokenizer("flan_t5", ["a low tone", "rain"], 300)


def test_other_captions_are_an_error_unless_the_vocabulary_is_to_be_kept(tmp_path, caplog):
    folder = tmp_path / "tokenizers"
    prepare_tokenizers(folder, FIRST, 300)
    before = trained_tokenizer("clap", folder)
    prepare_tokenizers(folder, recorded("rain", "a low tone"), 300)  # in any order
    for other in (SECOND, SynthesisedClips(1.0)):
        with pytest.raises(CheckpointError, match=r"trained on other captions than these: .* keep_vocabulary = true"):
            prepare_tokenizers(folder, other, 300)
    assert not caplog.messages
    prepare_tokenizers(folder, SECOND, 300, keep=True)
    warn_of_other_captions(folder, SECOND)
    assert trained_tokenizer("clap", folder) == before
    assert caplog.messages == [
        f"{folder}: its vocabulary was trained on other captions; it stays, for CLAP depends on it"
    ]
    (folder / "vocabulary.json").unlink()  # as in version 0.1.0
    prepare_tokenizers(folder, SECOND, 300)
    assert "its vocabulary is kept, though the captions that it was trained on are not known" in caplog.text


def test_synthesised_captions_of_another_version_are_no_other_captions(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "sound_captions", lambda: iter(["a tone"]))
    prepare_tokenizers(tmp_path / "new", SynthesisedClips(1.0), 300)
    monkeypatch.setattr(vocabulary, "sound_captions", lambda: iter(["a tone", "a new sound"]))
    prepare_tokenizers(tmp_path / "new", SynthesisedClips(2.0), 300)
    assert trained_tokenizer("clap", tmp_path / "new") == train_tokenizer("clap", ["a tone"], 300)
