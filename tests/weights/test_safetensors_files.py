from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.safetensors_files import read_safetensors, read_weights_folder
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.torch_files import write_torch
from tests.weights.examples import error_of

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float16": np.array([1, 2, -3], np.float16),
    "float64": np.array(1.5),
    "ints": np.array([[1, 2**40]]),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
}
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")


def raw(path: Path, header: dict | bytes, data: bytes = bytes(8)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_values(tmp_path):
    save_file(ARRAYS, tmp_path / "a", metadata={"format": "np"})
    tensors = read_safetensors(tmp_path / "a")
    assert set(tensors) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert tensors[name].shape == value.shape
        np.testing.assert_array_equal(tensors[name].read(), value)


def test_bfloat16(tmp_path):
    bits = np.array([0x3F80, 0xC000, 0, 0x7F80], "<u2")
    path = raw(tmp_path / "a", {"w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}, bits.tobytes())
    np.testing.assert_array_equal(read_safetensors(path)["w"].read(), [[1, -2], [0, np.inf]])


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**63, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        {"dtype": "X32", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "\x1b[2J\u2028", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
        [],
        None,
    ],
)
def test_strange_entry(tmp_path, entry):
    assert error_of(read_safetensors, raw(tmp_path / "a", {"w": entry})).startswith(str(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"x" * 7, b"\xff" * 50, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{}x"]
)
def test_not_safetensors(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError):
        read_safetensors(tmp_path / "a")


def test_nested_header(tmp_path):
    with pytest.raises(CheckpointError):
        read_safetensors(raw(tmp_path / "a", b'{"a":' + b"[" * 100_000))


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "a", tmp_path):
        with pytest.raises(CheckpointError, match=str(path)):
            read_safetensors(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=3))
def test_mutated_file(tmp_path, changes):
    data = bytearray(save(ARRAYS))
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "a").write_bytes(data)
    with suppress(CheckpointError):
        for value in read_safetensors(tmp_path / "a").values():
            assert value.read().shape == value.shape


# Folders


def write_index(folder: Path, weight_map: object, name: str = "model.safetensors.index.json") -> None:
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_single_file_in_order_of_preference(tmp_path):
    write_torch(tmp_path / "pytorch_model.bin", [("torch", ComputedTensor((2,), lambda: np.zeros(2, "f4")))], None)
    assert set(read_weights_folder(tmp_path, STEMS)) == {"torch"}
    save_file({"safe": np.zeros(2)}, tmp_path / "model.safetensors")
    assert set(read_weights_folder(tmp_path, STEMS)) == {"safe"}


def test_several_files(tmp_path):
    save_file({"a": np.full(2, 1.0), "unlisted": np.zeros(1)}, tmp_path / "model-1.safetensors")
    save_file({"b": np.full(3, 2.0)}, tmp_path / "model-2.safetensors")
    write_index(tmp_path, {"b": "model-2.safetensors", "a": "model-1.safetensors"})
    tensors = read_weights_folder(tmp_path, STEMS)
    assert {name: tensor.read().tolist() for name, tensor in tensors.items()} == {"a": [1, 1], "b": [2, 2, 2]}


def test_several_torch_files(tmp_path):
    write_torch(tmp_path / "part.bin", [("a", ComputedTensor((1,), lambda: np.ones(1, "f4")))], None)
    write_index(tmp_path, {"a": "part.bin"}, "pytorch_model.bin.index.json")
    assert read_weights_folder(tmp_path, STEMS)["a"].read().tolist() == [1]


@pytest.mark.parametrize(
    "file", ["../model.safetensors", "/model.safetensors", "..", ".", "", "a\\b", "C:x", "a\0b", 5, None, []]
)
def test_index_that_points_outside(tmp_path, file):
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "inside").mkdir()
    write_index(tmp_path / "inside", {"a": file})
    with pytest.raises(CheckpointError, match="not a file of this folder"):
        read_weights_folder(tmp_path / "inside", STEMS)


def test_index_that_lies(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "part.safetensors")
    write_index(tmp_path, {"b": "part.safetensors"})
    with pytest.raises(CheckpointError, match="'b' is not in 'part.safetensors'"):
        read_weights_folder(tmp_path, STEMS)
    write_index(tmp_path, {"b": "missing.safetensors"})
    with pytest.raises(CheckpointError, match="missing.safetensors"):
        read_weights_folder(tmp_path, STEMS)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000, "\udcff"]
)
def test_broken_index(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content, errors="surrogateescape")
    with pytest.raises(CheckpointError, match="index.json"):
        read_weights_folder(tmp_path, STEMS)


def test_nothing_there(tmp_path):
    with pytest.raises(CheckpointError, match="holds none of"):
        read_weights_folder(tmp_path / "missing", STEMS)
