"""Training of models that speak: phonemes in place of text, all LOA tokens at once, clips of sentences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm import AudioLDM, framework
from ppaudioldm.config import (
    AudioMAEConfig,
    ClapTextConfig,
    DiffusionConfig,
    GPT2Config,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    PhonemeEncoderConfig,
    UNetConfig,
    VAEConfig,
)
from ppaudioldm.engines.states import Stateful, empty_states
from ppaudioldm.framework import xp
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.models.build import NETWORKS, parameter_shapes
from ppaudioldm.models.gpt2 import GPT2
from ppaudioldm.sounds.speech.alignment import Phone, phoneme_times
from ppaudioldm.sounds.speech.speakers import SPEAKERS, descriptions
from ppaudioldm.text.phonemes import phoneme_ids
from ppaudioldm.training import encoded, loop
from ppaudioldm.training.assemble import assemble_checkpoint, known_sounds
from ppaudioldm.training.chain import ChainSettings, ordered
from ppaudioldm.training.dataset import SpokenClips, kinds_of
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.settings import RunConfig, as_values, read_settings
from ppaudioldm.training.spoken import initialise_positions, padded_phoneme_ids, parallel_loa, sinusoids
from ppaudioldm.training.state import State, load_state, read_log, save_state
from ppaudioldm.training.vocabulary import captions_of, dataset_captions, train_tokenizer
from ppaudioldm.weights.config_check import check_config
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.tokenizer_files import write_tokenizer
from tests.sounds.speech.support import install_stand_in
from tests.support import noise, random_network, relative_error, run
from tests.training.support import NoiseClips, losses_of_joint, stop_after

RECIPE = Path(__file__).parents[2] / "recipes" / "tiny-speech.toml"
SAMPLES = 8 * 640  # 8 latent frames of 40 ms: 4 LOA tokens of 80 ms
AUDIOMAE = AudioMAEConfig(frames=32, patch_size=8, patch_mels=128, hidden_size=32, num_layers=3, num_heads=1, pooling=1)
MODEL = ModelConfig(
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 2),
        num_res_blocks=1,
        attention_levels=(1,),
        context_dims=(32,),
        loa_frames=2,
    ),
    vae=VAEConfig(channels=32, channel_mult=(1, 1, 1), num_res_blocks=1),
    vocoder=HifiGanConfig(initial_channels=32),
    clap_text=ClapTextConfig(300, 32, 1, 1, 32, 514, projection_dim=32),
    clap_audio=None,
    flan_t5=None,
    phoneme_encoder=PhonemeEncoderConfig(
        hidden_size=32, num_layers=1, feed_forward_size=32, max_phonemes=24, with_embeddings=True
    ),
    gpt2=GPT2Config(32, 1, 1, 64),
    loa=LoaConfig((32, 64), 32, AUDIOMAE.num_tokens, duration_dim=32),
    diffusion=DiffusionConfig(prediction="v"),
)


class SpokenNoise(NoiseClips):
    def __call__(self, number):
        phonemes = ("həlˈoʊ", "wˈʌn tˈuː", "ɡˈʊd dˈeɪ.")[number % 3]
        times = phoneme_times(phonemes, [Phone("ah", 0.08, 0.16), Phone("pau", 0.16, 0.2), Phone("t", 0.2, 0.28)])
        return replace(super().__call__(number), phonemes=phonemes, phoneme_times=times)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.joint.SAMPLE_STEPS", 2)
    monkeypatch.setattr(encoded, "STATISTICS_CLIPS", 2)


@pytest.fixture
def settings(tmp_path):
    configs = {"clap_text": MODEL.clap_text, "vae_encoder": MODEL.vae, "vae_decoder": MODEL.vae, "audiomae": AUDIOMAE}
    for stage, names in (
        ("vae", ("vae_encoder", "vae_decoder")),
        ("clap", ("clap_text",)),
        ("audiomae", ("audiomae",)),
    ):
        arrays = {
            f"weights/{name}.{key}": framework.to_numpy(value)
            for name in names
            for key, value in build_trainable(name, NETWORKS[name][0], configs[name], 0).named_parameters()
        }
        (tmp_path / stage).mkdir()
        save_state(tmp_path / stage, State(1, {"stage": stage, "model": {"encoder": as_values(AUDIOMAE)}}, arrays))
    for kind in ("clap", "flan_t5"):
        write_tokenizer(kind, tmp_path / "tokenizers", train_tokenizer(kind, ["a tone number 1"], 300))
    places = {name: str(tmp_path / name) for name in ("vae", "clap", "audiomae", "tokenizers", "encoded")}
    return JointSettings(
        **places,
        synthesised="speech",
        learned=("unet", "phoneme_encoder", "gpt2", "loa"),
        duration=SAMPLES / 16000,
        clips=3,
        clip_uses=0,
        batch_size=3,
        loa_steps=2,
        latent_weight=0.1,
        held_out=2,
        loa_passes=2,
        model=MODEL,
        optimizer=OptimizerConfig(rate=5e-3, warmup=2),
        run=RunConfig(steps=8, log_every=1, evaluate_every=8, precision="f32"),
    )


def test_the_losses_fall_resuming_changes_nothing_and_the_checkpoint_speaks(settings, tmp_path):
    folder = tmp_path / "joint"
    stage = JointStage(settings, clips=SpokenNoise(SAMPLES))
    before = losses_of_joint(stage)
    loop.train(stage, settings.run, folder)
    after = losses_of_joint(stage)
    assert after["loa_error"] < 0.9 * before["loa_error"] and after["v_error"] < 0.98 * before["v_error"]
    lines = read_log(folder)
    steps = [line for line in lines if "rate" in line]
    errors = [line["loa_error"] for line in steps]
    assert all(after[name] < before[name] for name in ("duration_error", "latent_error", "spoken_error"))
    names = {f"x0_error_{t}_{name}" for t in (650, 850, 950) for name in ("right", "empty", "wrong", "recorded")}
    assert {*names, "loa_error"} <= lines[-1].keys() and len(list((folder / "samples").iterdir())) > 1
    for _ in range(2):
        stopped = JointStage(settings, clips=SpokenNoise(SAMPLES))
        loop.train(stopped, settings.run, tmp_path / "stopped", should_stop=stop_after(2))
    again = [line for line in read_log(tmp_path / "stopped") if "rate" in line]
    assert [line["loa_error"] for line in again] == errors[:4]

    facts = load_state(folder).facts["model"]
    assert facts["networks"]["phoneme_encoder"]["max_phonemes"] == 24 and facts["sounds"] == []
    write_native(assemble_checkpoint(folder), tmp_path / "model", "float32")
    pipeline = AudioLDM.from_pretrained(tmp_path / "model", engine="eager", precision="f32")
    clips = [
        pipeline.generate("a tone number 3", phonemes=said, duration=SAMPLES / 16000, num_inference_steps=2, seed=1)
        for said in ("həlˈoʊ", "wˈʌn tˈuː")
    ]
    assert np.abs(clips[0].waveforms - clips[1].waveforms).max() > 1e-4, "it matters what is said"


def test_the_unet_alone_learns_from_recorded_tokens(settings, tmp_path, monkeypatch):
    alone = replace(settings, learned=("unet",), with_captions=False, recorded_loa=1, loa_steps=0)
    stage = JointStage(alone, clips=SpokenNoise(SAMPLES))
    before = {name: as_arrays(network) for name, network in stage.networks.items()}
    monkeypatch.setattr(stage, "condition", None)  # GPT-2 is not asked
    alone = replace(alone.run, evaluate_every=100)
    loop.train(stage, alone, tmp_path / "unet", should_stop=stop_after(3))
    (step, *_) = [line for line in read_log(tmp_path / "unet") if "rate" in line]
    assert "v_error" in step and "loa_error" not in step
    changed = {name for name, values in before.items() if not np.array_equal(values, as_arrays(stage.networks[name]))}
    assert changed == {"unet"}


def as_arrays(network):
    return np.concatenate([framework.to_numpy(value).ravel() for value in network.parameters()])


@pytest.fixture(scope="module")
def gpt2():
    config = GPT2Config(32, 2, 2, 32)
    network = random_network("gpt2", GPT2, config)
    # Padding of one sentence at position 3 and of both at 4 and 5, which parallel_loa leaves out; then the end mark.
    attended = np.array([[1, 1, 1, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0, 1]], np.float32)
    prefix, mask = framework.from_numpy(noise(2, 7, 32)), framework.from_numpy(attended)
    empty = [framework.from_numpy(x) for x in empty_states("gpt2", replace(MODEL, gpt2=config), 2)]
    spoken = framework.from_numpy(noise(2, 4, 32, seed=1))
    free = Stateful(network, lambda batch: empty)
    with framework.no_grad():
        generated = generate_loa(prefix, mask, free, 4, xp.concat, 32, spoken)

    def parallel(history, passes):
        with framework.no_grad():
            tokens = parallel_loa(network, prefix, mask, empty, framework.from_numpy(history), passes, spoken)
            return framework.to_numpy(tokens)

    return parallel, framework.to_numpy(generated)


def test_with_as_many_passes_as_tokens_all_at_once_are_those_of_generation(gpt2):
    """The k-th pass has the first k tokens of generation, whatever it begins with."""
    parallel, generated = gpt2
    history = noise(2, 3, 32)
    assert relative_error(parallel(history, 3), generated) < 1e-5
    two = parallel(history, 1)
    assert relative_error(two[:, :2], generated[:, :2]) < 1e-5
    assert relative_error(two[:, 2:], generated[:, 2:]) > 1e-3
    assert relative_error(parallel(generated[:, :-1], 0), generated) < 1e-5


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"learned": ("unet", "flan_t5", "gpt2", "loa")}, "allowed: some of unet, phoneme_encoder, gpt2, loa"),
        ({"synthesised": "sounds"}, "synthesised is 'sounds', allowed with a phoneme encoder: speech"),
        ({"synthesised": "songs"}, "synthesised is 'songs', allowed: sounds, speech"),
        ({"kinds": ("bell",)}, "kinds has 'bell', allowed with synthesised = \"speech\": man, woman, scottish, deep"),
        ({"loa_passes": -1}, "loa_passes is -1, allowed: 0 to"),
        ({"duration": 0.48}, "latent_weight is 0.1, allowed where the LOA tokens are not those of all 12"),
    ],
)
def test_settings_that_do_not_fit(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(settings, **changes)


def test_recordings_without_phonemes_are_refused(settings):
    with pytest.raises(ValueError, match="recordings have captions but no phonemes"):
        JointStage(settings, clips=Recordings((("a.wav", "a man"),), 0.32))


def test_the_recipe_is_a_model_of_40_mb_whose_parts_fit(tmp_path):
    settings = read_settings(RECIPE, ChainSettings())
    runs = {name: settings.of_run(name, tmp_path) for name in ordered(settings)}
    assert {run.synthesised for run in runs.values()} == {"speech"} and sum(
        r.run.total_minutes for r in runs.values()
    ) <= 250
    encoder = runs["audiomae"].network.encoder
    model = replace(settings.model, audiomae=encoder)
    check_config(model)
    assert encoder.num_tokens == runs["joint"].latent_frames == model.loa.num_tokens, "a token for each latent frame"
    assert 1 + 2 + 2 + model.phoneme_encoder.max_phonemes + model.loa.num_tokens <= model.gpt2.max_positions
    names = ("unet", "vae_encoder", "vae_decoder", "phoneme_encoder", "clap_text", "gpt2", "loa")
    values = sum(int(np.prod(shape)) for name in names for shape in parameter_shapes(name, model).values())
    assert 2 * values <= 40e6


def test_spoken_clips_have_phonemes_and_a_speaker(tmp_path, monkeypatch):
    pytest.importorskip("phonemizer")
    install_stand_in(tmp_path / "bin", monkeypatch)
    clips = SpokenClips(2.56, ("woman",), count=2)
    assert kinds_of(clips) == ("woman",) and kinds_of(SpokenClips(2.56)) == tuple(SPEAKERS)
    clip = clips(1)
    assert clip.kind == "woman" and any(name in clip.caption for name in ("woman", "lady", "female", "girl"))
    assert phoneme_ids(clip.phonemes, 128)[0, 0]
    monkeypatch.setenv("PATH", "")  # no flite any more: the clips that it made are kept
    again = clips(3)
    assert again.phonemes == clip.phonemes and np.abs(again.waveform - clip.waveform).max() < 1e-3
    assert clips.held_out().split == "test" and "kept" not in repr(clips)
    assert set(dataset_captions(clips)) == set(descriptions())
    assert captions_of(clips) == "descriptions of speakers in English"


def test_a_model_that_speaks_knows_its_speakers():
    known = known_sounds(("woman", "scottish"), speaks=True)
    assert [(sound.title, sound.prompt) for sound in known.sounds] == [
        ("a woman", "a woman is speaking"),
        ("a Scottish man", "a Scottish man is speaking"),
    ]
    assert known.named_in("A female reporter is speaking") and known.named_in("an old Scotsman")
    assert not known.named_in("a child with a quiet voice speaks") and not known.named_in("a robot")


def test_strips_of_the_filter_bank_are_tokens():
    network = random_network("audiomae", AudioMAE, AUDIOMAE)
    fbank = noise(1, 32, 128)
    tokens = run(network, fbank)
    assert tokens.shape == (1, 4, 32) and framework.parameter_shapes(network)["patch_embed.weight"] == (32, 1, 8, 128)
    with pytest.raises(ValueError, match="n_mels 128 must be a multiple of patch_size \\* pooling 48"):
        AudioMAE(replace(AUDIOMAE, patch_mels=48))


def test_position_tables_begin_as_sinusoids():
    table = sinusoids(16, 8)
    assert table.shape == (16, 8) and table.std() == pytest.approx(0.5, abs=0.2)
    similarity = table @ table[8]
    assert similarity.argmax() == 8 and similarity[7] > similarity[4]
    networks = {"gpt2": build_trainable("gpt2", GPT2, MODEL.gpt2, 0)}
    initialise_positions(networks)
    assert np.allclose(framework.to_numpy(networks["gpt2"].positions.weight), sinusoids(64, 32))
    assert padded_phoneme_ids(["həlˈoʊ", ""], 24).astype(bool).any(1).tolist() == [True, False]
