"""The joint stage on networks as small as they get, listening to untrained CLAP, AudioMAE and VAE."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm import AudioLDM, framework
from ppaudioldm.audio.read import read_audio
from ppaudioldm.cli import main
from ppaudioldm.config import (
    ClapTextConfig,
    DiffusionConfig,
    GPT2Config,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    T5Config,
    UNetConfig,
    VAEConfig,
)
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training import encoded, loop, tiny
from ppaudioldm.training.encoded import EncodedClips, Layout, decode_captions
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.joint import JointSettings, JointStage
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig, as_values
from ppaudioldm.training.state import State, read_log, save_state
from ppaudioldm.training.vocabulary import train_tokenizer
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.tokenizer_files import tokenizer_json, write_tokenizer
from tests.training.noise import NoiseClips

SAMPLES = 8 * 640  # 8 latent frames
MODEL = ModelConfig(
    unet=UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_levels=(1,), context_dims=(32, 32)
    ),
    vae=VAEConfig(channels=32, channel_mult=(1, 1, 1), num_res_blocks=1),
    vocoder=HifiGanConfig(initial_channels=32),
    clap_text=ClapTextConfig(300, 32, 1, 1, 32, 514, projection_dim=32),
    clap_audio=None,
    flan_t5=T5Config(300, 32, 1, 1, 32, 32),
    gpt2=GPT2Config(32, 1, 1, 64),
    loa=LoaConfig((32, 32), 32),
    diffusion=DiffusionConfig(prediction="v"),
)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings whose finished runs hold initial weights."""
    monkeypatch.setattr(tiny, "AUDIOMAE", replace(tiny.AUDIOMAE, hidden_size=32, num_layers=3, num_heads=1))
    monkeypatch.setattr(encoded, "STATISTICS_CLIPS", 2)
    networks = {
        name: build_trainable(name, NETWORKS[name][0], config, 0)
        for name, config in (("clap_text", MODEL.clap_text), ("vae_encoder", MODEL.vae), ("vae_decoder", MODEL.vae))
    }
    networks["audiomae"] = build_trainable("audiomae", AudioMAE, tiny.AUDIOMAE, 0)
    for run, names in (("vae", ("vae_encoder", "vae_decoder")), ("clap", ("clap_text",)), ("audiomae", ("audiomae",))):
        arrays = {
            f"weights/{name}.{key}": framework.to_numpy(value)
            for name in names
            for key, value in networks[name].named_parameters()
        }
        (tmp_path / run).mkdir()
        save_state(tmp_path / run, State(1, {"stage": run, "model": {"encoder": as_values(tiny.AUDIOMAE)}}, arrays))
    for kind in ("clap", "flan_t5"):
        write_tokenizer(kind, tmp_path / "tokenizers", train_tokenizer(kind, ["a tone number 1"], 300))
    places = {name: str(tmp_path / name) for name in ("vae", "clap", "audiomae", "tokenizers", "encoded")}
    return JointSettings(
        **places,
        duration=SAMPLES / 16000,
        clips=3,
        batch_size=3,
        loa_steps=2,
        held_out=2,
        model=MODEL,
        optimizer=OptimizerConfig(rate=3e-3, warmup=2),
        run=RunConfig(steps=12, log_every=1, evaluate_every=12, precision="f32"),
    )


def train(settings, folder, steps=None):
    stage = JointStage(settings, clips=NoiseClips(SAMPLES))
    loop.train(stage, replace(settings.run, steps=steps or settings.run.steps), folder)
    return stage


def losses(stage):
    """What the log of a step would say, on the same batches always."""
    found = []
    with framework.no_grad():
        for index in range(100, 104):
            batch = {name: framework.from_numpy(array) for name, array in stage.data(index).items()}
            found.append({name: float(value) for name, value in stage.loss("all", batch)[1].items()})
    return {name: np.mean([values[name] for values in found]) for name in found[0]}


def test_the_losses_fall_and_resuming_changes_nothing(settings, tmp_path):
    stage = train(settings, tmp_path / "whole")
    lines = read_log(tmp_path / "whole")
    steps = [line for line in lines if "rate" in line]
    assert ["v_error" in line for line in steps] == [False] * 2 + [True] * 10
    before, after = losses(JointStage(settings, clips=NoiseClips(SAMPLES))), losses(stage)
    assert all(after[name] < 0.97 * before[name] for name in ("loa_error", "v_error")), (before, after)
    assert {f"x0_error_{t}_{name}" for t in (850, 950) for name in ("right", "empty", "wrong")} <= lines[-1].keys()
    with np.load(tmp_path / "whole" / "samples" / "joint-000012.npz") as sample:
        assert sample["mel"].shape == (2, 32, 64) and np.isfinite(sample["mel"]).all()
    sound, rate = read_audio(next((tmp_path / "whole" / "samples").glob("joint-000012-*.wav")))
    assert rate == 16000 and len(sound) == SAMPLES
    with framework.no_grad():  # other captions, other sounds; other seeds too
        one, two = stage.generate(["a tone number 1"], 0, 3), stage.generate(["a tone number 1"], 1, 3)
    assert not np.allclose(one, two)
    for count in (2, 4):
        train(settings, tmp_path / "parts", count)
    again = [line for line in read_log(tmp_path / "parts") if "rate" in line]
    for name in ("loa_error", "v_error"):
        assert [line.get(name) for line in again] == [line.get(name) for line in steps[:4]]


