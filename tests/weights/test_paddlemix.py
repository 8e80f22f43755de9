from __future__ import annotations

import re

import numpy as np
import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights import paddlemix
from ppaudioldm.weights.checkpoint import PADDLEMIX_FILE, open_checkpoint, random_checkpoint
from ppaudioldm.weights.original_config import read_config
from tests.weights.examples import (
    OnlyShape,
    assert_same_values,
    error_of,
    one_naming,
    paddlemix_layout,
    paddlemix_tensors,
    stored,
)
from tests.weights.paddle_writer import write_paddle

NAMINGS = ("paddlemix", "paddlemix-published")


@pytest.mark.parametrize("naming", NAMINGS)
def test_both_namings(layouts, naming):
    checkpoint = open_checkpoint(layouts[naming])
    assert (checkpoint.layout, checkpoint.config) == ("paddlemix", UNTRAINED)
    assert_same_values(checkpoint, random_checkpoint("untrained", UNTRAINED, 0))


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("name", ["audioldm2-full", "audioldm2-full-large-1150k", "audioldm2-speech-ljspeech"])
def test_the_sizes_of_full_checkpoints_are_read_off_the_shapes(name, naming):
    config = CHECKPOINTS[name].config
    layout = one_naming(paddlemix_layout(config), published=naming == "paddlemix-published")
    tensors = {
        key: OnlyShape(placement.stored_shape(shape))
        for network in network_names(config)
        for parameter, shape in parameter_shapes(network, config).items()
        for placement in layout(network, parameter)
        for key in placement.keys
    }
    assert read_config(paddlemix.published_shapes(tensors), 1.0, "x.pdparams") == config


def names_of(network: str, naming: str, config: ModelConfig = UNTRAINED) -> set[str]:
    layout = one_naming(paddlemix_layout(config), published=naming == "paddlemix-published")
    return {
        re.sub(r"\.\d+\.", ".0.", layout(network, name)[0].keys[0].rpartition("model.")[2])
        for name in parameter_shapes(network, config)
    }


def test_names_of_paddlenlp():
    assert {
        "embeddings.layer_norm.weight",
        "encoder.layers.0.self_attn.q_proj.weight",
        "encoder.layers.0.self_attn.out_proj.bias",
        "encoder.layers.0.linear1.weight",
        "encoder.layers.0.norm2.bias",
    } <= {key.removeprefix("text_branch.") for key in names_of("clap_text", "paddlemix")}
    gpt2 = names_of("gpt2", "paddlemix")
    assert {"embeddings.position_embeddings.weight", "decoder.layers.0.linear2.weight", "decoder.norm.weight"} <= gpt2
    assert "h.0.attn.c_attn.weight" in names_of("gpt2", "paddlemix-published")


def test_linear_layers_are_transposed_and_convolutions_are_not():
    layout = paddlemix_layout(UNTRAINED)
    assert layout("flan_t5", "layers.0.query.weight")[0].transposed
    assert not layout("flan_t5", "embedding.weight")[0].transposed
    # A published 1x1 convolution that is a linear layer of ours.
    placement = layout("unet", "middle.transformers.layers.0.proj_in.weight")[0]
    assert placement.trailing == 2 and not placement.transposed
    # (inputs, outputs) in the published file already.
    assert layout("gpt2", "layers.0.qkv.weight")[0].stored_shape((384, 128)) == (128, 384)


def test_statistics_of_batch_norm_have_paddles_names():
    keys = [
        paddlemix_layout(UNTRAINED)("clap_audio", f"input_norm.running_{part}")[0].keys[0] for part in ("mean", "var")
    ]
    assert keys == ["clap.model.audio_branch.bn0._mean", "clap.model.audio_branch.bn0._variance"]


def test_a_folder_as_paddlemix_saves_it(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["AudioLDM2Model"]}')
    write_paddle(
        tmp_path / PADDLEMIX_FILE, paddlemix_tensors(random_checkpoint("untrained", UNTRAINED, 0), "paddlemix").items()
    )
    assert_same_values(open_checkpoint(tmp_path), random_checkpoint("untrained", UNTRAINED, 0))


def test_more_of_the_file_than_generation_needs(tmp_path):
    tensors = paddlemix_tensors(random_checkpoint("untrained", UNTRAINED, 0), "paddlemix")
    for key in (
        "cond_stage_models.0.model.embeddings.word_embeddings.weight",
        "clap.model.audio_branch.bn0.num_batches_tracked",
        "clap.model.logit_scale_a",
        "cond_stage_models.0.cond_stage_models.2.audiomae.model.decoder_pos_embed",
        "first_stage_model.loss.logvar",
        "sqrt_alphas_cumprod",
    ):
        tensors[key] = stored(np.zeros(3, np.float32))
    write_paddle(tmp_path / "x.pdparams", tensors.items())
    assert_same_values(open_checkpoint(tmp_path / "x.pdparams"), random_checkpoint("untrained", UNTRAINED, 0))


def test_a_mix_of_both_namings_within_a_layer_is_incomplete(tmp_path):
    tensors = paddlemix_tensors(random_checkpoint("untrained", UNTRAINED, 0), "paddlemix")
    del tensors["cond_stage_models.0.model.decoder.layers.1.self_attn.k_proj.weight"]
    write_paddle(tmp_path / "x.pdparams", tensors.items())
    message = error_of(open_checkpoint, tmp_path / "x.pdparams")
    assert "1 tensors of gpt2 are missing, the first: cond_stage_models.0.model.h.1.attn.c_attn.weight" in message


def test_another_model(tmp_path):
    write_paddle(tmp_path / "bert.pdparams", [("bert.embeddings.weight", stored(np.zeros((3, 4), np.float32)))])
    assert "not an AudioLDM checkpoint" in error_of(open_checkpoint, tmp_path / "bert.pdparams")
