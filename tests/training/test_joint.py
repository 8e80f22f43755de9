"""The joint stage on very small networks, with CLAP, AudioMAE and VAE that are frozen and untrained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppaudioldm import AudioLDM, framework
from ppaudioldm.audio.read import read_audio
from ppaudioldm.audio.sheet import GAP
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
from ppaudioldm.errors import CheckpointError
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training import encoded, loop, tiny
from ppaudioldm.training.dataset import seeded_rng
from ppaudioldm.training.encoded import EncodedClips, Layout, Window, decode_captions
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.joint import MIDDLE, JointStage
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig, as_values
from ppaudioldm.training.state import State, read_log, save_state
from ppaudioldm.training.vocabulary import train_tokenizer
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.tokenizer_files import tokenizer_json, write_tokenizer
from tests.support import relative_error
from tests.training.support import NoiseClips, losses_of_joint, stop_after

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
    loa=LoaConfig((32, 32), 32, tiny.LOA_TOKENS),
    diffusion=DiffusionConfig(prediction="v"),
)
AUDIOMAE = replace(tiny.AUDIOMAE, hidden_size=32, num_layers=3, num_heads=1)


@pytest.fixture(autouse=True)
def samples_of_few_steps(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.joint.SAMPLE_STEPS", 2)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "STATISTICS_CLIPS", 2)
    monkeypatch.setattr(tiny, "AUDIOMAE", AUDIOMAE)
    return settings_in(tmp_path)


def settings_in(folder):
    """Settings whose finished runs, in `folder`, hold initial weights."""
    networks = {
        name: build_trainable(name, NETWORKS[name][0], config, 0)
        for name, config in (("clap_text", MODEL.clap_text), ("vae_encoder", MODEL.vae), ("vae_decoder", MODEL.vae))
    }
    networks["audiomae"] = build_trainable("audiomae", AudioMAE, AUDIOMAE, 0)
    for run, names in (("vae", ("vae_encoder", "vae_decoder")), ("clap", ("clap_text",)), ("audiomae", ("audiomae",))):
        arrays = {
            f"weights/{name}.{key}": framework.to_numpy(value)
            for name in names
            for key, value in networks[name].named_parameters()
        }
        (folder / run).mkdir()
        save_state(folder / run, State(1, {"stage": run, "model": {"encoder": as_values(AUDIOMAE)}}, arrays))
    for kind in ("clap", "flan_t5"):
        write_tokenizer(kind, folder / "tokenizers", train_tokenizer(kind, ["a tone number 1"], 300))
    places = {name: str(folder / name) for name in ("vae", "clap", "audiomae", "tokenizers", "encoded")}
    return JointSettings(
        **places,
        duration=SAMPLES / 16000,
        clips=3,
        clip_uses=0,
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


def test_the_losses_fall_and_resuming_changes_nothing(settings, tmp_path):
    stage = train(settings, tmp_path / "whole")
    lines = read_log(tmp_path / "whole")
    steps = [line for line in lines if "rate" in line]
    assert ["v_error" in line for line in steps] == [False] * 2 + [True] * 10
    before, after = losses_of_joint(JointStage(settings, clips=NoiseClips(SAMPLES))), losses_of_joint(stage)
    assert all(after[name] < 0.97 * before[name] for name in ("loa_error", "v_error")), (before, after)
    assert {f"x0_error_{t}_{name}" for t in (650, 850, 950) for name in ("right", "empty", "wrong")} <= lines[-1].keys()
    samples = tmp_path / "whole" / "samples"
    with Image.open(samples / "joint-000012.png") as picture:
        assert picture.size == (32, 2 * (128 + GAP) - GAP)
    assert len((samples / "joint-000012.txt").read_text("utf-8").splitlines()) == 2
    sound, rate = read_audio(next(samples.glob("joint-000012-*.wav")))
    assert rate == 16000 and len(sound) == SAMPLES
    for _ in range(2):
        stopped = JointStage(settings, clips=NoiseClips(SAMPLES))
        loop.train(stopped, settings.run, tmp_path / "stopped", should_stop=stop_after(2))
    again = [line for line in read_log(tmp_path / "stopped") if "rate" in line]
    for name in ("loa_error", "v_error"):
        assert [line.get(name) for line in again] == [line.get(name) for line in steps[:4]]


class NamedClips(NoiseClips):
    """Clips that have two captions each: with the same number in both."""

    def paraphrases(self, number):
        return f"a tone number {number % 7}", f"number {number % 7} is a tone"


def test_the_text_encoder_learns_which_captions_describe_the_same_clip(settings, tmp_path):
    settings = replace(settings, paraphrases=6, paraphrase_weight=1.0, run=replace(settings.run, steps=24))
    stage = JointStage(settings, clips=NamedClips(SAMPLES))
    numbers = [stage.data(index)["paraphrase_ids"].tolist() for index in (0, 1, 0)]
    assert numbers[0] == numbers[2] != numbers[1] and len(numbers[0]) == 12
    loop.train(stage, settings.run, tmp_path / "run", should_stop=stop_after(24))
    found = [line["paraphrase_error"] for line in read_log(tmp_path / "run") if "rate" in line]
    assert len(found) == 24 and np.mean(found[-6:]) < 0.6 * np.mean(found[:6])
    assert (
        stage.networks.keys() == JointStage(replace(settings, paraphrases=0), clips=NamedClips(SAMPLES)).networks.keys()
    )


def test_more_timesteps_from_the_middle(settings):
    """So many more that their share of all is what was asked for and what is drawn there anyway."""
    stage = JointStage(replace(settings, middle_timesteps=0.6, batch_size=64), clips=NoiseClips(SAMPLES))
    alpha_bar = np.concatenate([stage.data(index)["alpha_bar"].ravel() for index in range(8)])
    low, high = (stage._schedule.alpha_bar(round(share * 1000)) for share in reversed(MIDDLE))
    in_middle = np.mean((alpha_bar > low) & (alpha_bar <= high))
    assert in_middle == pytest.approx(0.6 + 0.4 * (MIDDLE[1] - MIDDLE[0]), abs=0.05)
    with pytest.raises(ValueError, match="middle_timesteps is 2, allowed: 0 to 1"):
        replace(settings, middle_timesteps=2)


def test_paraphrases_that_cannot_be(settings):
    with pytest.raises(ValueError, match="paraphrases is 6, allowed with recordings, which have one caption each: 0"):
        JointStage(replace(settings, paraphrases=6), clips=NoiseClips(SAMPLES))
    for count, problem in ((1, "paraphrases is 1, allowed: 0, or 2 or more"), (-2, "paraphrases is -2, allowed")):
        with pytest.raises(ValueError, match=problem):
            replace(settings, paraphrases=count)


@pytest.fixture
def stage(settings):
    return JointStage(replace(settings, batch_size=8, unconditional=0.5, recorded_loa=0.5), clips=NoiseClips(SAMPLES))


def test_the_loss_of_an_unet_that_predicts_0_is_that_of_the_velocity(stage):
    """As initialised: v is sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) latents (arXiv:2202.00512)."""
    arrays = stage.data(6)
    with framework.no_grad():
        _, logged = stage.loss("all", {name: framework.from_numpy(array) for name, array in arrays.items()})
    signal, sigma = np.sqrt(arrays["alpha_bar"]), np.sqrt(1 - arrays["alpha_bar"])
    velocity = signal * arrays["noise"] - sigma * arrays["latents"]
    assert float(logged["v_error"]) == pytest.approx((velocity**2).mean(), rel=1e-4)


def test_the_error_of_an_unet_that_predicts_0_is_that_of_the_noisy_latents(stage):
    latents = stage._normalised(stage._held_out[[0, 1]]["latents"])
    with framework.no_grad():
        found = stage.evaluate()
    for timestep in (650, 850, 950):
        alpha_bar = stage._schedule.alpha_bar(timestep)
        noise = seeded_rng(timestep).standard_normal(latents.shape, np.float32)
        noisy = np.sqrt(alpha_bar) * latents + np.sqrt(1 - alpha_bar) * noise
        error = ((np.sqrt(alpha_bar) * noisy - latents) ** 2).mean()  # x0 = sqrt(alpha_bar) noisy - sigma v
        for name in ("right", "empty", "wrong"):
            assert found[f"x0_error_{timestep}_{name}"] == pytest.approx(error, rel=1e-3)


def test_the_unet_is_conditioned_on_audiomaes_tokens_on_gpt2s_or_on_zeros(stage):
    arrays = stage.data(6)
    batch = {name: framework.from_numpy(array) for name, array in arrays.items()}
    contexts = []
    predict = stage._unet
    stage._unet = lambda noisy, features, states, masks: (
        contexts.append(states) or predict(noisy, features, states, masks)
    )
    with framework.no_grad():
        stage.loss("all", batch)
        condition = stage.condition(batch)
    states, predicted = framework.to_numpy(condition.states), framework.to_numpy(condition.loa)
    loa = framework.to_numpy(contexts[0][0])
    assert np.array_equal(framework.to_numpy(contexts[0][1]), states)
    seen = set()
    for row in range(8):
        is_conditional, is_from_audiomae = arrays["is_conditional"][row].item(), arrays["is_from_audiomae"][row].item()
        expected = (arrays["loa"] if is_from_audiomae else predicted)[row] * is_conditional
        assert np.allclose(loa[row], expected, atol=1e-6)
        has_text = arrays["t5_mask"][row].sum() > 1  # more than the end of the text
        assert has_text == bool(is_conditional)
        seen.add((is_conditional, is_from_audiomae))
    assert len(seen) == 4, "the batch has clips of every kind"


def test_guidance_extrapolates_from_the_empty_caption_to_the_caption(settings, tmp_path):
    """One step of the sampler is linear in the prediction, so that its latents are."""
    stage = train(settings, tmp_path, 6)
    stage.decoder = lambda latents: latents

    def latents(caption, guidance):
        return stage.generate([caption], 0, 1, guidance)

    empty, plain, guided = latents("", 1.0), latents("a tone number 1", 1.0), latents("a tone number 1", 3.0)
    assert np.allclose(latents("a tone number 1", 0.0), empty, atol=1e-5)
    assert np.abs(plain - empty).max() > 1e-3
    assert relative_error(guided - empty, 3 * (plain - empty)) < 1e-3
    contexts = stage.contexts
    stage.contexts = lambda _, phonemes: contexts(["a tone number 1"])  # no empty caption: guidance has nothing to add
    assert relative_error(latents("a tone number 1", 3.0), plain) < 1e-4
    assert np.abs(stage.generate(["a tone number 1"], 1, 1) - guided).max() > 0.1, "another seed, another noise"


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


def test_audiomaes_tokens_are_normalised_in_the_stage_and_in_the_checkpoint(settings, tmp_path):
    """Unlike latents, tokens of an untrained AudioMAE have a mean that is far larger than their deviation."""
    stage = train(settings, tmp_path / "joint", 3)
    raw = stage._clips[[0, 1]]["loa"].astype(np.float32)
    assert np.abs(raw.mean((0, 1)) / raw.std((0, 1))).mean() > 1
    tokens = stage._loa(stage._clips[[0, 1]])
    assert np.allclose(tokens.mean((0, 1)), 0, atol=0.02) and np.allclose(tokens.std((0, 1)), 1, atol=0.02)
    main(["assemble", str(tmp_path / "joint"), str(tmp_path / "small")])
    of_checkpoint = JointStage(
        replace(settings, checkpoint=str(tmp_path / "small"), model=open_checkpoint(tmp_path / "small").config),
        clips=NoiseClips(SAMPLES),
    )
    assert relative_error(of_checkpoint._loa(of_checkpoint._clips[[0, 1]]), tokens) < 0.01  # as float16
    assert "loa" not in of_checkpoint.model()
    longer = replace(settings, start=str(tmp_path / "joint"), duration=2 * SAMPLES / 16000)
    further = JointStage(longer, clips=NoiseClips(2 * SAMPLES)).model()
    assert further["loa"] == stage.model()["loa"] and further["latents"] == stage.model()["latents"]


def test_a_run_whose_tokens_are_not_normalised_goes_on_without(settings, tmp_path):
    as_they_are = replace(settings, normalise_loa=False)
    before = train(as_they_are, tmp_path / "joint", 2)
    assert np.array_equal(before._loa(before._clips[[0, 1]]), before._clips[[0, 1]]["loa"].astype(np.float32))
    with pytest.raises(CheckpointError, match=r"belongs to another run: loa is part of the model, was not"):
        train(settings, tmp_path / "joint", 3)
    assert train(as_they_are, tmp_path / "joint", 3)
    further = JointStage(replace(settings, start=str(tmp_path / "joint")), clips=NoiseClips(SAMPLES))
    assert "loa" not in further.model(), "what it continues decides"


def arrays_of(stage):
    return {
        name: {key: framework.to_numpy(value).copy() for key, value in network.named_parameters()}
        for name, network in stage.networks.items()
    }


def changed(before, after):
    """The networks of which some parameter differs."""
    return {
        name for name in before if any(not np.array_equal(before[name][key], after[name][key]) for key in before[name])
    }


def test_networks_are_trained_in_turns(settings, tmp_path):
    """First what reads the caption, then the UNet, which begins where the other run ended; the checkpoint has both."""
    text = replace(settings, learned=("flan_t5", "gpt2", "loa"), loa_steps=0)
    initial = arrays_of(JointStage(settings, clips=NoiseClips(SAMPLES)))
    trained = train(text, tmp_path / "text", 4)
    assert changed(initial, arrays_of(trained)) == {"flan_t5", "gpt2", "loa"}
    line = [line for line in read_log(tmp_path / "text") if "rate" in line][-1]
    assert "loa_error" in line and "v_error" not in line
    unet = replace(settings, learned=("unet",), loa_steps=0, start=str(tmp_path / "text"))
    begun = arrays_of(JointStage(unet, clips=NoiseClips(SAMPLES)))
    trained = train(unet, tmp_path / "joint", 4)
    assert changed(begun, arrays_of(trained)) == {"unet"}
    line = [line for line in read_log(tmp_path / "joint") if "rate" in line][-1]
    assert "v_error" in line and "loa_error" not in line
    assert train(unet, tmp_path / "joint", 5), "it resumes"
    assert main(["assemble", str(tmp_path / "joint"), str(tmp_path / "small"), "--dtype", "float32"]) == 0
    stored = dict(open_checkpoint(tmp_path / "small").weights("gpt2"))
    assert all(np.allclose(stored[key], value, atol=1e-6) for key, value in begun["gpt2"].items())


def test_the_unet_alone_computes_the_condition_without_gradients(settings, tmp_path):
    train(settings, tmp_path / "start", 1)
    alone = replace(settings, learned=("unet",), loa_steps=0, start=str(tmp_path / "start"))
    stage = JointStage(alone, clips=NoiseClips(SAMPLES))
    batch = {name: framework.from_numpy(array) for name, array in stage.data(3).items()}
    loss, _ = stage.loss("all", batch)
    loss.backward()
    for name, network in stage.networks.items():
        has_gradient = any(p.grad is not None for p in network.parameters())
        assert has_gradient == (name == "unet"), name


def test_the_unet_may_begin_with_audiomaes_tokens_alone(settings, tmp_path):
    settings = replace(settings, learned=("unet",), recorded_loa=1, loa_steps=0, with_captions=False)
    begun = arrays_of(JointStage(settings, clips=NoiseClips(SAMPLES)))
    stage = train(settings, tmp_path / "tokens", 3)
    assert changed(begun, arrays_of(stage)) == {"unet"}
    assert stage.data(0)["t5_mask"].sum(1).tolist() == [1] * 3, "the end of the text alone"
    next_one = replace(settings, with_captions=True, start=str(tmp_path / "tokens"))
    assert JointStage(next_one, clips=NoiseClips(SAMPLES)).data(0)["t5_mask"].sum() > 3


def test_a_run_goes_on_with_the_newest_clips_of_the_one_before(settings):
    settings = replace(settings, clips=8, clip_uses=1.0, batch_size=4)
    first = JointStage(settings, clips=NoiseClips(SAMPLES))
    next_one = JointStage(replace(settings, clips_before=40), clips=NoiseClips(SAMPLES))
    windows = [Window(8, 1.0).at(drawn) for drawn in (0, 40)]
    assert windows[1] == range(33, 41)
    for stage, window in ((first, windows[0]), (next_one, windows[1])):
        assert set(stage.draw(0)[0]) <= set(window)


def test_conditions_are_those_of_generation(settings):
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


def test_without_a_caption_loa_tokens_are_zeros(settings):
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


def test_a_new_clip_takes_the_row_of_an_old_one(tmp_path):
    asked = []

    def encode(numbers):
        asked.extend(numbers)
        return {"latents": np.array(numbers, np.float32)[:, None] * np.ones((1, 4)), "caption": [b""] * len(numbers)}

    def opened():
        return EncodedClips(tmp_path, 4, Layout((4,)), {}, encode)

    clips = opened()
    assert clips[[0, 3, 6, 5]]["latents"][:, 0].tolist() == [0, 3, 6, 5]
    assert clips.missing([0, 1, 2, 3, 5, 6]) == [1, 2] and clips.missing([4, 9]) == [4, 9]
    assert opened()[[4, 3]]["latents"][:, 0].tolist() == [4, 3]
    assert asked == [0, 3, 5, 6, 4] and clips.missing([0]) == [0]


def test_each_clip_is_used_as_often_as_set():
    """Draws from the window while it moves: after the first ones, which are used more often."""
    generator, window = np.random.default_rng(0), Window(200, 5.0)
    assert window.at(0) == range(25) and Window(200).at(10**6) == range(200)
    assert window.at(10**6) == range(25 + 200_000 - 200, 25 + 200_000)
    draws = [generator.integers(at.start, at.stop) for at in (window.at(drawn) for drawn in range(10_000))]
    uses = np.bincount(draws)
    assert uses[500:1500].mean() == pytest.approx(5, rel=0.1)


def test_clips_are_replaced_over_time_and_synthesised_ahead(settings):
    """The batches are the same whether workers synthesise their clips or not."""
    settings = replace(settings, clips=8, clip_uses=1.0, batch_size=4)
    plain = JointStage(settings, clips=NoiseClips(SAMPLES))
    batches = [plain.data(index) for index in range(4)]
    assert plain._clips.missing([0]), "the first clips have been replaced"
    for file in Path(settings.encoded).iterdir():
        file.unlink()
    ahead = JointStage(replace(settings, workers=1), clips=NoiseClips(SAMPLES))
    for index in range(4):
        for name, array in ahead.data(index).items():
            np.testing.assert_allclose(array, batches[index][name], rtol=0.01, atol=0.01, err_msg=name)


@pytest.mark.skipif(framework.NAME == "paddle", reason="PyTorch compiles")
def test_the_text_of_a_compiled_unet_has_few_lengths_and_the_same_loss(settings):
    run = replace(settings.run, compile=("unet",))
    stages = [JointStage(replace(settings, run=run), clips=NoiseClips(SAMPLES)) for run in (settings.run, run)]
    lengths, found = [], []
    for stage in stages:
        predict = stage._unet
        stage._unet = lambda *inputs, predict=predict: lengths.append(inputs[2][1].shape[1]) or predict(*inputs)
        with framework.no_grad():
            batch = {name: framework.from_numpy(array) for name, array in stage.data(6).items()}
            found.append(float(stage.loss("all", batch)[1]["v_error"]))
    assert lengths[0] < 64 and lengths[1] == 64
    assert found[0] == pytest.approx(found[1], rel=1e-5)
