"""The trained checkpoint in the package."""

import json

import numpy as np
import pytest

from ppaudioldm import AudioLDM
from ppaudioldm.checkpoints import TINY
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.sounds import LEVEL_A
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.locate import BUILT_IN

MOST_BYTES = 40e6


@pytest.fixture(scope="module")
def pipeline():
    return AudioLDM.from_pretrained("tiny", engine="eager", precision="f32")


def test_it_is_what_the_table_says_and_small():
    checkpoint = open_checkpoint("tiny")
    assert checkpoint.config == TINY
    assert checkpoint.known_sounds is not None and [sound.name for sound in checkpoint.known_sounds.sounds] == list(
        LEVEL_A
    )
    assert sum(file.stat().st_size for file in (BUILT_IN / "tiny").rglob("*") if file.is_file()) <= MOST_BYTES


def test_what_it_makes_is_recognised_and_two_seeds_differ(pipeline):
    classifier = default_classifier()
    prompts = {"rain": "you hear heavy rain", "laser": "audio of laser zaps", "drums": "a clip with a fast drum beat"}
    first, second = (
        pipeline.generate(list(prompts.values()), seed=[seed] * len(prompts), num_inference_steps=6) for seed in (1, 2)
    )
    assert first.waveforms.shape == (len(prompts), 40960) and first.sample_rate == 16000
    for clip in (first, second):
        assert [classifier.recognise(waveform, LEVEL_A) for waveform in clip.waveforms] == list(prompts)
    for one, other in zip(first.waveforms, second.waveforms, strict=True):
        assert np.corrcoef(one, other)[0, 1] < 0.5


def test_a_recording_is_heard(pipeline):
    rng = np.random.default_rng(0)
    loa = pipeline.encode_loa(0.1 * rng.standard_normal(40960).astype(np.float32))
    assert loa.shape == (8, 128) and np.isfinite(loa).all()


def test_an_unknown_prompt_is_told(pipeline, caplog):
    pipeline.generate("a dog barks", duration=0.3, num_inference_steps=1, seed=0)
    assert "tiny was trained on 14 kinds of sound, and 'a dog barks' names none of them" in caplog.text


def test_the_sounds_are_in_its_configuration():
    values = json.loads((BUILT_IN / "tiny" / "config.json").read_text("utf-8"))
    assert values["name"] == "tiny" and len(values["knows"]["sounds"]) == len(LEVEL_A)
