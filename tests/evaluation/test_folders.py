"""Folders of sound files: which files count, which correspond, what their prompts are; and the measures of them."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.evaluation import folders
from ppaudioldm.evaluation.compare import ClipFeatures, extract_features, measure
from tests.support import noise


@pytest.fixture
def folder(tmp_path):
    for name, rate in (("b.wav", 16000), ("a.flac", 44100), ("c.WAV", 8000)):
        write_audio(tmp_path / name, 0.1 * noise(rate), rate)
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / ".hidden.wav").write_text("no sound")
    (tmp_path / "inner").mkdir()
    return tmp_path


def test_sound_files_are_those_directly_in_the_folder_by_name(folder):
    assert [path.name for path in folders.sound_files(folder)] == ["a.flac", "b.wav", "c.WAV"]


def test_clips_are_read_at_one_rate(folder):
    assert [len(folders.read_clip(path)) for path in folders.sound_files(folder)] == [16000] * 3


def test_a_folder_without_sounds_and_a_file_are_refused(folder):
    with pytest.raises(ValueError, match="holds no sound files"):
        folders.sound_files(folder / "inner")
    with pytest.raises(ValueError, match="is not a folder"):
        folders.sound_files(folder / "notes.txt")


def test_a_file_that_is_no_sound_is_named(folder):
    (folder / "d.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"d\.wav"):
        folders.read_clip(folder / "d.wav")


def test_pairs_are_of_equal_names(folder, tmp_path):
    others = [tmp_path / name for name in ("a.wav", "x.wav", "b.mp3")]
    assert folders.pairs_by_name(folders.sound_files(folder), others) == [(0, 0), (1, 2)]


def test_prompts_are_found_by_name_with_and_without_extension(folder):
    listed = folder / "prompts.csv"
    listed.write_text('prompt,name\n"a, b",b.wav\nrain,a\nwind,c\nmore,d\n')
    assert folders.prompts_of(listed, folders.sound_files(folder)) == ["rain", "a, b", "wind"]


@pytest.mark.parametrize(
    ("text", "message"), [("prompt,name\nx,b\ny,c\n", "the name a.flac"), ("prompt,name\n,a\n", "line 2")]
)
def test_a_list_that_lacks_a_file_or_a_prompt_is_refused(folder, text, message):
    (folder / "prompts.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        folders.prompts_of(folder / "prompts.csv", folders.sound_files(folder))


def test_measures_are_as_computed_by_hand():
    generated = ClipFeatures(np.eye(3)[:2], np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.0, 0.0], [3.0, 4.0]]))
    reference = ClipFeatures(np.eye(3)[1:], np.array([[0.5, 0.5], [0.6, 0.4]]), np.array([[1.0, 1.0], [9.0, 9.0]]))
    prompts = np.array([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])
    found = measure(generated, reference, [(0, 1)], prompts)
    assert found["clap_score"] == pytest.approx((0.6 + 0.0) / 2)
    # Of the reference from the generated clip, not the other way round.
    assert found["kl"] == pytest.approx(0.6 * np.log(0.6 / 0.9) + 0.4 * np.log(0.4 / 0.1)) and found["pairs"] == 1
    assert found["nearest_to_reference"] == pytest.approx(1.0)
    assert found["nearest_among_themselves"] == pytest.approx(np.sqrt(25 / 2))
    # Equal covariances along other axes: the means are 1/2 apart on two axes, the rest is by definition.
    covariances = [np.cov(x.embeddings, rowvar=False) for x in (generated, reference)]
    root = np.sqrt(np.abs(np.linalg.eigvals(covariances[0] @ covariances[1]))).sum()
    expected = 0.5 + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * root
    assert found["frechet_distance"] == pytest.approx(expected, abs=1e-6)


def test_measures_of_a_folder_with_itself(folder):
    features = extract_features(
        folders.sound_files(folder), lambda waveform: np.array([waveform.std(), waveform[0], 1.0])
    )
    found = measure(features, features, [(0, 0)], features.embeddings / (features.embeddings**2).sum(1, keepdims=True))
    assert found["clips"] == found["reference_clips"] == 3
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-9)
    assert found["nearest_to_reference"] < 1e-4 and found["nearest_among_themselves"] > 0.01
    assert found["clap_score"] == pytest.approx(1)
    assert "kl" not in found, "there was no classifier"
