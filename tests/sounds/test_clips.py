"""Clips with captions: pure functions of their number, sound and true to their facts in both languages."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ppaudioldm.sounds.clips import SAMPLE_RATE, captions, example, facts, paraphrases
from ppaudioldm.sounds.collection import FAMILIES, INSTRUMENTS, KINDS, SINGLE_KINDS, describe, known_words
from ppaudioldm.sounds.wording import LANGUAGES, SPLITS, tokens


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_finite_as_loud_as_it_should_be_and_the_same_each_time(kind):
    for index, duration in ((0, 2.56), (1, 1.0)):
        english, chinese = (example(index, (kind,), duration, language=language) for language in LANGUAGES)
        assert english.waveform.shape == (round(duration * SAMPLE_RATE),) and english.waveform.dtype == np.float32
        assert np.isfinite(english.waveform).all()
        peak = np.abs(english.waveform).max()
        assert 0.02 < peak < 0.95 and abs(english.waveform.mean()) < 0.02 * peak
        frames = english.waveform[: len(english.waveform) // 400 * 400].reshape(-1, 400)
        assert np.sqrt((frames.astype(np.float64) ** 2).mean(1)).min() > 4e-4, "the noise floor is missing"
        assert np.array_equal(english.waveform, chinese.waveform) and english.parameters == chinese.parameters
        assert english.caption != chinese.caption and (english.language, chinese.language) == LANGUAGES
        json.dumps(english.parameters)


def test_a_clip_depends_on_its_arguments_alone():
    alone = example(7)
    for index in range(3):
        example(index)
    again = example(7)
    assert np.array_equal(again.waveform, alone.waveform) and again.caption == alone.caption
    others = [example(8), example(7, seed=1), example(7, split="test")]
    assert all(not np.array_equal(other.waveform, alone.waveform) for other in others)


def test_captions_are_those_of_the_examples():
    expected = [example(index, duration=1.0).caption for index in range(12)]
    assert list(captions(12, duration=1.0)) == expected


@pytest.mark.parametrize("kind", ["dog", "sequence"])
def test_facts_are_those_of_the_example(kind):
    assert facts(3, kind, 2.56, "test") == example(3, (kind,), 2.56, "test").parameters


def test_paraphrases_describe_the_example_in_words_of_their_own():
    pairs = [paraphrases(number, ("dog",)) for number in range(40)]
    assert pairs == [paraphrases(number, ("dog",)) for number in range(40)]
    assert sum(first != second for first, second in pairs) > 30
    in_chinese = np.array([[bool(re.search(r"[\u4e00-\u9fff]", text)) for text in pair] for pair in pairs])
    assert {tuple(row) for row in in_chinese.tolist()} == {(a, b) for a in (False, True) for b in (False, True)}
    for number, pair in enumerate(pairs):
        assert ("distance" in facts(number, "dog")) or not any("远处" in text or "far away" in text for text in pair)
    counted = [facts(number, "dog").get("count") for number in range(40)]
    threes = [set(pair) for pair, count in zip(pairs, counted, strict=True) if count == 3]
    for text in set().union(*threes):
        assert not re.search(r"\b(twice|two|four|five)\b|两|四|五", text)


def test_there_are_enough_kinds():
    assert len(SINGLE_KINDS) >= 60 and len(INSTRUMENTS) >= 25
    assert sum(len(family) for family in FAMILIES.values()) == len(SINGLE_KINDS)


def test_both_languages_and_a_quarter_of_pairs_are_drawn():
    drawn = [example(index, ("bell", "rain", "sequence", "together"), 1.0) for index in range(120)]
    assert 0.35 < np.mean([clip.language == "zh" for clip in drawn]) < 0.65
    assert 0.15 < np.mean([clip.kind in ("sequence", "together") for clip in drawn]) < 0.36
    assert {clip.parameters.get("first", "bell") for clip in drawn} == {"bell", "rain"}


def test_one_sound_follows_the_other():
    for index in range(30):
        clip = example(index, ("beeps", "rain", "sequence"), 5.12)
        if clip.kind != "sequence":
            continue
        facts = clip.parameters
        assert {facts["first"], facts["second"]} == {"beeps", "rain"} and 2 < facts["switch"] < 3
        beeps = facts["first_parameters"] if facts["first"] == "beeps" else facts["second_parameters"]
        start = 0.0 if facts["first"] == "beeps" else facts["switch"]
        assert len(beeps["onsets"]) == beeps["count"]
        assert start <= min(beeps["onsets"]) and max(beeps["onsets"]) < start + 3.1
        spectrum = [
            np.abs(np.fft.rfft(half)) for half in np.split(clip.waveform[:81920], [int(facts["switch"] * 16000)])
        ]
        peakiness = [part.max() / np.median(part) for part in spectrum]
        assert (peakiness[0] > peakiness[1]) == (facts["first"] == "beeps")


def test_a_clip_that_is_said_to_be_soft_or_far_is_softer():
    peaks: dict[str, list[float]] = {}
    for index in range(150):
        clip = example(index, ("dog", "cat", "door"), 1.0)
        said = clip.parameters.get("distance") or clip.parameters.get("loudness") or ""
        peaks.setdefault(said, []).append(float(np.abs(clip.waveform).max()))
    assert set(peaks) == {"", "near", "far", "loud", "soft"}
    assert max(peaks["soft"] + peaks["far"]) < 0.15 < min(peaks["loud"] + peaks["near"] + peaks[""])


def test_known_words_name_sounds_in_both_languages():
    known = known_words(("dog", "rain", "piano"))
    assert {"dog", "barks", "rain", "piano", "狗", "雨", "琴"} <= known
    assert not {"a", "the", "sound", "low", "somebody", "trombone", "的", "一", "有", "声"} & known
    everything = known_words()
    for split in SPLITS:
        for text in captions(300, duration=2.56, split=split):
            named = tokens(re.sub("声音|录音|音频", "", text))
            named |= {word.removesuffix("s").removesuffix("e") for word in named}
            assert named & everything, f"nothing is known in {text!r}"


def test_a_description_has_a_prompt_for_each_kind():
    found = describe()
    assert [name for name, _, _ in found] == list(KINDS)
    assert all(title and prompt and "{" not in prompt for _, title, prompt in found)
    assert ("dog", "a barking dog", "a dog barking three times") in found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, ("trombones",)), "trombones"),
        ((0, ()), "unknown kind"),
        ((-1,), "index is -1"),
        ((0, ("bell",), 0.5), "duration is 0.5"),
        ((0, ("bell",), float("nan")), "duration is nan"),
        ((0, ("bell",), 2.56, "valid"), "split is 'valid'"),
        ((0, ("bell",), 2.56, "train", "de"), "language is 'de'"),
        ((0, ("bell",), 2.56, "train", "en", -1), "seed is -1"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        example(*arguments)
