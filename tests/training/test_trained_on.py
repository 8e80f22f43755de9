"""The joint stage on a checkpoint in place of runs: it begins with its weights and ends as another checkpoint."""

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import AudioLDM, framework
from ppaudioldm.audio.write import write_audio
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.cli import main
from ppaudioldm.training import loop
from ppaudioldm.training.assemble import assemble_checkpoint
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.joint_settings import pretrained_of, settings_for
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.pretrained import check_trainable
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import read_log
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.convert import write_native
from tests.training.support import NoiseClips, losses_of_joint, stop_after

SAMPLES = 8 * 640  # 8 latent frames
BASE = "untrained"  # predicts the noise; its latents are half of the VAE's


@pytest.fixture(autouse=True)
def samples_of_few_steps(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.joint.SAMPLE_STEPS", 2)


@pytest.fixture
def settings(tmp_path):
    return replace(
        settings_for(BASE),
        encoded=str(tmp_path / "encoded"),
        duration=SAMPLES / 16000,
        clips=2,
        batch_size=2,
        held_out=2,
        optimizer=OptimizerConfig(rate=2e-3, warmup=2),
        run=RunConfig(steps=6, log_every=1, evaluate_every=6, precision="f32"),
    )


def stage_of(settings):
    return JointStage(settings, clips=NoiseClips(SAMPLES))


def test_the_losses_fall_and_resuming_changes_nothing(settings, tmp_path):
    stage = stage_of(settings)
    before = losses_of_joint(stage)
    loop.train(stage, settings.run, tmp_path / "whole")
    after = losses_of_joint(stage)
    assert before.keys() == {"epsilon_error", "loa_error"}
    assert all(after[name] < 0.97 * before[name] for name in before), (before, after)
    for _ in range(2):
        loop.train(stage_of(settings), settings.run, tmp_path / "stopped", should_stop=stop_after(1))
    whole, stopped = ([x for x in read_log(tmp_path / name) if "rate" in x] for name in ("whole", "stopped"))
    for name in before:
        assert [line[name] for line in stopped] == [line[name] for line in whole[:2]]


def test_it_begins_as_the_checkpoint(settings):
    stage, pipeline = stage_of(settings), AudioLDM.from_pretrained(BASE, engine="eager", precision="f32")
    clip = NoiseClips(SAMPLES)(0)
    latents = stage._normalised(stage._clips[[0]]["latents"])
    expected = pipeline.encode_audio(clip.waveform)  # (8, T, 16)
    np.testing.assert_allclose(latents[0], expected, rtol=0.01, atol=2e-3)  # they are kept in half precision
    with framework.no_grad():
        stage_mel = framework.to_numpy(stage.decoder(framework.from_numpy(latents)))
        scale = stage.settings.model.vae.scale_factor
        plain = pipeline.engine.run_numpy("vae_decoder", latents / scale)
    np.testing.assert_allclose(stage_mel, plain, rtol=1e-3, atol=1e-3)
    base = open_checkpoint(BASE)
    for name, network in stage.networks.items():
        learned = {key: framework.to_numpy(value) for key, value in network.named_parameters()}
        for key, value in base.weights(name):
            np.testing.assert_array_equal(learned[key], value)


def test_what_is_learned_takes_its_place_and_the_rest_stays(settings, tmp_path, capsys):
    settings = replace(settings, learned=("unet",))
    stage = stage_of(settings)
    assert set(stage.networks) == {"unet"}
    loop.train(stage, settings.run, tmp_path / "run", should_stop=stop_after(2))
    assert main(["assemble", str(tmp_path / "run"), str(tmp_path / "mine"), "--dtype", "float32"]) == 0
    base, mine = open_checkpoint(BASE), open_checkpoint(tmp_path / "mine")
    assert mine.config == base.config
    for network in mine.networks:
        before, after = dict(base.weights(network)), dict(mine.weights(network))
        assert before.keys() == after.keys()
        is_same = all(np.array_equal(before[key], after[key]) for key in before)
        assert is_same == (network != "unet"), network
    pipeline = AudioLDM.from_pretrained(tmp_path / "mine", engine="eager", precision="f32")
    clip = pipeline.generate("a tone number 3", duration=0.32, num_inference_steps=2, seed=1)
    assert clip.waveforms.shape == (1, SAMPLES) and np.isfinite(clip.waveforms).all()
    assert main(["assemble", str(tmp_path / "run"), str(tmp_path / "x"), "--vocoder", str(tmp_path / "run")]) == 2
    assert "has its own decoder and vocoder" in capsys.readouterr().err


def test_it_stays_under_the_licence_of_the_original(settings, tmp_path, monkeypatch):
    licensed = replace(open_checkpoint(BASE), licence="CC-BY-NC-ND-4.0")
    monkeypatch.setattr("ppaudioldm.training.assemble.open_checkpoint", lambda name: licensed)
    settings = replace(settings, learned=("unet",))
    loop.train(stage_of(settings), settings.run, tmp_path / "run", should_stop=stop_after(1))
    write_native(assemble_checkpoint(tmp_path / "run"), tmp_path / "mine", "float32")
    assert open_checkpoint(tmp_path / "mine").licence == "CC-BY-NC-ND-4.0"


def test_the_command(tmp_path, capsys):
    """On recordings of another rate, from nothing but a checkpoint's name and a folder."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for number in range(3):
        clip = NoiseClips(22050)(number)
        write_audio(recordings / f"{number}.wav", clip.waveform, 22050)
        (recordings / f"{number}.txt").write_text(clip.caption)
    (tmp_path / "settings.json").write_text(
        f'{{"duration": 0.32, "clips": 2, "held_out": 2, "batch_size": 2, "encoded": "{tmp_path / "encoded"}"}}'
    )
    command = ["train", "joint", "-c", BASE, "--data", str(recordings), "--config", str(tmp_path / "settings.json")]
    assert main([*command, "--steps", "2", "-o", str(tmp_path / "run")]) == 0
    assert main(["assemble", str(tmp_path / "run"), str(tmp_path / "mine")]) == 0
    assert open_checkpoint(tmp_path / "mine").known_sounds is None  # it was trained on what no list tells
    capsys.readouterr()
    assert main(["train", "vae", "-c", BASE]) == 2
    assert "--checkpoint is for the stages joint and distill, not for vae" in capsys.readouterr().err
    assert main(["train", "joint", "-c", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["audioldm2-full", "audioldm2-music-665k", "audioldm2-full-large-1150k", "tiny"])
def test_checkpoints_that_can_be_trained_on(name):
    check_trainable(name, CHECKPOINTS[name].config)


@pytest.mark.parametrize(
    "name,problem",
    [
        ("audioldm2-speech-gigaspeech", r"contexts of the UNet is \('loa',\)"),
        ("audioldm_48k", "contexts of the UNet"),
        ("audioldm_16k_crossattn_t5", "contexts of the UNet"),
    ],
)
def test_checkpoints_that_cannot_be_trained_on(name, problem):
    with pytest.raises(ValueError, match=problem):
        check_trainable(name, CHECKPOINTS[name].config)


@pytest.mark.parametrize(
    "values,problem",
    [
        ({"learned": ()}, "learned is"),
        ({"learned": ("vae",)}, "allowed: some of unet"),
        (
            {"learned": ("unet",), "checkpoint": ""},
            "allowed without checkpoint and start: all networks, or all but unet",
        ),
        ({"with_captions": False}, "with_captions is false, allowed with AudioMAE, learned = .* and recorded_loa = 1"),
        ({"learned": ("unet",), "loa_steps": 5}, "loa_steps is 5, .* allowed: 0"),
        ({"learned": ("unet",), "paraphrases": 8}, "paraphrases is 8, .* no text encoder is trained: 0"),
    ],
)
def test_settings_that_cannot_be(settings, values, problem):
    with pytest.raises(ValueError, match=problem):
        replace(settings, **values)


def test_another_model_than_the_checkpoints(settings):
    model = replace(settings.model, vae=replace(settings.model.vae, scale_factor=0.25))
    with pytest.raises(ValueError, match="untrained: model differs from the checkpoint's"):
        stage_of(replace(settings, model=model))


def test_a_checkpoint_without_audiomae_has_no_tokens_to_begin_with(settings, monkeypatch):
    without = replace(pretrained_of(settings), audiomae={})
    monkeypatch.setattr("ppaudioldm.training.joint.pretrained_of", lambda _: without)
    alone = replace(settings, learned=("unet",), recorded_loa=1, with_captions=False)
    with pytest.raises(ValueError, match="with_captions is false, allowed where untrained has no AudioMAE: true"):
        stage_of(alone)
