"""The chain on very small networks: resumed by the same call, to a checkpoint that generates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm import AudioLDM
from ppaudioldm.cli import main
from ppaudioldm.config import ClapTextConfig, GPT2Config, HifiGanConfig, LoaConfig, T5Config, UNetConfig, VAEConfig
from ppaudioldm.training import chain, encoded, tiny
from ppaudioldm.training.chain import ChainSettings, is_complete, run_chain
from ppaudioldm.training.parallel import Process
from ppaudioldm.training.settings import RunConfig, read_settings, to_toml
from ppaudioldm.training.state import Log, State, load_state, read_log, save_state
from tests.training.support import NoiseClips, stop_after

MODEL = replace(
    tiny.MODEL,
    unet=UNetConfig(4, 32, (1, 2), num_res_blocks=1, attention_levels=(1,), context_dims=(32, 32)),
    vae=VAEConfig(32, (1, 1, 1), 1, 4),
    vocoder=HifiGanConfig(initial_channels=32),
    clap_text=ClapTextConfig(400, 32, 1, 1, 32, 514, projection_dim=32),
    flan_t5=T5Config(400, 32, 1, 1, 32, 32),
    gpt2=GPT2Config(32, 1, 1, 64),
    loa=LoaConfig((32, 32), 32, 4),
)
ENCODER = {"frames": 128, "hidden_size": 32, "num_layers": 3, "num_heads": 1, "pooling": 4}
AUDIO = {"patch_size": 8, "hidden_size": 32, "depths": [1, 1], "num_heads": [1, 1], "projection_dim": 32}


def section(steps=1, **values):
    run = {"steps": steps, "log_every": 1, "precision": "f32"}
    return {"duration": 0.64, "batch_size": 2, "run": run, **values}


SETTINGS = ChainSettings(
    runs=(*chain.ChainSettings().runs, "text", "decoder", "distill"),
    model=MODEL,
    vae=section(2, crop_frames=16, held_out=2),
    clap=section(audio=AUDIO),
    audiomae=section(network={"encoder": ENCODER, "decoder_size": 32, "decoder_layers": 1, "decoder_heads": 1}),
    short=section(duration=0.32, clips=4, held_out=2, loa_steps=0),
    text=section(clips=4, held_out=2, loa_steps=0),
    joint=section(clips=4, held_out=2, loa_steps=0, learned=["unet"]),
    decoder=section(crop_frames=16, held_out=2),
    distill=section(clips=2, held_out=1, guidance_dim=32),
)


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.joint.SAMPLE_STEPS", 1)
    monkeypatch.setattr("ppaudioldm.training.distill.EVERY", 50)
    monkeypatch.setattr("ppaudioldm.training.distill.EVALUATED", (0,))
    monkeypatch.setattr(encoded, "STATISTICS_CLIPS", 2)
    monkeypatch.setattr("ppaudioldm.training.vocabulary.sound_captions", lambda: ["a tone number 1"])
    for place in ("clap.HELD_OUT", "clap.STATISTICS_CLIPS", "audiomae.HELD_OUT"):
        monkeypatch.setattr(f"ppaudioldm.training.{place}", 2)


def test_the_same_call_resumes_to_a_checkpoint_that_generates(tmp_path):
    seen = []

    def run(should_stop=lambda: False):
        return run_chain(
            SETTINGS,
            tmp_path,
            Process(),
            clips=lambda duration: NoiseClips(round(16000 * duration)),
            should_stop=should_stop,
            progress=lambda name, step, values: seen.append((name, step)) if "rate" in values else None,
        )

    assert not run(stop_after(2)), "before the run, and after its first step"
    assert load_state(tmp_path / "vae").step == 1 and chain.assemble_chain(SETTINGS, tmp_path) is None
    assert not run(stop_after(4))
    assert seen == [("vae", 1), ("vae", 2), ("clap", 1)]
    assert run()
    assert seen[3:] == [(name, 1) for name in ("audiomae", "short", "text", "joint", "decoder", "distill")]
    assert run() and len(seen) == 9, "nothing is left"
    of_text, of_joint = (load_state(tmp_path / name).facts["settings"] for name in ("text", "joint"))
    assert of_text["start"] == str(tmp_path / "short") and of_text["learned"] == ["flan_t5", "gpt2", "loa"]
    assert of_joint["start"] == str(tmp_path / "text") and of_joint["learned"] == ["unet"]
    checkpoint = chain.assemble_chain(SETTINGS, tmp_path, "small")
    assert checkpoint.config.diffusion.clip_seconds == 0.64 and checkpoint.config.audiomae
    decoder = dict(checkpoint.weights("vae_decoder"))["conv_in.weight"]
    learned = load_state(tmp_path / "decoder").arrays["average/vae_decoder.conv_in.weight"]
    np.testing.assert_array_equal(decoder, learned)
    from ppaudioldm.weights.convert import write_native

    write_native(checkpoint, tmp_path / "model")
    pipeline = AudioLDM.from_pretrained(tmp_path / "model", engine="eager", precision="f32")
    assert np.isfinite(pipeline.generate("a tone number 3", num_inference_steps=1).waveforms).all()
    distilled = chain.assemble_distilled(SETTINGS, tmp_path)
    assert distilled.config.diffusion.sampler == "lcm" and distilled.config.unet.guidance_dim == 32
    np.testing.assert_array_equal(dict(distilled.weights("vae_decoder"))["conv_in.weight"], learned)


@pytest.mark.parametrize(
    "minutes, logged, expected", [(0.0, 600.0, False), (10.0, 59.0, False), (10.0, 60.0, True), (9.0, 60.0, True)]
)
def test_a_run_is_complete_after_its_steps_or_its_time(tmp_path, minutes, logged, expected):
    save_state(tmp_path, State(10, {}, {"x": np.zeros(1)}))
    Log(tmp_path, 0).write(5, seconds=logged)
    Log(tmp_path, 5).write(10, seconds=logged)
    assert is_complete(tmp_path, RunConfig(steps=11, total_minutes=minutes)) == expected
    assert is_complete(tmp_path, RunConfig(steps=10, total_minutes=minutes))
    assert len(read_log(tmp_path)) == 2


@pytest.mark.parametrize(
    "values, problem",
    [
        ('runs = ["vae", "clap", "unet"]', "runs has 'unet', allowed: vae, clap, audiomae, short, text, joint"),
        ("[distill]\ncheckpoint = 'tiny'", "distill.checkpoint: follows from the settings of the chain"),
        ("[distill]\nloss = 'l1'", "distill: loss is 'l1', allowed: huber, l2"),
        ('runs = ["vae", "joint"]', "runs lacks clap, which every model needs"),
        ("[joint]\nmodel = { }", "joint.model: follows from the settings of the chain, allowed: to leave it out"),
        ("[vae]\nrate = 1", "vae: unknown setting 'rate', allowed: synthesised, kinds, duration"),
        ("[short]\nduration = 0.1", "short.*duration is 0.1, allowed: multiples of 0.64 seconds"),
    ],
)
def test_settings_that_cannot_be(tmp_path, values, problem):
    (tmp_path / "chain.toml").write_text(values)
    with pytest.raises(ValueError, match=problem):
        read_settings(tmp_path / "chain.toml", ChainSettings())


def test_the_recipes_are_settings_of_the_built_in_models():
    recipes = (Path(__file__).parents[2] / "recipes").glob("*.toml")
    of_stages = ("classifier.toml", "tiny-distill.toml")  # which judges sounds; which distills it
    for path in (path for path in recipes if path.name not in of_stages):
        settings = read_settings(path, ChainSettings())
        assert settings.model.vae == tiny.MODEL.vae
        assert settings.model == tiny.MODEL or settings.synthesised == "speech"  # of the latter see test_spoken
        assert settings.of_run("joint", Path()).duration == tiny.CLIP_SECONDS
        assert all(settings.of_run(name, Path()).run.total_minutes for name in settings.runs), path


def test_the_command(tmp_path, capsys):
    (tmp_path / "chain.toml").write_text(to_toml(SETTINGS))
    assert read_settings(tmp_path / "chain.toml", ChainSettings()) == SETTINGS
    command = ["train", "chain", "--config", str(tmp_path / "chain.toml"), "-o", str(tmp_path / "runs")]
    assert main([*command, "--print-config"]) == 0
    (tmp_path / "again.toml").write_text(capsys.readouterr().out)
    assert read_settings(tmp_path / "again.toml", ChainSettings()) == SETTINGS
    assert main([*command, "--minutes", "0.0001"]) == 0
    assert "the same command resumes" in capsys.readouterr().out
    assert main([*command, "--steps", "3"]) == 2
    assert "--steps is for one stage, not for the chain" in capsys.readouterr().err
