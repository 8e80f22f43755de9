from __future__ import annotations

from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.models.build import parameter_shapes
from ppaudioldm.weights.original import layout
from ppaudioldm.weights.original_config import read_config
from tests.weights.examples import error_of, tiny_tensors

UNET = "model.diffusion_model."
VOCODER = "first_stage_model.vocoder."


@pytest.fixture
def shapes() -> dict[str, tuple[int, ...]]:
    return {key: tensor.shape for key, tensor in tiny_tensors().items()}


def test_tiny(shapes):
    assert read_config(shapes, UNTRAINED.vae.scale_factor, "x") == UNTRAINED


def test_the_other_copy_of_t5s_embedding(shapes):
    prefix = "cond_stage_models.1.model."
    del shapes[f"{prefix}shared.weight"]
    assert read_config(shapes, 0.5, "x").flan_t5 == UNTRAINED.flan_t5


def test_a_context_as_wide_as_one_level_is_still_a_context(shapes):
    # Level 1 of tiny has 64 channels, level 2 has 96: only what is square everywhere is self-attention.
    for level in (1, 2):
        key = f"{UNET}input_blocks.{1 + 2 * level}.2.transformer_blocks.0.attn2.to_k.weight"
        shapes[key] = (shapes[key][0], 96)
    assert read_config(shapes, 0.5, "x").unet.context_dims == (96, 160)


def test_self_attention_instead_of_a_context(shapes):
    for level in (1, 2):
        key = f"{UNET}input_blocks.{1 + 2 * level}.3.transformer_blocks.0.attn2.to_k.weight"
        shapes[key] = (shapes[key][0],) * 2
    assert read_config(shapes, 0.5, "x").unet.context_dims == (128, None)


PHONEMES = PhonemeEncoderConfig(50, 24, 3, 4, 40, 5, 60)


@pytest.fixture
def speech_shapes(shapes) -> dict[str, tuple[int, ...]]:
    config = replace(CHECKPOINTS["audioldm2-speech-ljspeech"].config, phoneme_encoder=PHONEMES)
    for name, shape in parameter_shapes("phoneme_encoder", config).items():
        (placement,) = layout(config)("phoneme_encoder", name)
        shapes[placement.keys[0]] = placement.stored_shape(shape)
    return shapes


def test_speech_has_512_loa_tokens(speech_shapes):
    config = read_config(speech_shapes, 0.5, "x")
    assert config == replace(
        UNTRAINED,
        phoneme_encoder=PHONEMES,
        loa=replace(UNTRAINED.loa, num_tokens=512),
        audiomae=replace(UNTRAINED.audiomae, pooling=1),
    )


@pytest.mark.parametrize(
    "key, shape",
    [
        ("learnable_positional_embedding", (24, 60)),
        ("text_encoder.emb.weight", (50,)),
        ("text_encoder.encoder.attn_layers.0.emb_rel_k", (1, 11, 0)),
        ("text_encoder.encoder.attn_layers.0.emb_rel_k", (11, 6)),
        ("text_encoder.encoder.attn_layers.0.emb_rel_k", (1, 11, 7)),
        ("text_encoder.encoder.ffn_layers.0.conv_1.weight", ()),
    ],
)
def test_strange_shapes_of_the_phoneme_encoder(speech_shapes, key, shape):
    key = f"cond_stage_models.0.cond_stage_models.1.{key}"
    assert key in speech_shapes
    speech_shapes[key] = shape
    assert "(strange shapes" in error_of(read_config, speech_shapes, 1.0, "x.pth")


@pytest.mark.parametrize(
    "key, shape",
    [
        (f"{UNET}input_blocks.0.0.weight", ()),
        (f"{UNET}input_blocks.0.0.weight", (0, 8, 3, 3)),
        (f"{UNET}input_blocks.1.0.out_layers.3.weight", ()),
        ("first_stage_model.encoder.conv_in.weight", (0,)),
        (f"{VOCODER}conv_pre.weight", (3,)),
        (f"{VOCODER}conv_pre.weight", (64, 100, 7)),
        (f"{VOCODER}ups.0.weight", (64, 32, 15)),
        ("clap.model.text_branch.embeddings.word_embeddings.weight", (1, 2, 3)),
        ("clap.model.text_branch.embeddings.word_embeddings.weight", (300, 65)),
        ("clap.model.audio_branch.layers.0.blocks.0.attn.relative_position_bias_table", (225,)),
        ("clap.model.audio_branch.patch_embed.proj.weight", (32, 1, 4)),
        ("cond_stage_models.1.model.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32, 0)),
        ("cond_stage_models.0.model.wpe.weight", (1024,)),
        ("cond_stage_models.0.input_sequence_embed_linear.0.weight", (1,)),
    ],
)
def test_strange_shapes(shapes, key, shape):
    assert key in shapes
    shapes[key] = shape
    assert error_of(read_config, shapes, 1.0, "x.pth").startswith("x.pth: not an AudioLDM checkpoint (strange shapes")


def test_any_missing_tensor_that_sizes_are_read_off_is_named(shapes):
    for key in list(shapes)[::5]:
        rest = {other: shape for other, shape in shapes.items() if other != key}
        try:
            read_config(rest, 1.0, "x.pth")
        except ValueError as error:
            message = str(error)
            assert message.startswith("x.pth: not an AudioLDM checkpoint (") and "\n" not in message
    assert (
        error_of(read_config, {"bert.weight": (1,)}, 1.0, "x.pth")
        == "x.pth: not an AudioLDM checkpoint ('first_stage_model.vocoder.conv_pre.weight' not found)"
    )


def test_many_stages_do_not_take_quadratic_time(shapes):
    for i in range(50_000):
        shapes[f"clap.model.audio_branch.layers.{i}.blocks.0.attn.relative_position_bias_table"] = (225, 1)
    assert "50000 stages" in error_of(read_config, shapes, 1.0, "x.pth")
