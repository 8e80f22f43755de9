from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from ppaudioldm.weights.native import FORMAT, VERSION, is_native, read_native
from tests.weights.examples import assert_same_values, error_of


@pytest.fixture
def only_config(layouts, tmp_path) -> Path:
    """A folder without weights: what is wrong with its configuration must be found before they are looked for."""
    shutil.copyfile(layouts["native"] / "config.json", tmp_path / "config.json")
    return tmp_path


def change(folder: Path, network: str, field: str, value: Any) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["config"][network][field] = value
    path.write_text(json.dumps(values))


def test_the_folder(layouts):
    folder = layouts["native"]
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.name, checkpoint.layout, checkpoint.config) == ("untrained", "native", UNTRAINED)
    assert sorted(path.stem for path in folder.glob("*.safetensors")) == sorted(checkpoint.networks)
    assert_same_values(checkpoint, random_checkpoint("untrained", UNTRAINED, 0))


def test_what_is_native(layouts, tmp_path):
    assert is_native(layouts["native"]) and not is_native(layouts["diffusers"]) and not is_native(tmp_path)


def test_a_file_that_safetensors_itself_reads(layouts):
    values = load_file(layouts["native"] / "vae_decoder.safetensors")["post_quant_conv.weight"]
    expected = random_checkpoint("untrained", UNTRAINED, 0).networks["vae_decoder"]["post_quant_conv.weight"].read()
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    "network, field, value, message",
    [
        ("unet", "in_channels", 2**31, "unet.in_channels is 2147483648, expected 1 to 16384"),
        ("unet", "in_channels", math.nan, "config.unet.in_channels: expected an integer, got nan"),
        ("unet", "num_res_blocks", 10**6, "unet.num_res_blocks is 1000000, expected 1 to 16"),
        ("unet", "channel_mult", [1] * 100_000, "unet.channel_mult has 100000 entries, expected 1 to 8"),
        ("unet", "model_channels", 48, "unet has 48 channels, expected a multiple of 32"),
        ("unet", "head_dim", 20, "64 channels at level 1 are not divisible by head_dim=20"),
        ("flan_t5", "num_layers", 10**6, "flan_t5.num_layers is 1000000, expected 1 to 128"),
        ("clap_audio", "window_size", 2**20, "clap_audio.window_size is 1048576, expected 1 to 16"),
        ("clap_audio", "window_size", 7, "window_size 7 must divide the map of stage 0, 64 wide"),
        ("vae", "scale_factor", math.nan, "vae.scale_factor is nan, expected a positive number"),
        ("vae", "scale_factor", -math.inf, "vae.scale_factor is -inf, expected a positive number"),
        ("diffusion", "beta_end", math.nan, "diffusion.beta_end is nan, expected a positive number"),
        ("gpt2", "hidden_size", 64, "loa.hidden_size is 128, but gpt2.hidden_size is 64"),
        ("gpt2", "colour", 1, "config.gpt2: unknown field 'colour', allowed: ['hidden_size'"),
    ],
)
def test_wrong_configurations(only_config, network, field, value, message):
    change(only_config, network, field, value)
    found = error_of(open_checkpoint, only_config)
    assert found.startswith(str(only_config)) and message in found


def test_a_network_too_many_or_too_few(copy_of):
    folder = copy_of("native")
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["config"]["clap_audio"] = None
    path.write_text(json.dumps(values))
    tensors = len(load_file(folder / "clap_audio.safetensors"))
    assert f"{tensors} unexpected tensors, the first: clap_audio/" in error_of(open_checkpoint, folder)
    (folder / "clap_audio.safetensors").unlink()
    assert "clap_audio" not in open_checkpoint(folder).networks
    (folder / "vocoder.safetensors").unlink()
    assert "tensors of vocoder are missing, the first: vocoder/conv_in.weight" in error_of(open_checkpoint, folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b" " * (1 << 20) + b"{}",
        b"{}",
        b'{"format": "ppaudioldm", "version": 2}',
        b'{"format": "other", "version": 1}',
        b'{"format": "ppaudioldm", "version": 1, "config": []}',
        b'{"format": "ppaudioldm", "version": 1, "config": {"unet": 5}}',
        b'{"format": "ppaudioldm", "version": 1, "config": {"\\u001b[2J\\n": 5}}',
        b'{"format": "ppaudioldm", "version": 1, "config": {"unet": {"in_channels": ' + b"9" * 5000 + b"}}}",
    ],
)
def test_damaged_config(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert error_of(open_checkpoint, tmp_path).startswith(f"{tmp_path / 'config.json'}: ")


def test_the_version_is_told(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"format": FORMAT, "version": VERSION + 1, "config": {}}))
    assert f"not a ppaudioldm checkpoint of version {VERSION}" in error_of(open_checkpoint, tmp_path)


@pytest.mark.parametrize("name", [["x"], "two\nlines", "\x1b[2J", "x" * 101, None])
def test_the_folders_name_instead_of_a_strange_one(only_config, name):
    path = only_config / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": name}))
    assert read_native(only_config)[0] == only_config.name


def test_tensors_of_one_network_in_the_file_of_another(copy_of):
    folder = copy_of("native")
    (folder / "gpt2.safetensors").rename(folder / "gpt3.safetensors")
    assert "tensors of gpt2 are missing" in error_of(open_checkpoint, folder)


def test_a_wrong_shape(copy_of):
    folder = copy_of("native")
    tensors = load_file(folder / "loa.safetensors")
    tensors["sos_0"] = np.zeros(127, np.float32)
    save_file(tensors, folder / "loa.safetensors")
    message = error_of(open_checkpoint, folder)
    assert message == f"{folder}: 1 wrong shapes in loa, the first: loa/sos_0 [127], expected [128]"
