from __future__ import annotations

import importlib.util
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm.text import phonemes
from ppaudioldm.text.phonemes import IDS, SYMBOLS, clean, phoneme_ids, split_text, to_phonemes

# Text and phonemes of the published code, with its espeak.
WISH = "Wish you have a good day", "wˈɪʃ juː hæv ɐ ɡˈʊd dˈeɪ"
DOCTOR = "Dr. Smith paid $5, didn't he?", "dˈɑːktɚ smˈɪθ pˈeɪd dˈɑːlɚ fˈaɪv, dˈɪdnt hiː?"

speech = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("phonemizer", "espeakng_loader", "unidecode")),
    reason="needs ppaudioldm[speech]",
)


# ---- The alphabet


def test_the_alphabet():
    assert len(SYMBOLS) == 183
    places = {"_": 0, ";": 1, " ": 16, "A": 17, "a": 43, "ɑ": 69, "\u0329": 175, "'": 176, "ᵻ": 177, "♪": 178, "⚠": 182}
    assert {symbol: IDS[symbol] for symbol in places} == places
    assert [i for i, symbol in enumerate(SYMBOLS) if symbol == "'"] == [174, 176]
    assert len(set(SYMBOLS)) == 182
    assert unicodedata.normalize("NFC", SYMBOLS) == SYMBOLS


def test_ids_of_the_published_example():
    expected = [65, 156, 102, 131, 16, 52, 63, 158, 16, 50, 72, 64, 16, 70, 16, 92, 156, 135, 46, 16, 46, 156, 47, 102]
    ids = phoneme_ids(WISH[1])
    assert ids.shape == (1, 310) and ids.dtype == np.int64
    np.testing.assert_array_equal(ids[0, :25], [*expected, 182])
    assert not ids[0, 25:].any()


def test_punctuation_has_ids():
    ids = phoneme_ids(DOCTOR[1])[0]
    assert ids[DOCTOR[1].index(",")] == 3 and list(ids[ids != 0][-2:]) == [6, 182]


# ---- Symbols outside the alphabet


@pytest.mark.parametrize("symbol", ["(", "_", "⚠", "5", "雨", "\x1b"])
def test_unknown_symbols_are_left_out_with_a_warning(symbol, caplog):
    np.testing.assert_array_equal(phoneme_ids(f"hiː {symbol}ðˈɛɹ"), phoneme_ids("hiː ðˈɛɹ"))
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("left out symbols that are no phonemes: ") and message.isprintable()


def test_symbols_of_the_alphabet_are_not_warned_of(caplog):
    ids = phoneme_ids(SYMBOLS[1:-1])
    assert (ids != 0).sum() == 182 and not caplog.records


def test_an_end_symbol_of_the_users_and_other_white_space_change_nothing():
    np.testing.assert_array_equal(phoneme_ids(" hiː\n ðˈɛɹ⚠"), phoneme_ids("hiː ðˈɛɹ"))
    np.testing.assert_array_equal(phoneme_ids("c\u0327a"), phoneme_ids("ça"))


@pytest.mark.parametrize("nothing", ["", " ", "...", "⚠", "___", "5"])
def test_nothing_to_pronounce(nothing):
    with pytest.raises(ValueError, match="nothing to pronounce"):
        phoneme_ids(nothing)


def test_as_many_as_fit():
    assert phoneme_ids("a" * 309)[0, -1] == IDS["⚠"]
    with pytest.raises(ValueError, match="310 phonemes, allowed: up to 309"):
        phoneme_ids("a" * 310)
    assert phoneme_ids("aa", 3).shape == (1, 3)


# ---- Splitting


def test_short_text_is_one_piece():
    assert split_text(" One.  Two.\nThree. ", 40) == ["One. Two. Three."]
    assert split_text("  ", 40) == []


def test_cut_between_sentences_then_clauses_then_words_then_anywhere():
    assert split_text('He said "no." Why? So it is!', 15) == ['He said "no."', "Why? So it is!"]
    assert split_text("Yes. One, two; three: four, five. No.", 18) == ["Yes.", "One, two; three:", "four, five. No."]
    assert split_text("one two three four", 9) == ["one two", "three", "four"]
    assert split_text("a abcdefgh b", 3) == ["a", "abc", "def", "gh", "b"]


def test_a_decimal_or_a_time_is_no_end():
    assert split_text("3.5 at 10:30 is", 14) == ["3.5 at 10:30", "is"]


@given(st.text("ab .,?;—\n", max_size=200), st.integers(1, 30))
def test_nothing_is_lost(text, limit):
    pieces = split_text(text, limit)
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


# ---- Conversion by espeak


@speech
def test_clean():
    assert clean("  Dr. Müller,\n <i>Mrs. and Mr.</i> Ødegård") == "doctor muller, misess and mister odegard"
    assert clean("The Drs. of St. Paul & Co. paid, Jr.") == "the doctors of saint paul & company paid, junior"
    assert clean("first. mist. 3 < 4 and 5 > 2") == "first. mist. 3 < 4 and 5 > 2"


@speech
@pytest.mark.parametrize(("text", "expected"), [WISH, DOCTOR])
def test_examples(text, expected):
    assert to_phonemes(text) == expected


@speech
def test_numbers_are_left_to_espeak():
    assert to_phonemes("42") == to_phonemes("forty two")


@speech
def test_a_long_text_is_read_to_its_end_without_a_word(caplog):
    sentence = to_phonemes("It goes on for a while.")
    assert to_phonemes("It goes on for a while. " * 500) == " ".join([sentence] * 500)
    assert not caplog.records


@speech
@pytest.mark.parametrize("nothing", ["", " \n", "...", "<b></b>", "🌧", "?!"])
def test_text_with_nothing_to_pronounce(nothing):
    with pytest.raises(ValueError, match="nothing to pronounce") as caught:
        to_phonemes(nothing)
    assert str(caught.value).isprintable()


@speech
def test_text_of_any_script_is_read(caplog):
    assert to_phonemes("雨の音") and to_phonemes("Привет") and to_phonemes("naïve\x00 café")


@pytest.mark.parametrize("module", ["unidecode", "phonemizer.backend", "espeakng_loader"])
def test_a_missing_extra_is_named(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    phonemes._espeak.cache_clear()
    with pytest.raises(ValueError, match=r"pip install 'ppaudioldm\[speech\]'"):
        to_phonemes("hello")
    phonemes._espeak.cache_clear()