def test_runs_are_assembled_to_a_checkpoint_that_generates(settings, tmp_path, capsys):
    stage = train(settings, tmp_path / "joint", 3)
    assert main(["assemble", str(tmp_path / "joint"), str(tmp_path / "small")]) == 0
    assert "M parameters" in capsys.readouterr().out
    pipeline = AudioLDM.from_pretrained(tmp_path / "small", engine="eager", precision="f32")
    assert pipeline.config.vocoder.method == "griffin-lim"
    clip = pipeline.generate("a tone number 3", duration=0.32, num_inference_steps=2, seed=1)
    assert clip.waveforms.shape == (1, 5120) and np.isfinite(clip.waveforms).all()
    # The stored VAE is the trained one with everything folded in.
    weights = dict(open_checkpoint(tmp_path / "small").weights("vae_decoder"))
    expected = {key: framework.to_numpy(value) for key, value in stage.decoder.named_parameters()}
    assert all(np.allclose(weights[key], value, rtol=1e-3, atol=1e-5) for key, value in expected.items())
    assert main(["assemble", str(tmp_path / "vae"), str(tmp_path / "small")]) == 2
    assert "a run of the stage vae, expected joint" in capsys.readouterr().err


def test_conditions_are_what_generation_makes(settings):
    """The tokens that are trained are those of the pipeline's own encoder of prompts."""

    stage = JointStage(settings, clips=NoiseClips(SAMPLES))
    networks = {
        **stage.networks,
        "clap_text": stage.clap_text,
        "vae_encoder": stage.encoder,
        "vae_decoder": stage.decoder,
    }
    networks["vocoder"] = build_trainable("vocoder", NETWORKS["vocoder"][0], MODEL.vocoder, 0)
    stored = {
        name: {
            key: ComputedTensor(tuple(value.shape), lambda value=value: framework.to_numpy(value))
            for key, value in network.named_parameters()
        }
        for name, network in networks.items()
    }
    checkpoint = Checkpoint(
        "test", "native", MODEL, lambda kind: tokenizer_json(kind, Path(settings.tokenizers)), stored
    )
    conditions = PromptEncoder(checkpoint, EagerEngine(checkpoint, "cpu", "f32")).encode(["a tone number 3"])
    with framework.no_grad():
        (loa, states), _ = stage.contexts(["a tone number 3"])
    assert np.allclose(framework.to_numpy(loa), conditions.contexts[0], atol=1e-5)
    assert np.allclose(framework.to_numpy(states), conditions.contexts[1], atol=1e-5)


def test_without_a_caption_the_unet_hears_zeros(settings):
    stage = JointStage(settings, clips=NoiseClips(SAMPLES))
    (loa, _), masks = stage.contexts(["", "a tone number 3"])
    assert not framework.to_numpy(loa)[0].any() and framework.to_numpy(loa)[1].any()
    assert framework.to_numpy(masks[1])[0].sum() == 1  # the end of the text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vae": "none"}, "none: no training run, it has no state.safetensors; expected one of the stage vae"),
        ({"clap": "VAE"}, "a run of the stage vae, expected clap"),
        ({"tokenizers": "none"}, "none: no tokenizers; the stage clap writes them"),
        ({"run": RunConfig(workers=2)}, "run.workers is 2, allowed: 0"),
    ],
)
def test_runs_that_are_missing_or_others_are_named(settings, change, message):
    change = {name: settings.vae if value == "VAE" else value for name, value in change.items()}
    with pytest.raises(ValueError, match=message):
        JointStage(replace(settings, **change), clips=NoiseClips(SAMPLES))


def test_clips_are_encoded_once(tmp_path):
    asked = []

    def encode(numbers):
        asked.extend(numbers)
        values = np.array(numbers, np.float32)[:, None] * np.ones((1, 4))
        return {"latents": values, "caption": [f"clip {n} é".encode() for n in numbers]}

    def opened(source="x"):
        return EncodedClips(tmp_path, 10, Layout((4,)), {"vae": source}, encode)

    rows = opened()[[3, 1, 3]]
    assert asked == [1, 3] and rows["latents"][:, 0].tolist() == [3, 1, 3]
    assert decode_captions(rows) == ["clip 3 é", "clip 1 é", "clip 3 é"]
    assert opened()[[1, 2]]["latents"][:, 0].tolist() == [1, 2] and asked == [1, 3, 2]
    opened("another encoder")[[1]]
    assert asked == [1, 3, 2, 1]
    assert len(list(tmp_path.iterdir())) == 2
    more = EncodedClips(tmp_path, 20, Layout((4,)), {"vae": "x"}, encode)
    assert more[[19, 3]]["latents"][:, 0].tolist() == [19, 3] and asked == [1, 3, 2, 1, 19]
