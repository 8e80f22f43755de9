"""Sentences to train speech on: many words, no held-out sentence, the same for the same seed."""

import re

import numpy as np
import pytest

from ppaudioldm.sounds.speech import sentences
from ppaudioldm.sounds.speech.held_out import COMMANDS, HARVARD, HELD_OUT, normalised
from ppaudioldm.sounds.speech.sentences import sentence, text, vocabulary
from ppaudioldm.sounds.speech.words import CATEGORIES, plural

DRAWN = 4000


@pytest.fixture(scope="module")
def drawn():
    generator = np.random.default_rng(0)
    return [sentence(generator) for _ in range(DRAWN)]


def test_the_vocabulary_has_1500_words_and_those_of_the_held_out_commands(drawn):
    assert len(vocabulary()) >= 1500
    assert len({word for line in drawn for word in line.split()}) >= 1500
    forms = {*vocabulary(), *(plural(word) for words in CATEGORIES.values() for word in words)}
    assert {word for command in COMMANDS for word in command.split()} <= forms


def test_held_out_sentences_are_never_drawn(drawn, monkeypatch):
    assert len(COMMANDS) == 50 and len(HARVARD) == 40
    assert not {normalised(line) for line in drawn} & HELD_OUT
    monkeypatch.setattr(sentences, "WORD_ROWS", 0.0)
    monkeypatch.setattr(sentences, "COMMAND_SHARE", 1.0)
    # A grammar with hardly anything else.
    monkeypatch.setattr(sentences, "COMMANDS", ("open the window", "stop the {music}"))
    monkeypatch.setitem(CATEGORIES, "music", ("music", "song"))
    assert {sentence(np.random.default_rng(seed)) for seed in range(30)} == {"stop the song"}


def test_sentences_are_plain_words_with_the_right_article(drawn):
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", line) for line in drawn)
    assert sum(" a " in line for line in drawn) > 50
    grammatical = [line for line in drawn if " a " in line or " an " in line]
    wrong = [line for line in grammatical if re.search(r"\ba (apple|eagle|angry|old|oak|hour)\b", line)]
    assert not [line for line in wrong if line.split()[0] in ("i", "the", "she", "he")]
    assert plural("mouse") == "mice" and plural("city") == "cities" and plural("day") == "days"
    assert plural("fox") == "foxes"


def test_texts_fill_what_is_allowed_and_are_the_same_for_the_same_seed():
    texts = [text(np.random.default_rng(seed), 72) for seed in range(200)]
    assert texts == [text(np.random.default_rng(seed), 72) for seed in range(200)]
    assert max(map(len, texts)) <= 73 and np.mean([len(line) > 40 for line in texts]) > 0.15
    assert 0.3 < np.mean([line[-1] in ".!?" for line in texts]) < 0.7
    assert {line[-1] for line in texts} > {".", "!", "?"}, "as in what users write"
    with pytest.raises(ValueError, match="most_letters is 1, allowed: 12 or more"):
        sentence(np.random.default_rng(0), 1)
