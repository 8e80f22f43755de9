"""ConsistencyTTA's published files: read strictly, by shapes; what is missing, foreign or broken is one line."""

from __future__ import annotations

import json
import logging
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, CONSISTENCYTTA_LICENCE, derivatives_warning, licence_of
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights import consistencytta, convert
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from ppaudioldm.weights.consistencytta_files import T5_FILE, T5_FOLDER, UNET_FILE, VAE_FILE
from ppaudioldm.weights.convert import read_manifest, write_native, write_random
from ppaudioldm.weights.locate import files_read, locate
from ppaudioldm.weights.lora import read_adapter
from ppaudioldm.weights.lora_merge import with_adapters, with_lora
from ppaudioldm.weights.native import save_safetensors
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.torch_files import read_torch, read_torch_number, write_torch
from tests.support import CONSISTENCYTTA
from tests.weights.examples import assert_same_values, error_of, stored
from tests.weights.lora_examples import keys_of, matrices, write_file

NAME = "consistencytta"


def written(folder: Path) -> Path:
    """A small checkpoint in the published layout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, NAME, replace(CHECKPOINTS[NAME], config=CONSISTENCYTTA))
        patch.setattr(convert, "read_manifest", lambda name: {})  # it has the sizes of the published files
        write_random(NAME, folder, NAME, seed=0)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Not to be changed."""
    return written(tmp_path_factory.mktemp("ctta") / "x")


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "x"))


def rewrite(path: Path, numbers: dict[str, float] | None = None, **changes: np.ndarray | None) -> None:
    """The file with tensors added, replaced, or left out for None; keys have `__` for a dot."""
    tensors = dict(read_torch(path))
    held = {key: stored(tensor.read()) for key, tensor in tensors.items()}
    for name, values in changes.items():
        key = name.replace("__", ".")
        held.pop(key, None)
        if values is not None:
            held[key] = stored(values)
    if path.name == UNET_FILE:
        write_torch(path, held.items(), None)
    else:
        write_torch(path, held.items(), numbers={"scale_factor": 0.5} if numbers is None else numbers)


def test_what_was_written_is_read(folder):
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.config, checkpoint.layout) == (CONSISTENCYTTA, NAME)
    assert_same_values(checkpoint, random_checkpoint(NAME, CONSISTENCYTTA, 0))
    assert locate(folder).path == folder
    assert {folder / UNET_FILE, folder / VAE_FILE, folder / T5_FOLDER / T5_FILE} <= set(files_read(folder))


def test_keys_and_shapes_are_those_of_the_published_files():
    config = CHECKPOINTS[NAME].config
    layout = consistencytta.layout(config)
    keys: dict[str, dict[str, tuple[int, ...]]] = {}
    for network in network_names(config):
        for name, shape in parameter_shapes(network, config).items():
            placement = layout(network, name)[0]
            part, _, key = placement.keys[0].partition("/")
            keys.setdefault(part, {})[key] = placement.stored_shape(shape)
    assert keys["unet"] == read_manifest("consistencytta-unet")
    assert sum(map(math.prod, keys["unet"].values())) == 559_209_676 and len(keys["unet"]) == 691
    of_audioldm1 = read_manifest("audioldm-s-full")
    prefix = "first_stage_model."
    assert keys["vae"] == {k.removeprefix(prefix): shape for k, shape in of_audioldm1.items() if k.startswith(prefix)}
    of_t5 = "cond_stage_models.1.model."  # the same encoder is in audioldm2-full
    of_audioldm2 = read_manifest("audioldm2-full")
    t5 = {k.removeprefix(of_t5): shape for k, shape in of_audioldm2.items() if k.startswith(of_t5)}
    assert keys["flan_t5"] == {k: shape for k, shape in t5.items() if k != "encoder.embed_tokens.weight"}


def test_the_configuration_follows_from_the_published_shapes():
    config = CHECKPOINTS[NAME].config
    layout = consistencytta.layout(config)
    shapes = {
        layout(network, name)[0].keys[0]: layout(network, name)[0].stored_shape(shape)
        for network in network_names(config)
        for name, shape in parameter_shapes(network, config).items()
    }
    assert consistencytta._config(shapes, 1.0) == config


@pytest.mark.parametrize("value", [0.25, 2])
def test_the_scale_factor_is_beside_the_state_dict(copy, value):
    rewrite(copy / VAE_FILE, {"scale_factor": value})
    assert read_torch_number(copy / VAE_FILE, "scale_factor") == value
    assert open_checkpoint(copy).config.vae.scale_factor == value


