from __future__ import annotations

import pickle
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.paddle_files import read_paddle
from ppaudioldm.weights.tensors import ComputedTensor, FileTensor
from tests.weights.hostile import BROKEN, LIVE, OTHERS, PROTOCOL
from tests.weights.paddle_writer import write_paddle

LARGE = np.arange(-600, 600, dtype=np.float32).reshape(2, 3, 200)


def stored(values: np.ndarray) -> ComputedTensor:
    return ComputedTensor(values.shape, lambda: values)


def save(path: Path, value: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


STATE = {
    "large": LARGE,
    "small": np.array([[1.5, -2]], np.float32),
    "half": np.full((3, 300), 0.25, np.float16),
    "ints": np.array([1, 2**40, -1]),
    "flags": np.array([True, False]),
    "scalar": np.float32(3),
}


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_paddle_save(tmp_path, protocol):
    paddle.save({name: paddle.to_tensor(value) for name, value in STATE.items()}, str(tmp_path / "a"), protocol)
    tensors = read_paddle(tmp_path / "a")
    assert list(tensors) == list(STATE)
    assert isinstance(tensors["large"], FileTensor) == (protocol > 2)
    for name, value in STATE.items():
        assert tensors[name].shape == value.shape
        read = tensors[name].read()
        assert read.dtype == (np.float32 if value.dtype == np.float16 else value.dtype)
        np.testing.assert_array_equal(read, value)


@pytest.mark.parametrize("count", [4, 400])
def test_bfloat16(tmp_path, count):
    values = np.arange(count, dtype=np.float32) % 50
    paddle.save({"w": paddle.to_tensor(values).astype("bfloat16")}, str(tmp_path / "a"))
    read = read_paddle(tmp_path / "a")["w"].read()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


def test_nested_save_keeps_names_beside_values(tmp_path):
    """Tensors beside other things are written as (name, array)."""
    paddle.save({"w": paddle.to_tensor(LARGE), "epoch": 3, "more": ["x", None]}, str(tmp_path / "a"))
    tensors = read_paddle(tmp_path / "a")
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"].read(), LARGE)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("count", [6, 2000])
def test_fortran_order(tmp_path, protocol, count):
    values = np.asfortranarray(np.arange(count * 2, dtype=np.float32).reshape(2, -1, 2))
    tensors = read_paddle(save(tmp_path / "a", {"w": values}, protocol))
    read = tensors["w"].read()
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, values)


def split(protocol: int, **changes: object) -> dict:
    """What Paddle makes of an array of more than a gigabyte under protocols 2 and 3."""
    flat = LARGE.reshape(-1)
    parts = {f"w@@.{i}": flat[i * 500 : (i + 1) * 500] for i in range(3)}
    entry = {"OriginShape": LARGE.shape, "slices": list(parts), **changes}
    return {**parts, "v": np.zeros(2, np.float32), "UnpackBigParamInfor@@": {"w": entry}}


@pytest.mark.parametrize("protocol", [2, 3])
def test_split_array(tmp_path, protocol):
    tensors = read_paddle(save(tmp_path / "a", split(protocol), protocol))
    assert sorted(tensors) == ["v", "w"]
    assert tensors["w"].shape == LARGE.shape
    np.testing.assert_array_equal(tensors["w"].read(), LARGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"OriginShape": (2, 3, 201)},
        {"OriginShape": "big"},
        {"OriginShape": None},
        {"slices": []},
        {"slices": None},
        {"slices": ["w@@.0", "w@@.0", "w@@.1"]},
        {"slices": ["w@@.0", "w@@.1", "missing"]},
        {"slices": [["w@@.0"]]},
    ],
)
def test_wrong_split(tmp_path, changes):
    with pytest.raises(CheckpointError):
        read_paddle(save(tmp_path / "a", split(2, **changes), 2))


@pytest.mark.parametrize("table", [5, {"w": 5}, {3: {"slices": ["v"], "OriginShape": (2,)}}])
def test_wrong_split_table(tmp_path, table):
    with pytest.raises(CheckpointError):
        read_paddle(save(tmp_path / "a", {"v": np.zeros(2, np.float32), "UnpackBigParamInfor@@": table}))


