from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights import diffusers, diffusers_config, diffusers_fields
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from ppaudioldm.weights.components import AUDIOLDM1_COMPONENTS
from ppaudioldm.weights.diffusers_config import _diffusion_config
from ppaudioldm.weights.diffusers_config_files import config_files
from ppaudioldm.weights.mapping import check_all_used, read_parameters
from ppaudioldm.weights.torch_files import write_torch
from tests.support import AUDIOLDM1
from tests.weights.examples import IN_DIFFUSERS, assert_same_values, error_of, only_shapes, stored, tiny_in

MANIFESTS = Path(__file__).parent / "manifests"
NAMES = (
    "cvssp/audioldm2",
    "cvssp/audioldm2-large",
    "cvssp/audioldm2-music",
    "anhnct/audioldm2_gigaspeech",
    "cvssp/audioldm-s-full-v2",
)
# Of folders that differ from that of audioldm-s-full-v2 in the widths alone.
AUDIOLDM1_WIDTHS = {
    "cvssp/audioldm": ([128, 256, 384, 640], [4, 8, 12, 20]),
    "cvssp/audioldm-m-full": ([192, 384, 576, 960], [6, 12, 18, 30]),
    "cvssp/audioldm-l-full": ([256, 512, 768, 1280], [4, 8, 12, 20]),
}


def manifest(name: str) -> dict[str, dict[str, list[int]]]:
    """Component -> key -> shape, from diffusers' and transformers' own classes."""
    with gzip.open(MANIFESTS / f"diffusers-{name.replace('/', '-')}.json.gz", "rt") as file:
        return json.load(file)


def write_folder(folder: Path, files: dict[str, dict[str, Any]]) -> Path:
    for name, values in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(values))
    return folder


def published_folder(folder: Path, name: str) -> Path:
    """The config.json files that diffusers' conversion script makes."""
    path = MANIFESTS / f"diffusers-{name.replace('/', '-')}.config.json"
    configs = json.loads(path.read_text())["configs"]
    scheduler = configs.pop("scheduler")
    index = {"model_index.json": configs.pop("model_index")} if "model_index" in configs else {}
    files = {**index, **{f"{component}/config.json": values for component, values in configs.items()}}
    return write_folder(folder, {**files, "scheduler/scheduler_config.json": scheduler})


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_its_tensor_and_every_tensor_its_use(name):
    config = CHECKPOINTS[name].config
    layout = diffusers.layout(config)
    tensors = only_shapes(
        {f"{part}/{key}": shape for part, keys in manifest(name).items() for key, shape in keys.items()}
    )
    used: set[str] = set()
    for network in network_names(config):
        used |= read_parameters(network, parameter_shapes(network, config), layout, tensors, name)[1]
    check_all_used(tensors, used, diffusers.IGNORED, name)


@pytest.mark.parametrize("name", NAMES)
def test_the_published_configuration_with_the_heads_as_trained(tmp_path, name, caplog):
    config = diffusers_config.read_config(published_folder(tmp_path, name))
    # Each checkpoint has its own.
    expected = 0.9227914214134216 if config.unet.is_audioldm1 else diffusers_config.DEFAULT_SCALING_FACTOR
    assert config.vae.scale_factor == expected
    assert replace(config, vae=replace(config.vae, scale_factor=1.0)) == CHECKPOINTS[name].config
    assert [record.getMessage() for record in caplog.records] == [
        "unet/config.json says attention_head_dim=8; using [4, 8, 12, 20] heads, as the weights were trained"
    ]


@pytest.mark.parametrize("name", AUDIOLDM1_WIDTHS)
def test_the_heads_of_audioldm1_are_those_that_it_was_trained_with(tmp_path, name, caplog):
    widths, heads = AUDIOLDM1_WIDTHS[name]
    folder = published_folder(tmp_path, "cvssp/audioldm-s-full-v2")
    change_json(folder / "unet/config.json", block_out_channels=widths, cross_attention_dim=widths)
    assert diffusers_config.read_config(folder).unet == CHECKPOINTS[name].config.unet
    assert f"attention_head_dim=8; using {heads} heads" in caplog.text
    caplog.clear()
    change_json(folder / "unet/config.json", attention_head_dim=heads)
    assert diffusers_config.read_config(folder).unet == CHECKPOINTS[name].config.unet
    assert not caplog.records


