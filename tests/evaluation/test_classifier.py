"""The sound classifier: it recognises held-out clips, is read from a checked file, and learns."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ppaudioldm import framework
from ppaudioldm.errors import CheckpointError
from ppaudioldm.evaluation.choices import COLLECTION
from ppaudioldm.evaluation.classifier import (
    FORMAT,
    ClassifierConfig,
    ClassifierNetwork,
    default_classifier,
    open_classifier,
    save_classifier,
)
from ppaudioldm.evaluation.kinds import held_out_examples
from ppaudioldm.evaluation.sound_sets import sound_set
from ppaudioldm.evaluation.train_classifier import ClassifierSettings, ClassifierStage
from ppaudioldm.sounds import SINGLE_KINDS, example
from ppaudioldm.training import loop
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig, read_settings, with_overrides
from tests.support import random_network

SOME_KINDS = ("piano", "marimba", "violin", "trumpet", "flute", "dog", "cow", "owl", "birds", "rain", "sea", "fire")
SOME_KINDS += ("clock", "steps", "applause", "siren", "beeps")
CONFIG = ClassifierConfig(("a bell", "rain"), channels=(8, 16))


@pytest.fixture(scope="module")
def classifier():
    return default_classifier()


@pytest.fixture(scope="module")
def collection_classifier():
    return default_classifier(COLLECTION)


@pytest.fixture
def saved(tmp_path):
    network = random_network("classifier", ClassifierNetwork, CONFIG)
    weights = {name: framework.to_numpy(p) for name, p in network.named_parameters()}
    save_classifier(tmp_path / "c.safetensors", CONFIG, weights)
    return tmp_path / "c.safetensors"


def test_it_knows_at_least_97_of_100_clips_that_it_was_not_trained_on(classifier):
    assert classifier.labels == tuple(SINGLE_KINDS)
    clips = [example(500 + seed, (kind,), split="test") for kind in SINGLE_KINDS for seed in range(3)]
    wrong = [clip.kind for clip in clips if classifier.recognise(clip.waveform) != clip.kind]
    assert len(wrong) <= 0.03 * len(clips), wrong


def test_real_clips_of_the_collection_are_recognised_and_noise_and_other_clips_are_not(collection_classifier):
    """Of a sample of its kinds: the recordings of all take seconds to decode."""
    sounds = sound_set(COLLECTION)
    assert collection_classifier.labels == sounds.single_kinds
    some = sounds.restricted(SOME_KINDS).single_kinds
    clips = [clip for clip, _ in held_out_examples(some, 2, 2.56, sounds, first=100)]
    found = [collection_classifier.recognise(clip.waveform, some) for clip in clips]
    wrong = [(clip.kind, kind) for clip, kind in zip(clips, found, strict=True) if clip.kind != kind]
    assert len(wrong) <= 0.1 * len(clips), wrong
    shifted = [clip.kind == kind for clip, kind in zip(clips, found[2:] + found[:2], strict=True)]
    assert np.mean(shifted) <= 2 / len(some)
    noise = 0.1 * np.random.default_rng(0).standard_normal((20, 40960))
    most = Counter(collection_classifier.recognise(waveform, some) for waveform in noise).most_common(1)
    assert most[0][1] >= 18  # it takes all noise for one kind, so that a model of noise is right once in all kinds


def test_it_knows_halves_of_clips_in_noise_and_quiet_ones(classifier):
    kinds = ("bell", "drums", "siren", "birds", "laser", "knocks")
    for kind in kinds:
        waveform = example(501, (kind,), 1.28, split="test").waveform
        noise = 0.003 * np.random.default_rng(0).standard_normal(len(waveform))
        assert classifier.recognise(0.5 * waveform + noise) == kind


def test_probabilities_sum_to_1_and_features_have_length_1(classifier):
    waveform = example(0, ("bell",)).waveform
    assert classifier.probabilities(waveform).sum() == pytest.approx(1)
    assert np.linalg.norm(classifier.embedding(waveform)) == pytest.approx(1)


def test_a_label_is_one_of_those_that_are_allowed(classifier):
    waveform = example(0, ("bell",)).waveform
    assert classifier.recognise(waveform, ("rain", "wind")) in ("rain", "wind")
    some = classifier.probabilities(waveform, ("rain", "bell"))
    assert some.sum() == pytest.approx(1) and some[1] > some[0]
    with pytest.raises(ValueError, match="'trombone'"):
        classifier.recognise(waveform, ("trombone",))


def test_a_very_short_sound_is_classified_too(classifier):
    assert np.isfinite(classifier.probabilities(np.ones(10))).all()


def test_a_file_gives_the_same_function_in_half_precision(saved):
    network = random_network("classifier", ClassifierNetwork, CONFIG)
    waveform = example(0, ("bell",)).waveform
    opened = open_classifier(saved)
    from ppaudioldm.audio.mel import log_mel

    with framework.no_grad():
        scores = framework.to_numpy(network(framework.from_numpy(log_mel(waveform)[None])))[0]
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert opened.labels == CONFIG.labels
    assert np.abs(opened.probabilities(waveform) - expected).max() < 0.01


def _rewritten(path, change):
    tensors = load_file(path)
    facts = {"format": FORMAT, "config": json.dumps({"labels": ["a", "b"], "channels": [8, 16], "n_mels": 64})}
    change(tensors, facts)
    save_file(tensors, path, facts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, f: f.update(format="else"), "not a sound classifier"),
        (lambda t, f: f.update(config="null"), "configuration is not complete"),
        (lambda t, f: f.update(config='{"labels": [], "channels": [8], "n_mels": 64}'), "labels"),
        (lambda t, f: f.update(config='{"labels": ["a"], "channels": [1000000], "n_mels": 64}'), "1000000"),
        (lambda t, f: f.update(config='{"labels": ["a"], "channels": [9], "n_mels": 64}'), "multiples of 8"),
        (lambda t, f: f.update(config="{"), "Expecting"),
        (lambda t, f: t.pop("out.bias"), "without a value"),
        (lambda t, f: t.update(more=np.zeros(3, np.float16)), "'more'"),
        (lambda t, f: t.update({"out.bias": np.zeros(3, np.float16)}), "out.bias: shape"),
    ],
)
def test_a_file_that_is_no_classifier_is_named_in_one_line(saved, change, message):
    _rewritten(saved, change)
    with pytest.raises(CheckpointError, match=message) as error:
        open_classifier(saved)
    assert str(saved) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\xff" * 100])
def test_a_damaged_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
        open_classifier(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises((CheckpointError, OSError), match="nowhere"):
        open_classifier(tmp_path / "nowhere")


def test_training_learns_and_its_weights_can_be_used(tmp_path):
    settings = ClassifierSettings(
        kinds=("bell", "rain", "alarm"),
        durations=(1.0,),
        channels=(8, 16, 16),
        batch_size=8,
        optimizer=OptimizerConfig(rate=1e-2, warmup=1),
        ema=0.5,
        run=RunConfig(steps=25, log_every=1, evaluate_every=100, precision="f32"),
    )
    stage = ClassifierStage(settings)
    losses: list[float] = []
    loop.train(
        stage, settings.run, tmp_path, progress=lambda step, v: losses.append(v["loss"]) if "loss" in v else None
    )
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    classifier = open_classifier(tmp_path / "samples" / "classifier-000025.safetensors")
    right = [
        classifier.recognise(example(s, (k,), 1.0, "test").waveform) == k for k in settings.kinds for s in range(4)
    ]
    assert sum(right) >= 10


def test_its_recipe_is_of_the_collection():
    recipe = Path(__file__).parents[2] / "recipes" / "classifier.toml"
    assert read_settings(recipe, ClassifierSettings()).sounds == "collection"


def test_recordings_are_refused():
    with pytest.raises(ValueError, match="clips of the package only"):
        ClassifierStage(ClassifierSettings(), clips=lambda number: None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"durations": ["x"]}, "settings.durations.0: expected a valid number, got 'x'"),
        ({"durations": [0.5]}, "1 to 60 seconds"),
        ({"durations": []}, "one or more"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"one_pair_in": 0}, "one_pair_in is 0"),
        ({"kinds": ["trombone"]}, "'trombone'"),
        ({"channels": ["x"]}, "settings.channels.0: expected a valid integer, got 'x'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        with_overrides(ClassifierSettings(), settings)
