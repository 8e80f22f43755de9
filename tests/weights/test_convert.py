from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights import convert, native, tokenizer_files
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from ppaudioldm.weights.convert import DTYPES, LAYOUTS, read_manifest, write_native, write_random
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.torch_files import read_torch
from tests.network_examples import CONFIGS
from tests.weights.examples import all_values, assert_same_values, error_of, tiny_in

OF_UNTRAINED = [layout for layout in LAYOUTS if layout != "consistencytta"]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cleared(tmp_path) -> Iterator[None]:
    """pytest keeps the folders of three runs: gigabytes."""
    yield
    shutil.rmtree(tmp_path)


def with_tensor(checkpoint: Checkpoint, network: str, key: str, tensor: ComputedTensor) -> Checkpoint:
    return replace(checkpoint, networks={**checkpoint.networks, network: {**checkpoint.networks[network], key: tensor}})


def failing(error: BaseException) -> ComputedTensor:
    def compute() -> np.ndarray:
        raise error

    return ComputedTensor((96,), compute)


@pytest.mark.parametrize("layout", ["original", "diffusers", "paddlemix"])
def test_float32_keeps_every_bit(layouts, tmp_path, layout):
    checkpoint = open_checkpoint(layouts[layout])
    write_native(checkpoint, tmp_path / "out" / "native")
    converted = open_checkpoint(tmp_path / "out" / "native")
    assert (converted.layout, converted.config, converted.name) == ("native", checkpoint.config, checkpoint.name)
    assert_same_values(converted, checkpoint)


def test_float16_rounds_once(tmp_path):
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    write_native(checkpoint, tmp_path / "half", "float16")
    expected = all_values(checkpoint)
    for key, values in all_values(open_checkpoint(tmp_path / "half")).items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected[key].astype(np.float16).astype(np.float32), err_msg=key)
    size = sum(file.stat().st_size for file in (tmp_path / "half").glob("*.safetensors"))
    assert size < 2.1 * sum(values.size for values in expected.values())


def test_tokenizers_come_along(layouts, tmp_path):
    checkpoint = open_checkpoint(layouts["original"])
    write_native(checkpoint, tmp_path / "out")
    for kind in ("clap", "flan_t5"):
        assert open_checkpoint(tmp_path / "out").tokenizer_json(kind) == checkpoint.tokenizer_json(kind)


def test_tokenizers_that_cannot_be_had_are_left_out(layouts, tmp_path, monkeypatch, caplog):
    def not_there(repo, filename):
        raise CheckpointError(f"cannot get {repo}/{filename}")

    monkeypatch.setattr(tokenizer_files, "fetch_file", not_there)
    path = shutil.copyfile(layouts["original"], tmp_path / "alone.pth")
    write_native(open_checkpoint(path), tmp_path / "out")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "left out the clap tokenizer: cannot get FacebookAI/roberta-base/tokenizer.json",
        "left out the flan_t5 tokenizer: cannot get google/flan-t5-large/tokenizer.json",
    ]
    assert not list((tmp_path / "out").rglob("tokenizer.json"))
    assert_same_values(open_checkpoint(tmp_path / "out"), random_checkpoint("untrained", UNTRAINED, 0))


def test_a_value_too_large_for_float16_is_refused_and_nothing_left(tmp_path):
    checkpoint = with_tensor(
        random_checkpoint("untrained", UNTRAINED, 0),
        "vocoder",
        "conv_in.bias",
        ComputedTensor((64,), lambda: np.full(64, 1e5, "f")),
    )
    message = error_of(write_native, checkpoint, tmp_path / "out", "float16")
    assert message == "vocoder.conv_in.bias: too large for float16, convert to float32 instead"
    assert os.listdir(tmp_path) == []