@pytest.mark.parametrize(
    "value", [np.zeros(3, np.complex64), np.zeros(3, ">f4"), np.array(["x"]), np.zeros(3, np.uint32), np.array([{}])]
)
def test_data_type_is_not_supported(tmp_path, value):
    with pytest.raises(CheckpointError):
        read_paddle(save(tmp_path / "a", {"w": value}))


@pytest.mark.parametrize("value", [5, [], {}, {"a": 1}, {1: np.zeros(2)}, np.zeros(2)])
def test_no_tensors(tmp_path, value):
    with pytest.raises(CheckpointError, match="tensors"):
        read_paddle(save(tmp_path / "a", value))


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="a: No such file"):
        read_paddle(tmp_path / "a")


@pytest.mark.parametrize("trick", [*LIVE, *OTHERS])
def test_attack_is_refused(tmp_path, trick):
    attack = {**LIVE, **OTHERS}[trick](tmp_path / "made")
    for content in (attack, write.dict_of(write.text("w"), attack), pickle.dumps(STATE)[2:-1] + attack):
        (tmp_path / "a").write_bytes(PROTOCOL + content + pickle.STOP)
        with pytest.raises(CheckpointError):
            read_paddle(tmp_path / "a")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickle(tmp_path, name):
    (tmp_path / "a").write_bytes(BROKEN[name])
    with pytest.raises(CheckpointError):
        read_paddle(tmp_path / "a")


def test_text_that_is_not_bytes(tmp_path):
    """Protocol 2 writes bytes as text; characters beyond a byte show only when they are read."""
    data = pickle.dumps({"w": np.zeros(600, np.float32)}, 2)
    (tmp_path / "a").write_bytes(data.replace(b"\0" * 8, "€".encode() + b"\0" * 5, 1) if b"\0" * 8 in data else data)
    with pytest.raises(CheckpointError):
        read_paddle(tmp_path / "a")["w"].read()


@pytest.mark.parametrize("protocol", [2, 4])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_file(tmp_path, protocol, changes):
    data = bytearray(pickle.dumps({"a": LARGE[:, :, :100], "b": ("b_0", STATE["small"])}, protocol))
    for place, value in changes:
        data[-(place % 400) - 1 if place % 2 else place % 400] = value
    (tmp_path / "a").write_bytes(data)
    with suppress(CheckpointError):
        for value in read_paddle(tmp_path / "a").values():
            assert value.read().shape == value.shape


def test_truncated_file(tmp_path):
    data = save(tmp_path / "a", STATE).read_bytes()
    for length in random.Random(0).sample(range(len(data)), 200):
        (tmp_path / "a").write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_paddle(tmp_path / "a")


# Writing


def test_paddle_loads_what_we_write(tmp_path):
    values = {**STATE, "empty": np.zeros((0, 4), np.float32), "fortran": np.asfortranarray(LARGE)}
    write_paddle(tmp_path / "a", ((name, stored(np.asarray(value))) for name, value in values.items()))
    loaded = paddle.load(str(tmp_path / "a"))
    tensors = read_paddle(tmp_path / "a")
    assert list(loaded) == list(values) == list(tensors)
    for name, value in values.items():
        assert isinstance(loaded[name], paddle.Tensor)
        assert loaded[name].numpy().dtype == value.dtype
        np.testing.assert_array_equal(loaded[name].numpy(), value)
        np.testing.assert_array_equal(tensors[name].read(), value)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("dtype", [np.uint16, np.complex64, ">f4", object])
def test_data_type_is_not_written(tmp_path, dtype):
    with pytest.raises(CheckpointError, match="'w' has data type"):
        write_paddle(tmp_path / "a", [("w", stored(np.zeros(2, dtype)))])
    assert not list(tmp_path.iterdir())


def test_the_shape_is_checked(tmp_path):
    with pytest.raises(CheckpointError, match=r"has shape \(2,\), expected \(3,\)"):
        write_paddle(tmp_path / "a", [("w", ComputedTensor((3,), lambda: np.zeros(2)))])