@pytest.mark.parametrize(
    "config",
    [
        replace(AUDIOLDM1, clap_audio=None),
        CHECKPOINTS["cvssp/audioldm-l-full"].config,
        IN_DIFFUSERS,
        CHECKPOINTS["cvssp/audioldm2-large"].config,
        CHECKPOINTS["anhnct/audioldm2_ljspeech"].config,
    ],
    ids=["audioldm1", "audioldm-l", "untrained", "large", "speech"],
)
def test_written_configurations_are_read_back(tmp_path, config, caplog):
    config = replace(config, diffusion=replace(config.diffusion, beta_end=0.02, prediction="v"))
    assert diffusers_config.read_config(write_folder(tmp_path, config_files(config))) == config
    assert not caplog.records


def test_written_tensors_have_the_manifests_names(layouts):
    """No more and no fewer than diffusers' own classes hold, buffers aside."""
    written = {key for key in diffusers.read_folder(layouts["diffusers"])}
    tensors = {f"{part}/{key}" for part, keys in manifest("cvssp/audioldm2").items() for key in keys}
    expected = {key for key in tensors if not diffusers.IGNORED.fullmatch(key)} - {
        "text_encoder_2/encoder.embed_tokens.weight"
    }
    prefixes = (
        "projection_model/",
        "unet/time_embedding",
        "unet/mid_block.",
        "vae/encoder.mid_block.",
        "vae/quant_conv",
    )
    for prefix in prefixes:
        assert {key for key in written if key.startswith(prefix)} == {key for key in expected if key.startswith(prefix)}
    # Tiny has fewer layers; its keys are among the full one's.
    assert {key for key in written if not key.startswith(("unet/", "vae/"))} <= expected


Tensors = dict[str, np.ndarray]


def old_vae_names(tensors: Tensors) -> Tensors:
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, old in names.items():
        tensors = {key.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): v for key, v in tensors.items()}
    return tensors


def with_language_model_head(tensors: Tensors) -> Tensors:
    tokens = np.zeros((11, 128), np.float32)
    buffers = {
        "transformer.h.0.attn.bias": np.ones((1, 1, 4, 4), bool),
        "transformer.h.0.attn.masked_bias": np.zeros((), np.float32),
    }
    renamed = {f"transformer.{key}": values for key, values in tensors.items()}
    return {**renamed, **buffers, "transformer.wte.weight": tokens, "lm_head.weight": tokens.copy()}


def other_t5_copy(tensors: Tensors) -> Tensors:
    return {key.replace("shared.", "encoder.embed_tokens."): values for key, values in tensors.items()}


def with_buffers(tensors: Tensors) -> Tensors:
    return {
        **tensors,
        "text_model.embeddings.position_ids": np.arange(514)[None],
        "audio_model.audio_encoder.batch_norm.num_batches_tracked": np.asarray(5),
        "logit_scale_a": np.asarray(1, np.float32),
    }


@pytest.mark.parametrize(
    "file, change",
    [
        ("vae/diffusion_pytorch_model.safetensors", old_vae_names),
        ("language_model/model.safetensors", with_language_model_head),
        ("text_encoder_2/model.safetensors", other_t5_copy),
        ("text_encoder/model.safetensors", with_buffers),
    ],
)
def test_other_versions_of_the_libraries(copy_of, file: str, change: Callable[[Tensors], Tensors]):
    folder = copy_of("diffusers")
    before = load_file(folder / file)
    after = change(before)
    assert after.keys() != before.keys()
    save_file(after, folder / file)
    assert_same_values(open_checkpoint(folder), tiny_in("diffusers"))


def test_several_files_a_component(copy_of):
    folder = copy_of("diffusers")
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    path.unlink()
    index = {}
    for part in range(2):
        name = f"diffusion_pytorch_model-0000{part + 1}-of-00002.safetensors"
        keys = sorted(tensors)[part::2]
        save_file({key: tensors[key] for key in keys}, path.with_name(name))
        index.update(dict.fromkeys(keys, name))
    path.with_name(f"{path.name}.index.json").write_text(json.dumps({"weight_map": index}))
    assert_same_values(open_checkpoint(folder), tiny_in("diffusers"))