def test_values_that_are_not_finite_stay_as_they_are(tmp_path):
    values = np.array([np.inf, np.nan, -np.inf, 1] * 16, np.float32)
    checkpoint = with_tensor(
        random_checkpoint("untrained", UNTRAINED, 0), "vocoder", "conv_in.bias", ComputedTensor((64,), lambda: values)
    )
    write_native(checkpoint, tmp_path / "out", "float16")
    tensor = open_checkpoint(tmp_path / "out").networks["vocoder"]["conv_in.bias"]
    np.testing.assert_array_equal(tensor.read(), values)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("existing", [False, True])
def test_interrupted(tmp_path, error, existing):
    if existing:
        write_native(random_checkpoint("untrained", UNTRAINED, 1), tmp_path / "out")
    checkpoint = with_tensor(random_checkpoint("untrained", UNTRAINED, 0), "gpt2", "norm.bias", failing(error))
    with pytest.raises(type(error)):
        write_native(checkpoint, tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"] * existing
    if existing:
        assert_same_values(open_checkpoint(tmp_path / "out"), random_checkpoint("untrained", UNTRAINED, 1))


def named(layout: str) -> str:
    return "out.pth" if layout == "original" else "out"


@pytest.mark.parametrize("layout", OF_UNTRAINED)
def test_disk_full(tmp_path, layout):
    """No file may exceed a megabyte: what the system says then comes from the writing library, as on a full disk."""
    program = f"""
import resource, sys
from pathlib import Path
from ppaudioldm.weights.convert import write_random
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    write_random("untrained", Path({str(tmp_path / named(layout))!r}), {layout!r}, 0)
except OSError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=120
    )
    assert "File too large" in run.stdout and run.stdout.count("\n") == 1 and not run.stderr
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_of_ours_is_replaced(tmp_path):
    write_native(random_checkpoint("old", UNTRAINED, 0), tmp_path / "out")
    (tmp_path / "out" / "stale.safetensors").write_bytes(b"")
    write_native(random_checkpoint("new", UNTRAINED, 1), tmp_path / "out")
    checkpoint = open_checkpoint(tmp_path / "out")
    assert checkpoint.name == "new" and not (tmp_path / "out" / "stale.safetensors").exists()
    assert_same_values(checkpoint, random_checkpoint("new", UNTRAINED, 1))


def test_conversion_onto_itself(tmp_path):
    write_native(random_checkpoint("untrained", UNTRAINED, 0), tmp_path / "out")
    write_native(open_checkpoint(tmp_path / "out"), tmp_path / "out")
    assert_same_values(open_checkpoint(tmp_path / "out"), random_checkpoint("untrained", UNTRAINED, 0))


@pytest.mark.parametrize("layout", ["native", "diffusers"])
def test_a_folder_with_anything_else_is_not_replaced(tmp_path, layout):
    for name, file, content in (
        ("music", "song.wav", "RIFF"),
        ("bert", "config.json", "{}"),
        ("odd", "config.json", "{"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(content)
        message = error_of(write_random, "untrained", tmp_path / name, layout, 0)
        assert message == f"{tmp_path / name}: exists, and is not a checkpoint of this layout: choose another folder"
        assert (tmp_path / name / file).read_text() == content
    (tmp_path / "file").write_text("mine")
    assert "exists" in error_of(write_random, "untrained", tmp_path / "file", layout, 0)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write_native(random_checkpoint("untrained", UNTRAINED, 0), tmp_path / "out")
    assert open_checkpoint(tmp_path / "out").name == "untrained"


def test_the_folder_of_a_published_files_tokenizers_keeps_what_it_holds(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "song.wav").write_text("RIFF")
    write_random("untrained", tmp_path / "model.pth", "original", 0)
    assert sorted(os.listdir(tmp_path / "model")) == ["song.wav", "tokenizer", "tokenizer_2"]


@pytest.mark.parametrize("layout", OF_UNTRAINED)
def test_random_checkpoints_hold_what_their_seed_gives(tmp_path, layout):
    write_random("untrained", tmp_path / named(layout), layout, 7)
    assert_same_values(open_checkpoint(tmp_path / named(layout)), tiny_in(layout, 7))


def test_a_random_published_file_has_the_manifests_keys_in_its_order(tmp_path, monkeypatch):
    """At a thousandth of the size: under a manifest of the smallest checkpoint's keys and a few that are not used."""
    write_random("untrained", tmp_path / "plain.pth", "original", 0)
    plain = read_torch(tmp_path / "plain.pth")
    manifest = {key: plain[key].shape for key in sorted(plain, reverse=True)}
    manifest["model_ema.num_updates"] = ()
    manifest["clap.model.text_branch.embeddings.position_ids"] = (1, 514)
    monkeypatch.setattr(convert, "read_manifest", lambda name: manifest)
    write_random("untrained", tmp_path / "full.pth", "original", 0)
    tensors = read_torch(tmp_path / "full.pth")
    assert {key: tensor.shape for key, tensor in tensors.items()} == manifest and list(tensors) == list(manifest)
    assert tensors["model_ema.num_updates"].dtype == "int64"
    assert not tensors["clap.model.text_branch.embeddings.position_ids"].read().any()
    assert_same_values(open_checkpoint(tmp_path / "full.pth"), random_checkpoint("untrained", UNTRAINED, 0))


def test_manifests():
    assert read_manifest("audioldm2-music-665k") == read_manifest("audioldm2-full")
    assert read_manifest("audioldm2-full")["scale_factor"] == ()
    assert read_manifest("untrained") == {}


def test_native_config_is_readable_json(tmp_path):
    write_native(random_checkpoint("untrained", UNTRAINED, 0), tmp_path / "out")
    values = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (values["format"], values["version"], values["name"]) == (native.FORMAT, native.VERSION, "untrained")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("tinny", "out", "native", 0), "unknown checkpoint 'tinny', choose from tiny, tiny-speech, untrained"),
        (("untrained", "out", "onnx", 0), "unknown layout 'onnx', choose from original, diffusers, native"),
        (("untrained", "out", "original", 0), "out: a published file needs a suffix, such as .pth"),
        (("untrained", "out.pth", "native", 0), "out.pth: a folder is written, and .pth is the suffix of a file"),
        (
            ("audioldm2-full", "out.BIN", "diffusers", 0),
            "out.BIN: a folder is written, and .BIN is the suffix of a file",
        ),
        (("audioldm_48k", "out", "diffusers", 0), "audioldm_48k has no diffusers layout: choose original or native"),
        (("audioldm_16k_crossattn_t5", "out", "diffusers", 0), "has no diffusers layout"),
    ],
)
def test_what_cannot_be_written(tmp_path, arguments, message):
    name, path, layout, seed = arguments
    assert message in error_of(write_random, name, tmp_path / path, layout, seed)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("what, name", [("LOA tokens", "times of tokens"), ("phonemes", "times of phonemes")])
def test_times_are_only_in_the_native_layout(tmp_path, what, name):
    timed = random_checkpoint("timed", CONFIGS[name], 0)
    message = error_of(convert._write_diffusers, timed, tmp_path / "out", print)
    assert message == f"timed has no diffusers layout, for its {what} have times: choose native"
    write_native(timed, tmp_path / "native")
    assert open_checkpoint(tmp_path / "native").config == timed.config


def test_unknown_dtype(tmp_path):
    message = error_of(write_native, random_checkpoint("untrained", UNTRAINED, 0), tmp_path / "out", "int8")
    assert message == f"unknown dtype 'int8', choose from {', '.join(DTYPES)}"


def test_progress_is_told(tmp_path):
    lines: list[str] = []
    write_native(random_checkpoint("untrained", UNTRAINED, 0), tmp_path / "out", notify=lines.append)
    assert lines == [f"writing {network}" for network in random_checkpoint("untrained", UNTRAINED, 0).networks]
    assert CHECKPOINTS["untrained"].config == UNTRAINED
