from __future__ import annotations

import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights import torch_files
from ppaudioldm.weights.tensors import ComputedTensor
from ppaudioldm.weights.torch_files import LEGACY_MAGIC, read_torch, write_torch
from tests.weights.hostile import BROKEN, LIVE, OTHERS, PROTOCOL, REFUSED

VALUES = np.arange(24, dtype="<f4")


def stored(values: np.ndarray) -> ComputedTensor:
    return ComputedTensor(values.shape, lambda: values)


def storage(key: str = "0", kind: str = "FloatStorage", count: int = 24, *more: bytes) -> bytes:
    parts = write.text("storage"), write.global_name("torch", kind), write.text(key), write.text("cpu")
    return write.tuple_of(*parts, write.number(count), *more) + pickle.BINPERSID


def tensor(where: bytes, offset: int = 0, shape: tuple = (24,), strides: tuple = (1,)) -> bytes:
    hooks = write.call(write.global_name("collections", "OrderedDict"))
    layout = write.number(offset), write.numbers(shape), write.numbers(strides)
    return write.call(write.global_name("torch._utils", "_rebuild_tensor_v2"), where, *layout, pickle.NEWFALSE, hooks)


def as_pickle(value: bytes) -> bytes:
    return PROTOCOL + value + pickle.STOP


def one(value: bytes) -> bytes:
    """The pickle of a dict with one value."""
    return as_pickle(write.dict_of(write.text("w"), value))


def write_zip(path: Path, data_pkl: bytes, data: bytes = VALUES.tobytes(), **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", data_pkl)
        archive.writestr("model/data/0", data)
        for name, content in others.items():
            archive.writestr(f"model/{name}", content)
    return path


def write_legacy(path: Path, content: bytes, keys=("0",), data: bytes = VALUES.tobytes(), **changes) -> Path:
    system = {"protocol_version": 1001, "little_endian": True, **changes}
    head = b"".join(pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, system))
    storages = b"".join(struct.pack("<q", len(data) // 4) + data for _ in keys)
    path.write_bytes(head + content + pickle.dumps(list(keys), 2) + storages)
    return path


BOTH = pytest.mark.parametrize("make", [write_zip, write_legacy])


@BOTH
def test_one_tensor(tmp_path, make: Callable):
    tensors = read_torch(make(tmp_path / "a", one(tensor(storage()))))
    assert list(tensors) == ["w"] and tensors["w"].strides is None
    np.testing.assert_array_equal(tensors["w"].read(), VALUES)


@BOTH
@pytest.mark.parametrize(
    ("offset", "shape", "strides", "expected"),
    [
        (4, (2, 3), (3, 1), VALUES[4:10].reshape(2, 3)),
        (0, (4, 6), (1, 4), VALUES.reshape(6, 4).T),
        (1, (3, 2), (8, 2), VALUES.reshape(3, 8)[:, 1:5:2]),
        (23, (), (), VALUES[23]),
        (5, (2, 3), (0, 1), np.stack([VALUES[5:8]] * 2)),
        (20, (1, 4), (10**15, 1), VALUES[None, 20:]),
        (99, (0, 3), (3, 1), np.zeros((0, 3))),
    ],
)
def test_views(tmp_path, make: Callable, offset, shape, strides, expected):
    content = one(tensor(storage(), offset, shape, strides))
    np.testing.assert_array_equal(read_torch(make(tmp_path / "a", content))["w"].read(), expected)


@BOTH
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (1,)),
        (0, (2,), (24,)),
        (0, (2,), (2**62,)),
        (0, (2**47,), (2**47,)),
        (0, (2**40,), (0,)),
        (2**62, (4,), (1,)),
        (0, (0, 2**62), (1, 1)),
        (0, (1,) * 40, (1,) * 40),
    ],
)
def test_layout_outside_the_storage(tmp_path, make: Callable, offset, shape, strides):
    with pytest.raises(CheckpointError):
        read_torch(make(tmp_path / "a", one(tensor(storage(), offset, shape, strides))))


@BOTH
@pytest.mark.parametrize(
    "where",
    [
        storage(count=25),
        storage(count=2**60),
        storage(count=-1),
        storage(key="1"),
        storage(key="../data.pkl"),
        storage(kind="ComplexFloatStorage"),
        storage(kind="DoubleStorage"),
        storage("0", "FloatStorage", 24, write.tuple_of(write.text("view"), write.number(0), write.number(1))),
    ],
)
def test_storage_not_in_the_file(tmp_path, make: Callable, where):
    with pytest.raises(CheckpointError):
        read_torch(make(tmp_path / "a", one(tensor(where))))["w"].read()