def test_a_scale_factor_that_is_a_tensor(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / VAE_FILE
    for value, expected in ((torch.tensor(0.9), 0.9), (torch.tensor([0.5]), 0.5)):
        torch.save({"state_dict": {"x": torch.zeros(2)}, "scale_factor": value}, path)
        assert read_torch_number(path, "scale_factor") == pytest.approx(expected)
    torch.save({"state_dict": {"x": torch.zeros(2)}, "scale_factor": "0.9"}, path)
    assert "scale_factor is '0.9', expected a number" in error_of(read_torch_number, path, "scale_factor")


def test_no_scale_factor(copy):
    rewrite(copy / VAE_FILE, {})
    assert error_of(open_checkpoint, copy) == f"{copy / VAE_FILE}: no scale_factor beside the state dict"
    rewrite(copy / VAE_FILE, {"scale_factor": -1.0})
    assert "vae.scale_factor is -1.0, expected a positive number" in error_of(open_checkpoint, copy)


@pytest.mark.parametrize(
    ("file", "key", "values", "message"),
    [
        (UNET_FILE, "conv_out__bias", None, "1 tensors of unet are missing, the first: unet/conv_out.bias"),
        (UNET_FILE, "conv_out__bias", np.zeros(9, np.float32), "unet/conv_out.bias [9], expected [8]"),
        (UNET_FILE, "extra", np.zeros(1, np.float32), "1 unexpected tensors, the first: unet/extra"),
        (UNET_FILE, "guidance_proj__weight", None, "not a ConsistencyTTA checkpoint ('unet/guidance_proj.weight' not"),
        (
            VAE_FILE,
            "decoder__conv_in__bias",
            None,
            "tensors of vae_decoder are missing, the first: vae/decoder.conv_in",
        ),
        (VAE_FILE, "vocoder__conv_pre__weight", None, "('vae/vocoder.conv_pre.weight' not found)"),
    ],
)
def test_what_does_not_fit_is_named(copy, file, key, values, message):
    rewrite(copy / file, **{key: values})
    assert message in error_of(open_checkpoint, copy)


def test_a_broken_file(copy):
    content = (copy / UNET_FILE).read_bytes()
    (copy / UNET_FILE).write_bytes(content[: len(content) // 2])
    assert str(copy / UNET_FILE) in error_of(open_checkpoint, copy)


def test_one_of_the_two_files(copy):
    expected = f"{copy / UNET_FILE}: one of the files of ConsistencyTTA: give the folder that holds them"
    assert error_of(open_checkpoint, copy / UNET_FILE) == expected
    (copy / VAE_FILE).unlink()
    shutil.rmtree(copy / T5_FOLDER)
    assert "not an AudioLDM checkpoint" in error_of(open_checkpoint, copy)  # a folder with one file stands for it


def test_all_of_flan_t5_may_stand_beside_it(copy):
    """The published file has a decoder and a head besides, and the table under either key."""
    path = copy / T5_FOLDER / T5_FILE
    arrays = {key: tensor.read() for key, tensor in read_safetensors(path).items()}
    arrays |= {"decoder.block.0.x.weight": np.zeros(3, np.float32), "lm_head.weight": np.zeros(3, np.float32)}
    arrays["encoder.embed_tokens.weight"] = arrays.pop("shared.weight")
    save_safetensors(path, arrays, "pt")
    assert_same_values(open_checkpoint(copy), random_checkpoint(NAME, CONSISTENCYTTA, 0))


def test_it_has_no_averages(folder):
    assert "no averaged weights in a checkpoint of layout consistencytta" in error_of(open_checkpoint, folder, ema=True)


@pytest.mark.parametrize(
    ("name", "layout", "message"),
    [
        (NAME, "original", "consistencytta has no original layout: choose consistencytta or native"),
        (NAME, "diffusers", "consistencytta has no diffusers layout: choose consistencytta or native"),
        ("untrained", NAME, "untrained has no consistencytta layout: choose original or native"),
    ],
)
def test_layouts_that_there_are_not(tmp_path, name, layout, message):
    with pytest.raises(ValueError, match=message):
        write_random(name, tmp_path / "x", layout, 0)
    assert not list(tmp_path.iterdir())


def test_what_is_derived_from_it_must_not_be_shared(folder, tmp_path, caplog):
    checkpoint = open_checkpoint(folder)
    assert checkpoint.licence == CONSISTENCYTTA_LICENCE
    with caplog.at_level(logging.WARNING):
        write_native(checkpoint, tmp_path / "converted")
    warning = "the weights are licensed CC-BY-NC-ND-4.0: {} is derived from them and must not be shared"
    assert caplog.messages == [warning.format(tmp_path / "converted")]
    # A copy of that copy is told from others as well.
    converted = open_checkpoint(tmp_path / "converted")
    assert converted.layout == "native" and converted.licence == CONSISTENCYTTA_LICENCE
    assert json.loads((tmp_path / "converted" / "config.json").read_text("utf-8"))["licence"] == CONSISTENCYTTA_LICENCE


def test_other_licences_need_no_warning():
    assert derivatives_warning("CC-BY-NC-SA-4.0", "x") is None and derivatives_warning(None, "x") is None
    assert licence_of("audioldm2-full", "original") == "CC-BY-NC-SA-4.0"
    assert licence_of("some.pth", "original") is None and licence_of(NAME, "random") is None


def test_a_random_checkpoint_is_nobodys(tmp_path, caplog):
    checkpoint: Checkpoint = random_checkpoint(NAME, CONSISTENCYTTA, 0)
    write_native(checkpoint, tmp_path / "x")
    assert not caplog.messages


def test_an_adapter_is_merged_and_that_is_said_once(folder, tmp_path, caplog):
    checkpoint = open_checkpoint(folder)
    pairs = matrices(("mid_block.attentions.0.proj_in",), config=CONSISTENCYTTA)  # a linear layer, of other widths
    path = write_file(tmp_path / "bells.safetensors", keys_of(pairs))
    merged = with_adapters(checkpoint, [(read_adapter(path), 1.0)])
    (warning,) = caplog.messages
    assert f"the weights are licensed CC-BY-NC-ND-4.0: its UNet with {path} is derived" in warning
    name = "middle.transformers.layers.0.proj_in.weight"
    before, after = (dict(one.weights("unet")) for one in (checkpoint, merged))
    assert [key for key in before if not np.array_equal(before[key], after[key])] == [name]
    (pair,) = pairs.values()
    np.testing.assert_allclose(after[name] - before[name], pair["up"] @ pair["down"], atol=1e-5)
    with_lora(checkpoint, [str(path)])  # for convert and export, which say it themselves
    assert len(caplog.messages) == 1
