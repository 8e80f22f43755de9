from __future__ import annotations

import collections
import io
import pickle
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights import safe_pickle
from ppaudioldm.weights.pickled_arrays import NUMPY, PickledArray
from ppaudioldm.weights.safe_pickle import COMMON, FileBytes, Symbol, checked_shape, read_pickle
from tests.weights.hostile import BROKEN, LIVE, OTHERS, PROTOCOL

# Damage that only whoever uses the value can see: the pickles themselves are in order.
IN_ORDER = {"tuple bomb", "deep tuple", "deep list", "list in itself"}


def read(data: bytes) -> object:
    return read_pickle(Path("f"), io.BytesIO(data), len(data), {**COMMON, **NUMPY})


@pytest.mark.parametrize("trick", LIVE)
def test_live_attack_runs_in_pickle_and_not_here(trick, tmp_path):
    data = PROTOCOL + LIVE[trick](tmp_path / "made") + pickle.STOP
    with pytest.raises(CheckpointError) as error:
        read(data)
    assert not (tmp_path / "made").exists()
    assert str(error.value).startswith("f: ") and "\n" not in str(error.value)
    with suppress(Exception):  # after the deed
        pickle.loads(data)
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("trick", OTHERS)
def test_other_attack_is_refused(trick, tmp_path):
    with pytest.raises(CheckpointError) as error:
        read(PROTOCOL + OTHERS[trick](tmp_path / "made") + pickle.STOP)
    assert not (tmp_path / "made").exists()
    assert str(error.value).isprintable() and len(str(error.value)) < 200


@pytest.mark.parametrize("name", sorted(set(BROKEN) - IN_ORDER))
def test_broken_pickle_is_refused(name):
    with pytest.raises(CheckpointError):
        read(BROKEN[name])


@pytest.mark.parametrize("name", sorted(IN_ORDER))
def test_bomb_stays_small(name):
    tracemalloc.start()
    read(BROKEN[name])
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_error_names_the_global():
    with pytest.raises(CheckpointError, match=r"^f: a call of 'posix\.system' was refused"):
        read(PROTOCOL + write.call(write.global_name("posix", "system"), write.text("true")) + pickle.STOP)


def test_global_alone_is_a_name():
    assert read(PROTOCOL + write.global_name("os", "system") + pickle.STOP) == Symbol("os.system")


ENCODE = b"c_codecs\nencode\n\x94X\x00\x04\x00\x00" + b"x" * 1024 + b"X\x06\x00\x00\x00latin1\x86\x94"


@pytest.mark.parametrize("data", [b"]" * 100_000, b"\x8c\x01x\x8c\x01y\x93" * 50_000, ENCODE + b"h\x00h\x01R" * 10_000])
def test_memory_is_limited(data, monkeypatch):
    monkeypatch.setattr(safe_pickle, "BUDGET", 2_000_000)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="more objects than"):
        read(PROTOCOL + data + b".")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_many_arguments_are_refused():
    numbers = b"(" + b"N" * 1000 + b"t"
    with pytest.raises(CheckpointError, match="short tuple"):
        read(PROTOCOL + write.global_name("numpy", "dtype") + numbers + b"R.")


PLAIN = {
    "text": "ä\ud800", "none": None, "flags": (True, False), "floats": [1.5, -2.0], 3: (1, 2, 3, 4),
    "numbers": [0, 255, 256, 65536, -1, 2**31, -(2**70)], "bytes": b"\x00\xff", "empty": ((), [], {}, b""),
    "set": {1, 2}, "ordered": collections.OrderedDict(a=1), "same": [[]] * 2,
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back(protocol):
    value = dict(PLAIN)
    if protocol < 4:
        del value["set"]  # is a call there
    file = io.BytesIO(b"before" + pickle.dumps(value, protocol) + b"behind")
    file.seek(6)
    assert read_pickle(Path("f"), file, len(file.getvalue()), COMMON) == value
    assert file.read() == b"behind"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_long_bytes_stay_in_the_file(protocol):
    value = bytes(range(256)) * 100
    data = pickle.dumps([value, bytearray(value)] if protocol == 5 else [value], protocol)
    for piece in read(data):
        assert isinstance(piece, FileBytes)
        stored = data[piece.offset : piece.offset + piece.length]
        assert (stored.decode().encode("latin1") if piece.text else stored) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_array(protocol, order):
    value = np.asarray(np.arange(6, dtype="<f4").reshape(2, 3), order=order)
    array = read(pickle.dumps(value, protocol))
    assert isinstance(array, PickledArray)
    assert (array.shape, array.dtype.code, array.fortran) == ((2, 3), "f4", order == "F")
    assert array.data == value.tobytes("A")


@pytest.mark.parametrize(
    "value", [np.array([{}], object), np.zeros(2, "f4,i4"), np.zeros(2, ">f4"), np.zeros(2, "M8[s]"), np.object_]
)
def test_strange_array_is_refused(value):
    if isinstance(value, type):
        assert read(pickle.dumps(value)) == Symbol("numpy.object_")
    else:
        with pytest.raises(CheckpointError):
            read(pickle.dumps(value))


def test_array_must_fill_its_shape():
    data = pickle.dumps(np.zeros((2, 3), "<f4"), 3)
    with pytest.raises(CheckpointError, match="32 bytes whose data has 24"):
        read(data.replace(b"K\x02K\x03", b"K\x02K\x04"))


@pytest.mark.parametrize("shape", [(-1,), (2.0,), (True,), "ab", None, (2**30, 2**30), (0, 2**60), (1,) * 33, ((1,),)])
def test_impossible_shape(shape):
    with pytest.raises(ValueError, match="shape"):
        checked_shape(shape)


VALID = pickle.dumps({"a": np.arange(2000, dtype="<f4"), "b": ("n", np.float64(1)), 1: PLAIN["numbers"]}, 4)


@given(st.binary(max_size=60))
@example(b"N" * 50 + b".")
def test_random_instructions(data):
    with suppress(CheckpointError):
        read(PROTOCOL + data)


@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_pickle(changes):
    data = bytearray(VALID)
    for place, value in changes:
        # Most of the file is the data of one array: half of the changes go to the rest.
        data[place if place % 2 else -(place % 300)] = value
    with suppress(CheckpointError):
        read(bytes(data))


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_truncation(protocol):
    data = pickle.dumps(PLAIN if protocol == 4 else {**PLAIN, "set": 0}, protocol)
    for length in range(len(data)):
        with pytest.raises(CheckpointError):
            read(data[:length])