def test_bfloat16(tmp_path):
    bits = np.array([0x3F80, 0xC000, 0, 0x7F80], "<u2")
    content = one(tensor(storage("0", "BFloat16Storage", 4), 0, (4,)))
    values = read_torch(write_zip(tmp_path / "a", content, bits.tobytes()))["w"].read()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [1, -2, 0, np.inf])


def test_two_data_types_of_one_storage(tmp_path):
    """A zip archive may do that, for the size of an entry is known; before, the sizes followed from the types."""
    values = {"floats": tensor(storage()), "bytes": tensor(storage("0", "ByteStorage", 96), 92, (4,))}
    content = as_pickle(write.dict_of(*[part for name, value in values.items() for part in (write.text(name), value)]))
    tensors = read_torch(write_zip(tmp_path / "a", content))
    assert tensors["bytes"].read().tobytes() == VALUES[23].tobytes()
    with pytest.raises(CheckpointError, match="two descriptions of storage '0'"):
        read_torch(write_legacy(tmp_path / "a", content))


@BOTH
@pytest.mark.parametrize("trick", [*LIVE, *OTHERS])
def test_attack_is_refused_or_inert(tmp_path, make: Callable, trick):
    attack = {**LIVE, **OTHERS}[trick](tmp_path / "made")
    for content in (as_pickle(attack), one(attack)):
        with pytest.raises(CheckpointError, match=str(tmp_path / "a")):
            read_torch(make(tmp_path / "a", content))
    for content in (
        one(tensor(storage()) + attack + pickle.POP),
        as_pickle(write.dict_of(write.text("x"), attack, write.text("w"), tensor(storage()))),
    ):
        path = make(tmp_path / "a", content)
        if trick in {*REFUSED, "no storage"}:
            with pytest.raises(CheckpointError, match=str(path)):
                read_torch(path)
            continue
        tensors = read_torch(path)
        np.testing.assert_array_equal(tensors["w"].read(), VALUES)
        if len(tensors) > 1:  # an error only if it is used
            for use in (lambda t: t.shape, lambda t: t.read()):
                with pytest.raises(CheckpointError, match=r"a: 'x' is an object of '.*', not a tensor"):
                    use(tensors["x"])
    assert not (tmp_path / "made").exists()


@BOTH
@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickle(tmp_path, make: Callable, name):
    with pytest.raises(CheckpointError):
        read_torch(make(tmp_path / "a", BROKEN[name]))


@pytest.mark.parametrize(
    "legacy", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"x" * 5000, pickle.dumps(5, 2) * 9]
)
def test_not_a_torch_file(tmp_path, legacy):
    (tmp_path / "a").write_bytes(legacy)
    with pytest.raises(CheckpointError):
        read_torch(tmp_path / "a")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match="a: No such file"):
        read_torch(tmp_path / "a")
    with pytest.raises(CheckpointError):
        read_torch(tmp_path)


@BOTH
def test_no_tensors(tmp_path, make: Callable):
    for content in (
        one(pickle.NONE),
        as_pickle(pickle.NONE),
        as_pickle(write.dict_of(write.text("state_dict"), pickle.EMPTY_DICT)),
    ):
        with pytest.raises(CheckpointError, match="tensors"):
            read_torch(make(tmp_path / "a", content))


# The zip archive itself


def test_compressed_entry(tmp_path):
    """A small file that claims a description of a gigabyte."""
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\x80\x02" + b"]" * 10_000_000)
    with pytest.raises(CheckpointError, match="compressed"):
        read_torch(tmp_path / "a")