def as_variant(folder: Path, variant: str, suffix: str, shards: int = 1) -> None:
    """Replace the weights of every component of `folder` by a variant, as `save_pretrained(variant=...)` names it."""
    for path in list(folder.rglob("*.safetensors")):
        tensors = load_file(path)
        path.unlink()
        stem = "pytorch_model" if (suffix, path.stem) == (".bin", "model") else path.stem
        index = {}
        for shard in range(shards):
            number = f"-{shard + 1:05}-of-{shards:05}" if shards > 1 else ""
            file = path.with_name(f"{stem}.{variant}{number}{suffix}")
            part = {key: tensors[key] for key in sorted(tensors)[shard::shards]}
            if suffix == ".bin":
                write_torch(file, [(key, stored(values)) for key, values in part.items()], wrap=None)
            else:
                save_file(part, file)
            index.update(dict.fromkeys(part, file.name))
        if shards > 1:
            path.with_name(f"{stem}{suffix}.index.{variant}.json").write_text(json.dumps({"weight_map": index}))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("shards", [1, 2])
def test_the_only_variant_is_read(copy_of, suffix, shards):
    folder = copy_of("diffusers")
    as_variant(folder, "fp16", suffix, shards)
    assert_same_values(open_checkpoint(folder), tiny_in("diffusers"))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_the_plain_file_is_preferred_to_a_variant(copy_of, suffix):
    folder = copy_of("diffusers")
    for path in list(folder.rglob("*.safetensors")):
        zeros = {key: np.zeros_like(values) for key, values in load_file(path).items()}
        save_file(zeros, path.with_name(f"{path.stem}.fp16.safetensors"))
        if suffix == ".bin":  # even one that is a pickle
            stem = path.stem if path.stem == "diffusion_pytorch_model" else "pytorch_model"
            write_torch(path.with_name(f"{stem}.bin"), [(k, stored(v)) for k, v in load_file(path).items()], wrap=None)
            path.unlink()
    assert_same_values(open_checkpoint(folder), tiny_in("diffusers"))


def test_several_variants_and_no_plain_file(copy_of):
    folder = copy_of("diffusers")
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    for variant in ("fp16", "non_ema"):
        path.with_name(f"{path.stem}.{variant}.safetensors").write_bytes(path.read_bytes())
    path.unlink()
    expected = f"{folder / 'vae'}: holds several variants, 'fp16', 'non_ema': keep one of them"
    assert error_of(open_checkpoint, folder) == expected


@pytest.mark.parametrize("file", ["unet/diffusion_pytorch_model.safetensors", "unet/config.json"])
def test_a_pointer_of_git_lfs(copy_of, file):
    folder = copy_of("diffusers")
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert error_of(open_checkpoint, folder).startswith(f"{folder / file}: a pointer of Git LFS, not the file")


def test_a_dangling_link(copy_of):
    folder = copy_of("diffusers")
    for file in ("unet/diffusion_pytorch_model.safetensors", "unet/config.json"):
        (folder / file).unlink()
        (folder / file).symlink_to("../../../blobs/nowhere")
        assert error_of(open_checkpoint, folder) == f"{folder / file}: a link to a file that does not exist"


@pytest.mark.parametrize(
    "pipeline, message",
    [
        (
            "MusicLDMPipeline",
            "a diffusers folder of 'MusicLDMPipeline', expected 'AudioLDM2Pipeline' or 'AudioLDMPipeline'",
        ),
    ],
)
def test_folders_of_other_pipelines(copy_of, pipeline, message):
    folder = copy_of("diffusers")
    change_json(folder / "model_index.json", _class_name=pipeline)
    assert error_of(open_checkpoint, folder) == f"{folder}: {message}"


def test_pickles_instead_of_safetensors(copy_of):
    folder = copy_of("diffusers")
    for path in list(folder.rglob("*.safetensors")):
        stem = path.stem if path.stem == "diffusion_pytorch_model" else "pytorch_model"
        write_torch(path.with_name(f"{stem}.bin"), [(k, stored(v)) for k, v in load_file(path).items()], wrap=None)
        path.unlink()
    assert_same_values(open_checkpoint(folder), tiny_in("diffusers"))


def test_half_precision(copy_of):
    folder = copy_of("diffusers")
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({key: values.astype(np.float16) for key, values in load_file(path).items()}, path)
    values = random_checkpoint("untrained", UNTRAINED, 0).networks["vae_decoder"]["conv_in.weight"].read()
    read = open_checkpoint(folder).networks["vae_decoder"]["conv_in.weight"].read()
    np.testing.assert_array_equal(read, values.astype(np.float16).astype(np.float32))


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


