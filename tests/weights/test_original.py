from __future__ import annotations

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights import original, original_config
from ppaudioldm.weights.convert import read_manifest
from ppaudioldm.weights.mapping import check_all_used, read_parameters
from tests.weights.examples import only_shapes

PUBLISHED = [name for name, info in CHECKPOINTS.items() if info.layout == "original"]


@pytest.mark.parametrize("ema", [False, True])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_parameter_has_its_tensor_and_every_tensor_its_use(name, ema):
    config = CHECKPOINTS[name].config
    tensors = only_shapes(read_manifest(name))
    layout = original.layout(config, ema)
    used: set[str] = set()
    for network in network_names(config):
        found, keys = read_parameters(network, parameter_shapes(network, config), layout, tensors, name)
        assert found.keys() == parameter_shapes(network, config).keys()
        used |= keys
    check_all_used(tensors, used, original.IGNORED_WITH_EMA if ema else original.IGNORED, name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_are_read_off_the_shapes(name):
    shapes = read_manifest(name)
    config = original_config.read_config(shapes, CHECKPOINTS[name].config.vae.scale_factor, name)
    assert config == CHECKPOINTS[name].config


@pytest.mark.parametrize("name", ["audioldm2-full-large-1150k", "audioldm_48k", "audioldm2-speech-gigaspeech"])
def test_no_two_parameters_share_values(name):
    config = CHECKPOINTS[name].config
    layout = original.layout(config)
    places = [
        (placement.keys, placement.chunk)
        for network in network_names(config)
        for key in parameter_shapes(network, config)
        for placement in layout(network, key)[:1]
    ]
    assert len(places) == len(set(places))


def test_the_ignored_tensors_are_no_ones_parameters():
    # Whatever is left out on purpose is a buffer, a training leftover or a network of its own.
    manifest = read_manifest("audioldm2-full")
    ignored = [key for key in manifest if original.IGNORED.fullmatch(key)]
    unknown = [
        key
        for key in ignored
        if not key.startswith(("model_ema.", "cond_stage_models.0.cond_stage_models.2.audiomae."))
        and key.endswith((".weight", ".bias"))
    ]
    kinds = {
        "spectrogram_extractor", "tscam_conv", "head", "audio_transform", "text_transform", "wte"
    }  # fmt: skip
    assert {kind for key in unknown for kind in kinds if f".{kind}." in key} == kinds
    assert all(any(f".{kind}." in key for kind in kinds) for key in unknown)


def test_of_the_phoneme_encoder_only_the_unused_means_are_left_out():
    prefix = original.PHONEMES
    keys = [key for key in read_manifest("audioldm2-speech-gigaspeech") if key.startswith(prefix)]
    ignored = [key.removeprefix(prefix) for key in keys if original.IGNORED.fullmatch(key)]
    assert ignored == ["text_encoder.proj.weight", "text_encoder.proj.bias"]


def test_ranking_clap_and_conditioning_clap_may_each_be_alone():
    layout = original.layout(CHECKPOINTS["audioldm2-full"].config)
    first, second = (placement.keys[0] for placement in layout("clap_text", "pooler.weight"))
    assert first == "cond_stage_models.0.cond_stage_models.0.model.text_branch.pooler.dense.weight"
    assert second == "clap.model.text_branch.pooler.dense.weight"
    assert layout("clap_audio", "norm.weight")[0].keys == ("clap.model.audio_branch.norm.weight",)


def test_averaged_names_have_no_dots():
    layout = original.layout(CHECKPOINTS["audioldm2-full"].config, ema=True)
    assert layout("unet", "time_in.weight")[0].keys == ("model_ema.diffusion_modeltime_embed0weight",)
    assert layout("vae_decoder", "conv_in.weight")[0].keys == ("first_stage_model.decoder.conv_in.weight",)
