from __future__ import annotations

import argparse
import builtins
import collections
import datetime
import enum
import fractions
import functools
import io
import pathlib
import pickle
import random
import sys
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
from ppaudioldm.weights.safe_pickle import COMMON, FileBytes, Placeholder, Symbol, checked_shape, read_pickle
from tests.weights.hostile import BROKEN, LIVE, OTHERS, PROTOCOL, REFUSED, called, is_inert

# Damage that only whoever uses the value can see: the pickles themselves are in order.
IN_ORDER = {
    "tuple bomb",
    "deep tuple",
    "deep list",
    "list in itself",
    "tuple as key",  # the key becomes a placeholder
    "tuple bomb as a key",
    "tuple bomb as arguments",  # they are dropped
}


def read(data: bytes) -> object:
    return read_pickle(Path("f"), io.BytesIO(data), len(data), {**COMMON, **NUMPY})


def assert_refused_or_inert(trick: str, data: bytes) -> None:
    if trick not in REFUSED:
        assert is_inert(read(data))
        return
    with pytest.raises(CheckpointError) as error:
        read(data)
    message = str(error.value)
    assert message.startswith("f: ") and message.isprintable() and len(message) < 200


@pytest.mark.parametrize("trick", LIVE)
def test_live_attack_runs_in_pickle_and_not_here(trick, tmp_path):
    data = PROTOCOL + LIVE[trick](tmp_path / "made") + pickle.STOP
    assert_refused_or_inert(trick, data)
    assert not (tmp_path / "made").exists()
    with suppress(Exception):  # after the deed
        pickle.loads(data)
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("trick", LIVE)
def test_nothing_that_a_file_names_is_imported(trick, tmp_path, monkeypatch):
    """Neither by an import statement nor through importlib: both end in this function."""

    def refuse(name: str, *_more: object, **_keywords: object) -> None:
        raise AssertionError(f"import of {name}")

    data = PROTOCOL + LIVE[trick](tmp_path / "made") + called("antigravity", "fly") + pickle.POP + pickle.STOP
    monkeypatch.setattr(builtins, "__import__", refuse)
    with suppress(CheckpointError):
        read(data)
    monkeypatch.undo()
    assert not {"antigravity"} & sys.modules.keys()


@pytest.mark.parametrize("trick", OTHERS)
def test_other_attack_is_refused_or_inert(trick, tmp_path):
    assert_refused_or_inert(trick, PROTOCOL + OTHERS[trick](tmp_path / "made") + pickle.STOP)
    assert not (tmp_path / "made").exists()


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


def test_a_placeholder_names_the_global():
    value = read(PROTOCOL + write.call(write.global_name("posix", "system"), write.text("true")) + pickle.STOP)
    assert isinstance(value, Placeholder) and value.name == "posix.system"


class Words(dict):
    """A class that no reader of weights knows, with items, and with attributes."""

    def __init__(self, *items: object) -> None:
        super().__init__(*items)
        self.note = "x"


class Color(enum.Enum):
    RED = 1


BESIDE: dict[str, object] = {
    "a namespace": argparse.Namespace(lr=1e-4, betas=(0.9, 0.99), nested=argparse.Namespace(a=1)),
    "a path": pathlib.PurePosixPath("/data/audio"),
    "a defaultdict": collections.defaultdict(list, {"a": [1]}),
    "a counter": collections.Counter("hello"),
    "a deque": collections.deque([1, 2], maxlen=3),
    "a date": datetime.datetime(2024, 5, 17, tzinfo=datetime.timezone.utc),
    "a duration": datetime.timedelta(1),
    "an enumeration": Color.RED,
    "a complex number": 1j,
    "a range": range(3),
    "a slice": slice(1, 2),
    "a frozenset": frozenset({1, "a"}),
    "a subclass of dict": Words({"a": 1}),
    "a fraction": fractions.Fraction(1, 3),
    "a function": len,
    "a partial function": functools.partial(int, base=2),
    "a random state": random.Random(0),
    "a NumPy generator": np.random.default_rng(0),
    "a NumPy number": np.float32(1.5),
    "an array of objects": np.array([{}, None], object),
    "an array of records": np.zeros(2, "f4,i4"),
    "an array of dates": np.zeros(2, "M8[s]"),
    "a big-endian array": np.zeros(2, ">f4"),
    "a masked array": np.ma.masked_array([1.0, 2.0], [True, False]),
    "keys of all kinds": {
        0.5: 1, -1: 2, True: 3, (1, "a"): 4, None: 5, 2**40: 6, datetime.date(2024, 1, 1): 7, Color.RED: 8,
        frozenset({1}): 9, "x" * 5000: 10, pathlib.PurePosixPath("/a"): 11,
    },
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_stands_beside_the_weights_is_read_over(kind, protocol):
    value = read(pickle.dumps({"before": 1, "beside": BESIDE[kind], "behind": [2]}, protocol))
    assert isinstance(value, dict) and list(value) == ["before", "beside", "behind"]
    assert value["before"] == 1 and value["behind"] == [2]


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
    "value, code",
    [
        (np.array([{}], object), None),
        (np.zeros(2, "f4,i4"), None),
        (np.zeros(2, "M8[s]"), None),
        (np.zeros(2, ">f4"), ">f4"),
    ],
)
def test_strange_arrays_have_no_type_that_is_read(value, code):
    array = read(pickle.dumps(value))
    assert isinstance(array, PickledArray)
    assert (array.dtype and array.dtype.code) == code


def test_a_class_alone_is_a_name():
    assert read(pickle.dumps(np.object_)) == Symbol("numpy.object_")


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