@pytest.mark.parametrize("name", ["../data", "/etc/passwd", "model/../../x", "model//x", "model\\x", "model/./x"])
def test_unsafe_name(tmp_path, name):
    write_zip(tmp_path / "a", one(tensor(storage())))
    with zipfile.ZipFile(tmp_path / "a", "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(CheckpointError, match="unsafe"):
        read_torch(tmp_path / "a")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_entry(tmp_path):
    write_zip(tmp_path / "a", one(tensor(storage())))
    with zipfile.ZipFile(tmp_path / "a", "a") as archive:
        archive.writestr("model/data.pkl", as_pickle(LIVE["os.mkdir"](tmp_path / "made")))
    with pytest.raises(CheckpointError, match="repeated"):
        read_torch(tmp_path / "a")
    assert not (tmp_path / "made").exists()


def test_two_descriptions(tmp_path):
    write_zip(tmp_path / "a", one(tensor(storage())))
    with zipfile.ZipFile(tmp_path / "a", "a") as archive:
        archive.writestr("other/data.pkl", one(tensor(storage())))
    with pytest.raises(CheckpointError, match="data.pkl"):
        read_torch(tmp_path / "a")


def change(path: Path, old: bytes, new: bytes, last: bool = False) -> None:
    data = path.read_bytes()
    place = data.rindex(old) if last else data.index(old)
    path.write_bytes(data[:place] + new + data[place + len(new) :])


def test_encrypted_entry(tmp_path):
    write_zip(tmp_path / "a", one(tensor(storage())))
    change(tmp_path / "a", b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    with pytest.raises(CheckpointError, match="encrypted"):
        read_torch(tmp_path / "a")


def test_entry_past_the_end(tmp_path):
    write_zip(tmp_path / "a", one(tensor(storage())))
    sizes = struct.pack("<II", 96, 96)
    change(tmp_path / "a", sizes, struct.pack("<II", 9600, 9600), last=True)
    with pytest.raises(CheckpointError, match="past the end"):
        read_torch(tmp_path / "a")


def test_huge_index(tmp_path, monkeypatch):
    write_zip(tmp_path / "a", one(tensor(storage())))
    monkeypatch.setattr(torch_files, "ZIP_INDEX_LIMIT_BYTES", 50)
    with pytest.raises(CheckpointError, match="huge index"):
        read_torch(tmp_path / "a")


def test_big_endian(tmp_path):
    with pytest.raises(CheckpointError, match="big-endian"):
        read_torch(write_zip(tmp_path / "a", one(tensor(storage())), byteorder=b"big"))
    with pytest.raises(CheckpointError, match="big-endian"):
        read_torch(write_legacy(tmp_path / "a", one(tensor(storage())), little_endian=False))


@pytest.mark.parametrize("keys", [(), ("0", "0"), ("1",), (0,), ([],)])
def test_legacy_list_of_storages(tmp_path, keys):
    with pytest.raises(CheckpointError):
        read_torch(write_legacy(tmp_path / "a", one(tensor(storage())), keys))


# Damage anywhere


def example_file(path: Path, make: Callable) -> bytes:
    values = {"a": tensor(storage()), "b": tensor(storage(), 2, (2, 3), (6, 2))}
    content = write.dict_of(*[part for name, value in values.items() for part in (write.text(name), value)])
    return make(path, as_pickle(write.dict_of(write.text("state_dict"), content))).read_bytes()


@BOTH
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_file(tmp_path, make: Callable, changes):
    data = bytearray(example_file(tmp_path / "a", make))
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "a").write_bytes(data)
    with suppress(CheckpointError):
        for value in read_torch(tmp_path / "a").values():
            assert value.read().shape == value.shape


@BOTH
def test_truncated_file(tmp_path, make: Callable):
    data = example_file(tmp_path / "a", make)
    for length in random.Random(0).sample(range(len(data)), 200):
        (tmp_path / "a").write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_torch(tmp_path / "a")


# Writing

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big-endian": np.arange(5, dtype=">f4"),
    "float64": np.array(1.5),
    "float16": np.array([1, 2, -3], np.float16),
    "ints": np.array([[1, 2**40]]),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
    "ünïcödé.weight": np.array([7], np.int8),
}


@pytest.mark.parametrize("wrap", ["state_dict", None])
def test_written_file_comes_back(tmp_path, wrap):
    write_torch(tmp_path / "a.pth", ((name, stored(values)) for name, values in ARRAYS.items()), wrap)
    tensors = read_torch(tmp_path / "a.pth")
    assert list(tensors) == list(ARRAYS)
    for name, values in ARRAYS.items():
        assert tensors[name].offset % 64 == 0 or not values.size
        np.testing.assert_array_equal(tensors[name].read(), values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert zipfile.ZipFile(tmp_path / "a.pth").testzip() is None


@pytest.mark.parametrize("dtype", [np.uint16, np.complex64, object])
def test_data_type_without_storage(tmp_path, dtype):
    with pytest.raises(CheckpointError, match="'w' has data type"):
        write_torch(tmp_path / "a.pth", [("w", stored(np.zeros(2, dtype)))])
    assert not list(tmp_path.iterdir())


def test_the_shape_is_checked(tmp_path):
    with pytest.raises(CheckpointError, match=r"has shape \(2,\), expected \(3,\)"):
        write_torch(tmp_path / "a.pth", [("w", ComputedTensor((3,), lambda: np.zeros(2)))])


def test_entry_with_64_bit_sizes(tmp_path, monkeypatch):
    """Whoever reads the header of such an entry finds its values behind 20 more bytes."""
    monkeypatch.setattr(torch_files, "ZIP64_BYTES", 8)
    write_torch(tmp_path / "a.pth", [("w", stored(VALUES)), ("v", stored(VALUES[:1]))])
    tensors = read_torch(tmp_path / "a.pth")
    assert tensors["w"].offset % 64 == 0
    np.testing.assert_array_equal(tensors["w"].read(), VALUES)
    np.testing.assert_array_equal(tensors["v"].read(), VALUES[:1])
