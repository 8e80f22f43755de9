"""HiFi-GAN learns to make waveforms of spectrograms, by spectra and against discriminators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ppaudioldm import framework
from ppaudioldm.config import HifiGanConfig
from ppaudioldm.models.hifigan import HifiGan
from ppaudioldm.training.average import set_values
from ppaudioldm.training.dataset import SynthesisedClips, mel_of
from ppaudioldm.training.discriminators import DiscriminatorConfig, Discriminators
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.loop import train
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import read_log
from ppaudioldm.training.vae import NormalisedInput
from ppaudioldm.training.vocoder import Crops, VocoderSettings, VocoderStage, fold_normalisation
from tests.support import noise, run
from tests.training.support import assert_resuming_changes_nothing

SMALL = HifiGanConfig(initial_channels=64, resblock_kernels=(3,), resblock_dilations=(1,))
SETTINGS = VocoderSettings(
    kinds=("bell", "rain", "tone"),
    duration=1.0,
    crop_frames=24,
    batch_size=4,
    vocoder=SMALL,
    discriminators=DiscriminatorConfig(periods=(2, 3), period_channels=(4, 8), scales=1, scale_channels=(4, 8)),
    optimizer=OptimizerConfig(rate=3e-3, warmup=2, weight_decay=0.0),
    ema=0.8,
)


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.vocoder.HELD_OUT", 2)


def test_loss_falls_and_measures_stand_beside_griffin_lims(tmp_path, monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.vocoder.HELD_OUT", 4)
    train(VocoderStage(SETTINGS), RunConfig(steps=20, log_every=1, evaluate_every=20), tmp_path)
    log = read_log(tmp_path)
    for name, share in (("loss", 0.85), ("mel_l1", 0.85), ("stft", 0.95)):
        values = [line[name] for line in log if name in line]
        assert np.mean(values[-3:]) < share * np.mean(values[:3]), name
    measures = log[-1]
    assert measures["held_out_mel_l1"] > measures["griffin_lim_held_out_mel_l1"] > 0.02, "so soon it cannot be better"
    assert 0 < measures["griffin_lim_pitch_error"] < 1
    samples, rate = soundfile.read(tmp_path / "samples" / "vocoder-000020.wav")
    assert rate == 16000 and samples.shape == (12 * 16000,)
    assert (tmp_path / "samples" / "vocoder-000020.png").is_file()


def test_adversarial_training_begins_with_a_trained_vocoder_and_resumes_equal(tmp_path):
    run_config = RunConfig(steps=3, log_every=1, precision="f32")
    train(VocoderStage(SETTINGS), run_config, tmp_path / "spectral")
    settings = replace(SETTINGS, adversarial=True, start=str(tmp_path / "spectral"))
    begun = VocoderStage(settings).networks["vocoder"]
    before = averaged_weights(tmp_path / "spectral", "vocoder")["vocoder"]
    assert all(np.array_equal(framework.to_numpy(p), before[name]) for name, p in begun.named_parameters())
    assert_resuming_changes_nothing(lambda: VocoderStage(settings), run_config, tmp_path, (2, 3))
    line = read_log(tmp_path / "once")[0]
    assert {"judges_loss", "verdict", "features", "mel_l1"} <= line.keys()


def test_adversarial_losses_are_as_defined():
    """Scores of real waveforms are to be 1 and of generated ones 0 for the discriminators, 1 for the vocoder."""
    settings = replace(SETTINGS, adversarial=True, mel_weight=0.0, stft_weight=0.0)
    stage = VocoderStage(settings)
    batch = {name: framework.from_numpy(array) for name, array in stage.data(0).items()}
    with framework.no_grad():
        discriminator_loss, _ = stage.loss("discriminators", batch)
        vocoder_loss, logged = stage.loss("vocoder", batch)
    discriminators = stage.networks["discriminators"]
    waveform = run(stage.networks["vocoder"], framework.to_numpy(batch["mel"]))[:, : 24 * 160]
    real, fake = run(discriminators, framework.to_numpy(batch["waveform"])), run(discriminators, waveform)
    expected = np.mean([((r[-1] - 1) ** 2).mean() + (f[-1] ** 2).mean() for r, f in zip(real, fake, strict=True)])
    assert float(discriminator_loss) == pytest.approx(expected, rel=1e-4)
    adversarial = np.mean([((f[-1] - 1) ** 2).mean() for f in fake])
    layers = [(a, b) for r, f in zip(real, fake, strict=True) for a, b in zip(r[:-1], f[:-1], strict=True)]
    features = np.mean([np.abs(a - b).mean() for a, b in layers])
    assert float(vocoder_loss) == pytest.approx(0.05 * adversarial + 0.1 * features, rel=1e-4)
    assert float(logged["verdict"]) == pytest.approx(adversarial, rel=1e-4)


def test_discriminators_learn_and_the_vocoder_does_not_change_in_their_update(tmp_path):
    settings = replace(SETTINGS, adversarial=True, optimizer=replace(SETTINGS.optimizer, rate=2e-3))
    stage = VocoderStage(settings)
    stage.updates = {"discriminators": ("discriminators",)}
    before = {name: framework.to_numpy(p) for name, p in stage.networks["vocoder"].named_parameters()}
    train(stage, RunConfig(steps=25, log_every=1), tmp_path)
    losses = [line["judges_loss"] for line in read_log(tmp_path) if "judges_loss" in line]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    after = {name: framework.to_numpy(p) for name, p in stage.networks["vocoder"].named_parameters()}
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_exported_vocoder_is_the_same_function():
    network = build_trainable("vocoder", HifiGan, SMALL, 0)
    network.conv_in = NormalisedInput(network.conv_in)
    set_values({"": network.conv_in.bias}, {"": noise(64)})
    mel = 2 * noise(1, 20, 64) - 5
    plain = build_trainable("vocoder", HifiGan, SMALL, 1)
    weights = {name: framework.to_numpy(p) for name, p in network.named_parameters()}
    framework.assign_weights(plain, fold_normalisation(weights).items())
    assert np.allclose(run(plain, mel), run(network, mel), atol=1e-5)


def test_crops_are_of_the_same_moment():
    batch = Crops(SynthesisedClips(1.0, ("rain",)), SETTINGS)(5)
    assert batch["mel"].shape == (4, 24, 64) and batch["waveform"].shape == (4, 24 * 160)
    clip = SynthesisedClips(1.0, ("rain",))(10)
    mel = mel_of(clip)
    starts = [i for i in range(len(mel) - 23) if np.array_equal(mel[i : i + 24], batch["mel"][0])]
    assert len(starts) == 1
    assert np.array_equal(clip.waveform[starts[0] * 160 :][: 24 * 160], batch["waveform"][0])


def test_every_discriminator_gives_features_and_verdicts():
    config = DiscriminatorConfig()
    judged = build_trainable("discriminators", Discriminators, config, 0)(framework.from_numpy(noise(2, 4000)))
    assert len(judged) == len(config.periods) + config.scales
    for part in judged:
        assert len(part) == 5 and all(x.shape[0] == 2 for x in part) and part[-1].shape[1] == 1


def test_settings_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="crop_frames is 999, allowed: 4 to the 100 of a clip"):
        replace(SETTINGS, crop_frames=999)
    with pytest.raises(ValueError, match="no training run"):
        VocoderStage(replace(SETTINGS, start=str(tmp_path)))
    train(VocoderStage(SETTINGS), RunConfig(steps=1), tmp_path / "small")
    wider = replace(SETTINGS, start=str(tmp_path / "small"), vocoder=replace(SMALL, initial_channels=96))
    with pytest.raises(ValueError, match=r"small: not a run of this vocoder: conv_in.bias: shape \[64\]"):
        VocoderStage(wider)
