"""Recognition accuracy: real clips are recognised, others are counted in their place."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.evaluation import kinds, report
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.evaluation.pipeline_stages import real
from ppaudioldm.evaluation.sheet import GAP, HEIGHT_SCALE, sheet, write_sheet
from ppaudioldm.sounds import example

REQUESTED = ("tone", "sweep", "note", "beeps", "knocks", "sequence")


@pytest.fixture(scope="module")
def classifier():
    return default_classifier()


@pytest.fixture(scope="module")
def clips(classifier):
    return kinds.recognise_clips(real, classifier, REQUESTED, 4, 2.56)


def test_real_clips_are_recognised_and_measured_right(clips):
    assert list(kinds.accuracy_by_kind(clips)) == list(REQUESTED)
    assert np.mean(list(kinds.accuracy_by_kind(clips).values())) >= 0.95
    found = kinds.accuracy_by_check(clips)
    assert len(found) == 6 and min(found.values()) >= 0.75 and np.mean(list(found.values())) >= 0.95


def test_what_is_asked_for_is_held_out():
    for wanted, seed in kinds.held_out_examples(("bell",), 3, 1.5):
        assert np.array_equal(wanted.waveform, example(seed, ("bell",), 1.5, "test").waveform)


def test_a_model_that_always_rings_a_bell_is_found_out(classifier):
    bell = example(0, ("bell",)).waveform
    found = kinds.recognise_clips(lambda wanted, seed: bell, classifier, ("bell", "rain", "tone"), 3, 2.56)
    assert kinds.accuracy_by_kind(found) == {"bell": 1, "rain": 0, "tone": 0}
    assert kinds.confusions(found) == {"bell": {"bell": 3}, "rain": {"bell": 3}, "tone": {"bell": 3}}
    variety = kinds.variety(found, 2.56, 3)
    assert variety["diversity"] < 1e-9 and variety["nearest_among_themselves"] < 1e-4


def test_sounds_in_the_wrong_order_are_counted_wrong(classifier):
    def turned(wanted, seed):
        middle = len(wanted.waveform) // 2
        return np.concatenate([wanted.waveform[middle:], wanted.waveform[:middle]])

    found = kinds.recognise_clips(turned, classifier, ("sequence",), 6, 2.56)
    assert kinds.accuracy_by_check(found)[kinds.ORDER] <= 0.2
    assert kinds.confusions(found)["sequence"].get("something else", 0) >= 5


def test_copies_of_training_clips_are_found(classifier):
    found = kinds.recognise_clips(
        lambda wanted, seed: example(seed, ("bell",)).waveform, classifier, ("bell",), 2, 2.56
    )
    assert kinds.variety(found, 2.56, 3)["nearest_to_training"] < 1e-4


def test_an_unknown_kind_is_named(classifier):
    with pytest.raises(ValueError, match="'trombone'"):
        kinds.recognise_clips(real, classifier, ("trombone",), 1, 2.56)


def test_the_report_has_a_row_for_each_kind_and_a_column_for_each_stage(clips):
    text = report.kinds_report({"real": clips, "again": clips}, {"real": {"diversity": 0.25}, "again": {}})
    assert "| kind | real | again |" in text and "| diversity | 0.25 |  |" in text
    assert "\n| tone | 100 % | 100 % |" in text and "\n| **tone** | 4 |" in text and "order of two sounds" in text


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


def test_order_is_that_of_the_likelier_labels():
    bell, rain = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    assert kinds.in_order(bell, rain, 0, 1) and not kinds.in_order(rain, bell, 0, 1)
