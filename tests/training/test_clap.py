"""CLAP learns which text belongs to which sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soxr

from ppaudioldm import framework
from ppaudioldm.audio.clap_mel import clap_log_mel
from ppaudioldm.config import ClapAudioConfig, ClapTextConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training.clap import ClapSettings, ClapStage, audio_encoder_input
from ppaudioldm.training.dataset import SynthesisedClips
from ppaudioldm.training.loop import train
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import read_log
from ppaudioldm.training.vocabulary import write_tokenizers
from tests.support import noise
from tests.training.support import assert_resuming_changes_nothing

SETTINGS = ClapSettings(
    kinds=("tone", "rain"),
    duration=1.0,
    batch_size=8,
    text=ClapTextConfig(300, 32, 1, 1, 64, 514, projection_dim=32),
    audio=ClapAudioConfig(patch_size=16, hidden_size=32, depths=(1, 1), num_heads=(1, 2), projection_dim=32),
    optimizer=OptimizerConfig(rate=3e-3, warmup=2),
    ema=0.8,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> ClapSettings:
    folder = tmp_path_factory.mktemp("tokenizers")
    write_tokenizers(folder, ["a low tone", "heavy rain on a roof"] * 9)
    return replace(SETTINGS, tokenizers=str(folder))


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.clap.HELD_OUT", 16)
    monkeypatch.setattr("ppaudioldm.training.clap.STATISTICS_CLIPS", 8)


def test_loss_falls_and_texts_find_sounds_of_their_kind(settings, tmp_path):
    train(ClapStage(settings), RunConfig(steps=24, log_every=1, evaluate_every=24), tmp_path)
    log = read_log(tmp_path)
    losses = [line["loss"] for line in log if "loss" in line]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    measures = log[-1]
    assert measures["audio_to_text"] > measures["chance"] + 0.2
    lines = (tmp_path / "samples" / "clap-000024.txt").read_text("utf-8").splitlines()
    assert len(lines) == 16 and all(" -> " in line for line in lines)


def test_resuming_gives_the_same_weights(settings, tmp_path):
    settings = replace(settings, batch_size=2)
    assert_resuming_changes_nothing(lambda: ClapStage(settings), RunConfig(precision="f32"), tmp_path, (2, 3))


def test_loss_is_the_cross_entropy_of_both_directions(settings):
    stage = ClapStage(replace(settings, batch_size=4))
    batch = {name: framework.from_numpy(array) for name, array in stage.data(0).items()}
    with framework.no_grad():
        loss, _ = stage.loss("all", batch)
        text, audio = (framework.to_numpy(x).astype(np.float64) for x in stage._embeddings(batch))
    logits = text @ audio.T / 0.07
    per_text, per_audio = (np.log(np.exp(x).sum(1)) - np.diag(x) for x in (logits, logits.T))
    assert abs(per_text.mean() - per_audio.mean()) > 1e-3, "both directions count"
    assert float(loss) == pytest.approx((per_text.mean() + per_audio.mean()) / 2, rel=1e-3)


def test_band_statistics_are_measured_and_stay(settings):
    norm = ClapStage(settings).networks["clap_audio"].input_norm
    mean, variance = framework.to_numpy(norm.running_mean), framework.to_numpy(norm.running_var)
    assert (mean < -10).all() and (mean > -100.1).all() and (variance >= 0).all() and variance.max() > 10


def test_tokenizers_are_made_where_there_are_none(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ppaudioldm.training.vocabulary.dataset_captions", lambda clips: ["a low tone", "heavy rain"] * 9
    )
    stage = ClapStage(replace(settings, tokenizers=str(tmp_path / "new")))
    assert (tmp_path / "new" / "tokenizer" / "tokenizer.json").exists()
    assert (tmp_path / "new" / "tokenizer_2" / "tokenizer.json").exists()
    assert stage.data(0)["ids"].max() < settings.text.vocab_size
    message = "new: its vocabulary was trained on other captions than these: name a new folder in `tokenizers`"
    with pytest.raises(CheckpointError, match=message):
        ClapStage(replace(settings, tokenizers=str(tmp_path / "new")), clips=Recordings((("a.wav", "a cat"),), 1.0))


def test_widths_of_the_joint_space_must_agree(settings):
    with pytest.raises(ValueError, match="projection_dim of text and audio are 64 and 32"):
        replace(settings, text=replace(settings.text, projection_dim=64))
    with pytest.raises(ValueError, match="batch_size is 1, allowed: 2 to"):
        replace(settings, batch_size=1)


def test_clips_are_used_again_in_other_words_and_lengths(settings, monkeypatch):
    synthesised = []
    original = SynthesisedClips.__call__
    monkeypatch.setattr(SynthesisedClips, "__call__", lambda clips, n: synthesised.append(n) or original(clips, n))
    stage = ClapStage(replace(settings, clips=5, paraphrases=6, shortened=0.5))
    synthesised.clear()
    batches = [stage.data(index) for index in range(4)]
    assert set(synthesised) <= set(range(5)) and len(synthesised) == len(set(synthesised))
    assert all(batch["log_mel"].shape == (8, 1, 1024, 64) and len(batch["ids"]) == 8 + 12 for batch in batches)
    # Of 32 inputs of five clips half are whole, and equal.
    inputs = np.concatenate([batch["log_mel"] for batch in batches])
    distinct = [a for i, a in enumerate(inputs) if not any(np.array_equal(a, b) for b in inputs[:i])]
    assert 12 <= len(distinct) < 28
    again = ClapStage(replace(settings, clips=5, paraphrases=6, shortened=0.5)).data(3)
    np.testing.assert_array_equal(again["log_mel"], batches[3]["log_mel"])
    np.testing.assert_array_equal(again["ids"], batches[3]["ids"])


def test_pairs_of_captions_are_contrasted(settings, tmp_path):
    settings = replace(settings, clips=8, paraphrases=8)
    train(ClapStage(settings), RunConfig(steps=24, log_every=1, evaluate_every=24), tmp_path)
    errors = [line["paraphrase_error"] for line in read_log(tmp_path) if "paraphrase_error" in line]
    assert len(errors) == 24 and np.mean(errors[-4:]) < 0.9 * np.mean(errors[:4])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"paraphrases": 1}, "paraphrases is 1, allowed: 0, or 2 or more"),
        ({"clips": -1}, "clips is -1, allowed: 0 to"),
        ({"shortened": 1.5}, "shortened is 1.5, allowed: 0 to 1"),
    ],
)
def test_settings_that_cannot_be(values, problem):
    with pytest.raises(ValueError, match=problem):
        replace(SETTINGS, **values)


def test_recordings_have_one_caption_each(settings):
    with pytest.raises(ValueError, match="paraphrases is 8, allowed with recordings, which have one caption each: 0"):
        ClapStage(replace(settings, paraphrases=8), clips=lambda number: SynthesisedClips(1.0, ("tone",))(number))


def test_the_input_is_the_one_of_generation_and_of_ten_seconds_at_most():
    waveform = 0.1 * noise(11 * 16000)
    expected = clap_log_mel(soxr.resample(waveform, 16000, 48000))
    np.testing.assert_array_equal(audio_encoder_input(waveform), expected)
    with pytest.raises(ValueError, match="not finite"):
        audio_encoder_input(np.full(1600, np.nan, np.float32))