WRONG = {
    "unet": [
        ({"block_out_channels": [2**31, 2**32]}, "unet.model_channels is 2147483648, expected 1 to 16384"),
        ({"block_out_channels": [0, 0, 0]}, "incomplete: ZeroDivisionError"),
        ({"block_out_channels": "abc"}, "incomplete: TypeError"),
        ({"block_out_channels": []}, "incomplete: IndexError"),
        ({"block_out_channels": [32] * 100_000}, "unet.channel_mult has 100000 entries"),
        ({"layers_per_block": 10**6}, "unet.num_res_blocks is 1000000, expected 1 to 16"),
        ({"layers_per_block": [1, 1]}, "unet.num_res_blocks is a list, expected 1 to 16"),
        ({"transformer_layers_per_block": 2.5}, "unet.transformer_depth is 2.5, expected 1 to 16"),
        ({"in_channels": 4}, "unet.in_channels is 4, but vae.latent_channels is 8"),
        ({"in_channels": float("nan")}, "unet.in_channels is nan, expected 1 to 16384"),
        ({"cross_attention_dim": [[128, 160]]}, "does not begin with a self-attention"),
        ({"cross_attention_dim": [[None, 128, {}]]}, "unet.context_dims is a dict"),
        ({"cross_attention_dim": 5}, "incomplete: TypeError"),
        ({"cross_attention_dim": [[None, 999, 160]]}, "unet.context_dims is (999, 160), but"),
        ({"down_block_types": [1, 2]}, "incomplete: AttributeError"),
        ({"down_block_types": ["DownBlock2D"] * 3}, "unet.attention_levels has 0 entries"),
    ],
    "vae": [
        ({"scaling_factor": float("nan")}, "vae.scale_factor is nan, expected a positive number"),
        ({"scaling_factor": -1}, "vae.scale_factor is -1, expected a positive number"),
        ({"latent_channels": "8"}, "vae.latent_channels is '8', expected 1 to 16384"),
    ],
    "text_encoder": [
        ({"text_config": None}, "incomplete: AttributeError"),
        ({"audio_config": {"depths": 5}}, "incomplete: TypeError"),
        ({"audio_config": {"window_size": 10**6}}, "clap_audio.window_size is 1000000"),
    ],
    "text_encoder_2": [
        ({"model_type": "bert"}, "text_encoder_2/config.json: model_type is 'bert', expected 't5' or 'vits'"),
        ({"model_type": "vits"}, "incomplete: KeyError('max_seq_length')"),
        ({"model_type": "vits", "hidden_act": "gelu"}, "hidden_act is 'gelu', expected \"relu\""),
        ({"num_layers": 10**6}, "flan_t5.num_layers is 1000000, expected 1 to 128"),
        ({"d_model": 161}, "flan_t5"),
    ],
    "language_model": [({"n_head": 0}, "gpt2.num_heads is 0"), ({"max_new_tokens": 2000}, "loa.num_tokens is 2000")],
    "vocoder": [
        ({"resblock_dilation_sizes": [[1], [2]]}, "differ between kernels"),
        ({"model_in_dim": 72}, "vae.n_mels is 72, which the halvings"),
    ],
}


@pytest.mark.parametrize(
    "component, values, message", [(component, *case) for component, cases in WRONG.items() for case in cases]
)
def test_wrong_configurations(tmp_path, component, values, message):
    """Without weights: none of these may get as far as looking at them."""
    write_folder(tmp_path, config_files(UNTRAINED))
    change_json(tmp_path / component / "config.json", **values)
    for name in diffusers.COMPONENTS:
        save_file({}, tmp_path / name / "model.safetensors")
    assert message in error_of(open_checkpoint, tmp_path)


@pytest.mark.parametrize(
    "file, values, message",
    [
        ("unet", {"projection_class_embeddings_input_dim": 32}, "unet.film_dim is 32, but the width of CLAP is 64"),
        ("unet", {"projection_class_embeddings_input_dim": None}, "nothing conditions the UNet"),
        ("unet", {"class_embeddings_concat": False}, "class_embeddings_concat is False, expected true"),
        ("unet", {"class_embed_type": "timestep"}, "class_embed_type is 'timestep', expected \"simple_projection\""),
        ("unet", {"cross_attention_dim": 768}, "cross_attention_dim is 768, expected a list"),
        ("unet", {"_class_name": "AudioLDM2UNet2DConditionModel"}, 'expected "UNet2DConditionModel"'),
        ("text_encoder", {"model_type": "clap"}, "model_type is 'clap', expected"),
        ("text_encoder", {"vocab_size": 0}, "clap_text.vocab_size is 0, expected 1 to"),
    ],
)
def test_wrong_configurations_of_audioldm1(tmp_path, file, values, message):
    write_folder(tmp_path, config_files(AUDIOLDM1))
    change_json(tmp_path / file / "config.json", **values)
    for name in AUDIOLDM1_COMPONENTS:
        save_file({}, tmp_path / name / "model.safetensors")
    assert message in error_of(open_checkpoint, tmp_path)


