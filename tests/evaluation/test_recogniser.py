"""The recogniser of speech: its language model, its errors, and flite's own sentences."""

import shutil
import sys

import numpy as np
import pytest

from ppaudioldm.evaluation.recogniser import MODES, Recogniser, bigram_model, word_errors, words_of

SENTENCES = ["open the front door", "close the back door", "stop the music"]
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")


@pytest.mark.parametrize(
    "understood, errors",
    [
        ("open the front door", 0),
        ("open the back door", 1),
        ("open the the front door", 1),
        ("the front door", 1),
        ("", 4),
        ("stop the music", 3),
    ],
)
def test_word_errors(understood, errors):
    assert word_errors(["open", "the", "front", "door"], understood.split()) == errors


def test_words_are_those_that_are_spoken():
    assert words_of("What's the time, Mr. Smith?") == ["what's", "the", "time", "mr", "smith"]
    assert words_of("你好!") == []


def test_the_probabilities_behind_every_word_sum_to_one():
    model = bigram_model(SENTENCES)
    unigrams, bigrams = model.split("\\2-grams:\n")
    rows = [line.split() for line in unigrams.splitlines() if line.count(" ") >= 1 and line[0] == "-"]
    probability = {row[1]: 10 ** float(row[0]) for row in rows if row[1] != "<s>"}
    back_off = {row[1]: 10 ** float(row[2]) for row in rows if len(row) == 3}
    assert sum(probability.values()) == pytest.approx(1, abs=1e-3) and "</s>" in probability
    after: dict[str, float] = {}
    for line in bigrams.splitlines():
        if line.startswith("-"):
            value, first, _ = line.split()
            after[first] = after.get(first, 0.0) + 10 ** float(value)
    for word, sum_of_pairs in after.items():
        assert sum_of_pairs + back_off[word] == pytest.approx(1, abs=1e-3), word


@pytest.fixture(scope="module")
def recognisers():
    pytest.importorskip("pocketsphinx")
    return {mode: Recogniser(SENTENCES, mode) for mode in MODES[:2]}


@needs_flite
def test_it_understands_flite(recognisers):
    from ppaudioldm.sounds.speech.clips import synthesise
    from ppaudioldm.sounds.speech.speakers import Delivery

    waveform = synthesise(SENTENCES[0], Delivery("woman", "")).waveform
    other = synthesise("open the window", Delivery("woman", "")).waveform
    for mode, recogniser in recognisers.items():
        assert recogniser.understand(waveform * 0.1) == SENTENCES[0].split(), mode
        assert recogniser.understand(other) != SENTENCES[0].split(), mode


def test_silence_says_nothing(recognisers):
    assert recognisers["bigram"].understand(np.zeros(16000, np.float32)) == []


@pytest.mark.parametrize(
    "sentences, mode, message",
    [
        (SENTENCES, "loud", "mode is 'loud', allowed: bigram, choice, free"),
        (["open", "!"], "bigram", "sentence is '!', allowed: English words"),
        (["open the xqzzt"], "choice", "cannot pronounce 'xqzzt', allowed"),
    ],
)
def test_what_it_cannot_recognise(sentences, mode, message):
    pytest.importorskip("pocketsphinx")
    with pytest.raises(ValueError, match=message):
        Recogniser(sentences, mode)


def test_without_the_extra_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(ValueError, match=r"pip install 'ppaudioldm\[recognition\]'"):
        Recogniser(SENTENCES)
