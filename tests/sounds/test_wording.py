"""Captions say what holds, in words that training knows, in English and Chinese that one can read."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ppaudioldm.sounds.clips import captions
from ppaudioldm.sounds.collection import SINGLE_KINDS
from ppaudioldm.sounds.wording import (
    LANGUAGES,
    SPLITS,
    Both,
    Words,
    caption,
    common_words,
    describe,
    modified,
    tokens,
    vocabulary,
)
from ppaudioldm.sounds.words import slots

BARK = Words(
    ("a dog", "狗"),
    Both("a dog; {count} bark{s}; a {speed} dog", "狗; {count}声狗叫"),
    Both("a dog barks {times}; a dog barks", "一只狗叫了{count}声; 狗在叫"),
)


def said(facts: dict, language: str, form: str = "*") -> set[str]:
    rng = np.random.default_rng(0)
    return {describe(rng, BARK, facts, language, "train", form)[0] for _ in range(200)}


def test_a_template_is_used_only_where_the_facts_fill_it():
    assert said({}, "en") == {"a dog", "a dog barks"}
    assert said({"count": 1}, "en") >= {"one bark", "a single bark", "a dog barks once"}
    assert said({"count": 3}, "en", "N") == {"a dog", "three barks", "3 barks"}
    assert said({"count": 2}, "zh") == {"狗", "两声狗叫", "2声狗叫", "一只狗叫了两声", "一只狗叫了2声", "狗在叫"}
    assert said({"count": 9}, "en") == {"a dog", "a dog barks"}


def test_distance_and_loudness_are_said_of_nouns_and_clauses():
    rng = np.random.default_rng(0)
    nouns = {modified(rng, "a dog", True, {"distance": "far"}, "en") for _ in range(60)}
    assert "a distant dog" in nouns and "a dog in the distance" in nouns
    assert "a dog barks loudly" in {modified(rng, "a dog barks", False, {"loudness": "loud"}, "en") for _ in range(60)}
    chinese = {modified(rng, "一只狗的叫声", True, {"distance": "far"}, "zh") for _ in range(60)}
    assert "远处一只狗的叫声" in chinese and "远处的一只狗的叫声" not in chinese
    assert modified(rng, "a dog", True, {}, "en") == "a dog"


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_captions_are_new_and_use_no_word_that_training_of_their_kind_lacks(language):
    for split in SPLITS:
        frames = set().union(*(tokens(frame) for frame in slots.FRAMES[language][split]))
        assert frames <= common_words(language) | {"that"}
    for name, kind in SINGLE_KINDS.items():
        trained = set().union(*(tokens(text) for text in vocabulary(kind.words, language, "train")))
        held_out = set().union(*(tokens(text) for text in vocabulary(kind.words, language, "test")))
        assert held_out <= trained | common_words(language), f"{name}: {held_out - trained}"
        seen, new = ({text for text, _ in kind.words.templates(language, split)} for split in SPLITS)
        assert len(seen) >= 6 and len(new) >= 3 and not seen & new, name


def test_every_caption_can_be_read():
    for language in LANGUAGES:
        for split in SPLITS:
            for text in captions(300, duration=2.56, split=split, language=language):
                assert not re.search(r"[{}<>]|  |^ | $|的的|了了|地地", text), text
                if language == "en":
                    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|[一-龥]", text), text
                else:
                    assert re.search(r"[一-龥]", text) and " " not in text.replace("DJ", ""), text


def test_frames_stand_around_noun_phrases_alone():
    rng = np.random.default_rng(0)
    framed = {caption(rng, "a dog barks", False, "en", "train").lower().rstrip(".") for _ in range(100)}
    assert framed == {"a dog barks"}
    assert "the sound of rain" in {caption(rng, "rain", True, "en", "train").lower() for _ in range(200)}