CHANGED = [
    (
        "scheduler/scheduler_config.json",
        "prediction_type",
        "sample",
        '\'sample\', expected "epsilon" or "v_prediction"',
    ),
    ("scheduler/scheduler_config.json", "clip_sample", True, "True, expected false"),
    ("scheduler/scheduler_config.json", "beta_schedule", "linear", "'linear', expected \"scaled_linear\""),
    ("scheduler/scheduler_config.json", "rescale_betas_zero_snr", True, "True, expected false"),
    ("scheduler/scheduler_config.json", "trained_betas", [0.1], "[0.1], expected null"),
    ("scheduler/scheduler_config.json", "thresholding", True, "True, expected false"),
    ("unet/config.json", "norm_num_groups", 16, "16, expected 32"),
    ("unet/config.json", "act_fn", "gelu", '\'gelu\', expected "silu" or "swish"'),
    ("unet/config.json", "norm_eps", 1e-6, "1e-06, expected 1e-05"),
    ("unet/config.json", "flip_sin_to_cos", False, "False, expected true"),
    ("unet/config.json", "only_cross_attention", True, "True, a field that is not supported"),
    ("unet/config.json", "class_embed_type", "simple_projection", "'simple_projection', a field that is not supported"),
    ("vae/config.json", "norm_num_groups", 16, "16, expected 32"),
    ("vae/config.json", "shift_factor", 0.1, "0.1, expected null or 0"),
    ("vae/config.json", "mid_block_add_attention", False, "False, expected true"),
    ("vae/config.json", "down_block_types", ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"], "expected"),
    ("vocoder/config.json", "leaky_relu_slope", 0.2, "0.2, expected 0.1"),
    ("vocoder/config.json", "normalize_before", True, "True, expected false"),
    ("language_model/config.json", "activation_function", "relu", "'relu', expected \"gelu_new\""),
    ("language_model/config.json", "n_inner", 100, "100, expected 512"),
    ("language_model/config.json", "layer_norm_epsilon", 1e-6, "1e-06, expected 1e-05"),
    ("text_encoder_2/config.json", "feed_forward_proj", "relu", "'relu', expected \"gated-gelu\""),
    ("text_encoder_2/config.json", "dense_act_fn", "silu", "'silu', expected \"gelu_new\""),
    ("text_encoder_2/config.json", "layer_norm_epsilon", 1e-5, "1e-05, expected 1e-06"),
    ("text_encoder/config.json", "text_config.layer_norm_eps", 1e-3, "0.001, expected 1e-05 or 1e-12"),
    ("text_encoder/config.json", "audio_config.layer_norm_eps", 1e-3, "0.001, expected 1e-05"),
    ("text_encoder/config.json", "audio_config.enable_fusion", True, "True, expected false"),
    ("text_encoder/config.json", "audio_config.patch_stride", [2, 2], "2, expected 4"),
    ("text_encoder/config.json", "projection_hidden_act", "gelu", "'gelu', expected \"relu\""),
    ("projection_model/config.json", "new_field", 1, "1, a field that is not supported"),
    ("feature_extractor/preprocessor_config.json", "sampling_rate", 44100, "44100, expected 48000"),
]


@pytest.mark.parametrize("file, name, value, message", CHANGED)
def test_fields_that_change_what_is_computed(layouts, tmp_path, file, name, value, message):
    write_folder(tmp_path, config_files(UNTRAINED))
    section, _, leaf = name.rpartition(".")
    values = json.loads((tmp_path / file).read_text())
    (values[section] if section else values)[leaf] = value
    (tmp_path / file).write_text(json.dumps(values))
    found = error_of(open_checkpoint, tmp_path)
    assert found.startswith(f"{tmp_path / file}: ") and f"{leaf} " in found.replace("'", "") and message in found


def test_fields_that_are_off_or_notes_change_nothing(tmp_path):
    write_folder(tmp_path, config_files(UNTRAINED))
    for file in diffusers_fields.FIELDS:
        change_json(tmp_path / file, _note="x", future_option=False, other_option=None)
    change_json(tmp_path / "vae/config.json", shift_factor=0.0, act_fn="swish", force_upcast=True)
    change_json(tmp_path / "unet/config.json", freq_shift=0.0, norm_eps=0.00001)
    assert diffusers_config.read_config(tmp_path) == IN_DIFFUSERS


def test_what_the_libraries_write_of_their_defaults_is_known(tmp_path):
    """Every field that the installed diffusers and transformers write, with our values where those differ."""
    library, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    configs = config_files(UNTRAINED)
    classes = {
        "unet/config.json": library.AudioLDM2UNet2DConditionModel,
        "vae/config.json": library.AutoencoderKL,
        "projection_model/config.json": library.AudioLDM2ProjectionModel,
        "scheduler/scheduler_config.json": library.DDIMScheduler,
    }
    for name, cls in classes.items():
        parameters = inspect.signature(cls.__init__).parameters
        defaults = {key: p.default for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
        configs[name] = {**json.loads(json.dumps(defaults)), **configs[name]}
    hugging_face = {
        "text_encoder_2/config.json": transformers.T5Config(feed_forward_proj="gated-gelu"),
        "language_model/config.json": transformers.GPT2Config(),
        "vocoder/config.json": transformers.SpeechT5HifiGanConfig(),
    }
    for name, config in hugging_face.items():
        configs[name] = {**json.loads(config.to_json_string(use_diff=False)), **configs[name]}
    clap = json.loads(transformers.ClapConfig().to_json_string(use_diff=False))
    ours = configs["text_encoder/config.json"]
    configs["text_encoder/config.json"] = {
        **clap, **ours, **{p: {**clap[p], **ours[p]} for p in ("text_config", "audio_config")}
    }  # fmt: skip
    assert diffusers_config.read_config(write_folder(tmp_path, configs)) == IN_DIFFUSERS


@pytest.mark.parametrize(
    "name", ["PNDM", "DPMSolverMultistep", "EulerDiscrete", "EulerAncestralDiscrete", "UniPCMultistep"]
)
def test_other_samplers_of_the_same_noise_schedule(tmp_path, name):
    library = pytest.importorskip("diffusers")
    configs = config_files(UNTRAINED)
    ours = configs["scheduler/scheduler_config.json"]
    parameters = inspect.signature(getattr(library, f"{name}Scheduler").__init__).parameters
    fields = {key: p.default for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    kept = {key: ours[key] for key in ("beta_start", "beta_end", "beta_schedule", "prediction_type")}
    configs["scheduler/scheduler_config.json"] = {**fields, **kept, "_class_name": f"{name}Scheduler"}
    assert diffusers_config.read_config(write_folder(tmp_path, configs)) == IN_DIFFUSERS


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'"' + b"x" * (1 << 20) + b'"'])
def test_damaged_configurations(tmp_path, content):
    write_folder(tmp_path, config_files(UNTRAINED))
    path = tmp_path / "unet" / "config.json"
    path.write_bytes(content)
    assert error_of(open_checkpoint, tmp_path).startswith(f"{path}: ")


def test_a_missing_component_is_named(copy_of):
    folder = copy_of("diffusers")
    (folder / "vocoder" / "model.safetensors").unlink()
    assert f"{folder / 'vocoder'}: holds none of" in error_of(open_checkpoint, folder)
    (folder / "vocoder" / "config.json").unlink()
    assert error_of(open_checkpoint, folder) == f"{folder / 'vocoder' / 'config.json'}: not found"


def test_a_missing_field_is_named(tmp_path):
    write_folder(tmp_path, config_files(UNTRAINED))
    path = tmp_path / "language_model" / "config.json"
    values = json.loads(path.read_text())
    del values["n_embd"]
    path.write_text(json.dumps(values))
    assert "incomplete: KeyError('n_embd')" in error_of(open_checkpoint, tmp_path)


@pytest.mark.parametrize("name,expected", [("DDIMScheduler", ("dpm++", 10, 3.5)), ("LCMScheduler", ("lcm", 4, 1.0))])
def test_the_scheduler_of_a_latent_consistency_model_says_how_it_is_sampled(name, expected):
    found = _diffusion_config({"_class_name": name, "prediction_type": "v_prediction", "timestep_scaling": 10.0})
    assert (found.sampler, found.num_inference_steps, found.guidance_scale) == expected
    assert found.prediction == "v"
