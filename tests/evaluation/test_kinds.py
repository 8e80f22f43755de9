"""Recognition accuracy: real clips are recognised, others are counted in their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.audio.sheet import GAP, HEAD_HEIGHT, HEIGHT_SCALE, NAME_WIDTH, named_sheet, sheet, write_sheet
from ppaudioldm.evaluation import kinds, report, stages
from ppaudioldm.evaluation.choices import COLLECTION, REAL, SIMPLE
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.evaluation.pipeline_stages import real
from ppaudioldm.evaluation.sound_sets import set_that_has, sound_set
from ppaudioldm.evaluation.summary import (
    Summary,
    TrainingClips,
    accuracy_by_check,
    confusions,
    frechet_ratio,
    median_regularity,
    not_judged,
    variety,
)
from ppaudioldm.sounds import example

REQUESTED = ("tone", "sweep", "note", "beeps", "knocks", "sequence")


@pytest.fixture(scope="module")
def classifier():
    return default_classifier()


@pytest.fixture(scope="module")
def judge(classifier):
    return kinds.Judge(classifier, sound_set(SIMPLE), 2.56)


@pytest.fixture(scope="module")
def clips(judge):
    return kinds.recognise_clips(real, judge, REQUESTED, 4)


def summary(clips, **variety):
    return Summary(clips, frozenset(sound_set(SIMPLE).single_kinds), {"tone": 0.5}, variety)


def test_real_clips_are_recognised_and_measured_right(clips):
    found = summary(clips)
    assert list(found.by_kind) == list(REQUESTED)
    assert found.totals["accuracy"] >= 0.95 and found.totals["accuracy_of_pairs"] >= 0.75
    found = accuracy_by_check(clips)
    assert len(found) == 6 and min(found.values()) >= 0.75 and np.mean(list(found.values())) >= 0.95


def test_what_is_asked_for_is_held_out():
    for wanted, seed in kinds.held_out_examples(("bell",), 3, 1.5, sound_set(SIMPLE)):
        assert np.array_equal(wanted.waveform, example(seed, ("bell",), 1.5, "test").waveform)


def test_a_model_that_always_rings_a_bell_is_found_out(judge):
    bell = example(0, ("bell",)).waveform
    found = kinds.recognise_clips(lambda wanted, seed: bell, judge, ("bell", "rain", "tone"), 3)
    assert summary(found).by_kind == {"bell": 1, "rain": 0, "tone": 0}
    assert summary(found).totals == {"accuracy": pytest.approx(1 / 3), "lowest_of_a_kind": 0}
    assert confusions(found) == {"bell": {"bell": 3}, "rain": {"bell": 3}, "tone": {"bell": 3}}
    measured = variety(found, TrainingClips(judge.sounds, 2.56, 3).nearest(found))
    assert measured["diversity"] < 1e-9 and measured["nearest_among_themselves"] < 1e-4


def test_a_single_kind_is_recognised_among_all_that_a_checkpoint_knows(judge):
    """Not among those that were asked for: of one kind, every clip would be recognised."""
    bell = example(0, ("bell",)).waveform
    (found,) = kinds.recognise_clips(lambda wanted, seed: bell, judge, ("rain",), 1)
    assert found.recognised == "bell"


def test_sounds_in_the_wrong_order_are_counted_wrong(judge):
    def swapped(wanted, seed):
        middle = len(wanted.waveform) // 2
        return np.concatenate([wanted.waveform[middle:], wanted.waveform[:middle]])

    found = kinds.recognise_clips(swapped, judge, ("sequence",), 6)
    assert accuracy_by_check(found)[kinds.ORDER] <= 0.2
    assert confusions(found)["sequence"].get("something else", 0) >= 5


def test_copies_of_training_clips_are_found(judge):
    found = kinds.recognise_clips(lambda wanted, seed: example(seed, ("bell",)).waveform, judge, ("bell",), 2)
    nearest = TrainingClips(judge.sounds, 2.56, 3).nearest(found)
    assert nearest["bell"] < 1e-4 and variety(found, nearest)["nearest_to_training"] == nearest["bell"]


def test_an_unknown_kind_is_named(judge):
    with pytest.raises(ValueError, match="'trombone'"):
        kinds.recognise_clips(real, judge, ("trombone",), 1)


def test_the_report_has_a_row_for_each_kind_and_a_column_for_each_stage(clips):
    text = report.kinds_report({"real": summary(clips, diversity=0.25), "again": summary(clips)})
    assert "| kind | real | again |" in text and "| diversity | 0.25 |  |" in text
    assert "\n| tone | 100 % | 100 % |" in text and "\n| **tone** | 4 |" in text and "order of two sounds" in text
    assert "\n| **single kinds** | 100 % | 100 % |" in text and "\n| **pairs of sounds** |" in text
    assert "cannot judge" not in text


def test_kinds_whose_real_clips_are_not_recognised_are_named(clips):
    spoilt = [replace(clip, recognised="rain" if clip.kind == "tone" else clip.recognised) for clip in clips]
    assert not_judged(summary(spoilt)) == ["tone"]
    assert "cannot judge them: tone." in report.kinds_report({REAL: summary(spoilt)})


def test_measures_are_a_table():
    assert report.measures_table({"clips": 3.0, "clap_score": 0.25}).splitlines()[2:] == [
        "| clips | 3 |",
        "| clap score | 0.25 |",
    ]


def test_a_sheet_has_a_place_for_each_clip(tmp_path):
    quiet, loud = np.full((10, 4), -11.0), np.full((8, 4), 1.0)
    picture = sheet([[quiet, loud], [loud]])
    height = 4 * HEIGHT_SCALE
    assert picture.shape == (2 * height + GAP, 2 * 10 + GAP, 3)
    assert (picture[:height, :10] < 20).all() and (picture[height + GAP :, :8] > 200).all()
    assert (picture[height + GAP :, 10 + GAP :] == 255).all()
    assert write_sheet(tmp_path / "s.png", [[loud]]).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="one or more"):
        sheet([[]])


def test_a_sheet_of_many_named_rows_is_in_blocks():
    mel = np.full((20, 4), 1.0)
    few, many = named_sheet([[mel, mel]], ["bell"], ["real", "vae"]), named_sheet([[mel]] * 30, ["rain"] * 30, ["real"])
    assert few.shape == (HEAD_HEIGHT + 4 * HEIGHT_SCALE, NAME_WIDTH + 2 * 20 + GAP, 3)
    assert (few[HEAD_HEIGHT:, :NAME_WIDTH] < 128).any() and (few[:HEAD_HEIGHT, NAME_WIDTH:] < 128).any()
    assert many.shape == (HEAD_HEIGHT + 15 * (4 + GAP) - GAP, 2 * (NAME_WIDTH + 10 + 2 * GAP), 3)


def test_order_is_that_of_the_likelier_labels():
    bell, rain = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    assert kinds.in_order(bell, rain, 0, 1) and not kinds.in_order(rain, bell, 0, 1)


def test_clips_of_the_collection_are_asked_for_in_both_languages():
    sounds = sound_set(COLLECTION)
    requests = [request for request, _ in kinds.held_out_examples(("dog",), 4, 1.0, sounds, first=6)]
    assert [request.language for request in requests] == ["en", "zh"] * 2
    assert sounds.levels["all"] == sounds.kinds and sounds.choose("dog, rain") == ("dog", "rain")
    with pytest.raises(ValueError, match="'sneeze'"):
        sounds.choose("dog,sneeze")


def test_both_languages_count_apart(clips):
    chinese = [replace(clip, language="zh", recognised="rain") for clip in clips]
    assert summary([*clips, *chinese]).by_language == {"en": 1, "zh": 0}
    assert summary(clips).by_language == {}


def test_a_subset_of_the_sounds_is_what_a_checkpoint_knows():
    known = ("dog", "rain", "piano", "sequence", "together")
    whole = sound_set(COLLECTION)
    subset = whole.restricted(known)
    assert set(subset.kinds) == set(known) and set(subset.single_kinds) == {"dog", "rain", "piano"}
    assert subset.levels["animals"] == ("dog",) and "machines" not in subset.levels
    for kind in ("sequence", "together"):
        pairs = [clip.parameters for clip, _ in kinds.held_out_examples((kind,), 6, 2.0, subset)]
        assert {pair[place] for pair in pairs for place in ("first", "second")} == {"dog", "rain", "piano"}
    clips = [next(kinds.held_out_examples(("dog",), 1, 1.0, sounds))[0] for sounds in (whole, subset)]
    assert np.array_equal(clips[0].waveform, clips[1].waveform) and clips[0].caption == clips[1].caption
    with pytest.raises(ValueError, match="'sneeze'"):
        subset.choose("sneeze")
    with pytest.raises(ValueError, match="knows none of the sounds 'simple'"):
        sound_set(SIMPLE).restricted(("piano",))


def test_the_sounds_of_a_checkpoint_are_found_by_its_kinds():
    assert set_that_has({"tone", "bell", "rain"}) == SIMPLE
    assert set_that_has({"tone", "bell", "piano"}) == COLLECTION


def test_pairs_of_the_simple_sounds_are_of_any_two():
    known = ("bell", "rain", "sequence")
    assert sound_set(SIMPLE).restricted(known).kinds == ("bell", "rain")
    assert sound_set(SIMPLE).restricted(sound_set(SIMPLE).kinds).kinds == sound_set(SIMPLE).kinds


def test_a_classifier_of_other_sounds_is_named(classifier):
    with pytest.raises(ValueError, match="does not know 'piano'"):
        kinds.Judge(classifier, sound_set(COLLECTION), 2.56)


def test_more_real_clips_are_as_near_to_real_ones_and_others_are_not(classifier):
    judge = kinds.Judge(classifier, sound_set(SIMPLE), 1.0)

    def clips(requested, first):
        return kinds.recognise_clips(real, judge, requested, 8, first)

    bells, more, others = clips(("bell",), 0), clips(("bell",), 8), clips(("rain",), 0)
    assert frechet_ratio(bells, bells, more) == pytest.approx(1)
    assert frechet_ratio(others, bells, more) > 3


def test_stages_are_compared_with_real_clips(classifier):
    judge = kinds.Judge(classifier, sound_set(SIMPLE), 1.0)
    silent = lambda wanted, seed: np.zeros(16000)  # noqa: E731
    seen = []
    found = stages.evaluate_stages(
        {REAL: real, "silent": silent}, judge, ("bell", "rain"), 3, 5, lambda *s: seen.append(s)
    )
    assert found[REAL].variety["frechet_ratio"] == 1 < found["silent"].variety["frechet_ratio"]
    assert [clip.seed for clip in found["silent"].clips] == [5, 6, 7] * 2
    assert seen[-1] == (stages.MORE_REAL, 6, 6)


def test_a_median_says_of_how_many_clips_it_is(clips):
    name = "uneven intervals of clock, beats"
    some = [
        replace(clip, regularity={name: value})
        for clip, value in zip(clips[:4], (0.1, 0.2, np.nan, np.nan), strict=True)
    ]
    assert median_regularity(some) == {name: (pytest.approx(0.15), 0.5)}
    assert f"| {name} | 0.15 (50 %) |" in report.kinds_report({REAL: summary(some)})
    none = summary([replace(clip, regularity={name: np.nan}) for clip in clips])
    assert none.measures()["regularity"] == {name: None} and f"| {name} | none |" in report.kinds_report({REAL: none})


def test_a_sound_may_end_before_or_after_the_middle(classifier):
    bell, rain = (example(0, (kind,), 2.56).waveform for kind in ("bell", "rain"))
    pair = [classifier.labels.index(kind) for kind in ("bell", "rain")]
    size = len(bell)
    for share in (0.4, 0.6):
        cut = int(share * size)
        clip = np.concatenate([bell[:cut], rain[: size - cut]])
        before, after = kinds.at_switch(clip, classifier.probabilities, pair)
        assert [before.argmax(), after.argmax()] == pair


def test_confusions_of_many_kinds_are_a_list(clips):
    wrong = [replace(clip, recognised="rain") for clip in clips if clip.kind == "tone"]
    assert report.confusion_list([*clips[-4:], *wrong]).splitlines()[-1] == "| tone | rain (4) |"
