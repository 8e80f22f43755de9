"""Files of `paddle.save`: one pickle of NumPy arrays, read without running it and written a tensor at a time."""

from __future__ import annotations

import math
import os
import pickle  # for the names of its opcodes alone
import struct
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.pickled_arrays import NUMPY, PickledArray
from ppaudioldm.weights.safe_pickle import COMMON, FileBytes, checked_shape, read_pickle
from ppaudioldm.weights.tensors import DTYPES, ComputedTensor, FileTensor, Stored, c_strides

# Paddle stores bfloat16 as NumPy's uint16.
DTYPE_OF_CODE = {dtype.str[1:]: name for name, dtype in DTYPES.items()}
NAME_TABLE = "StructuredToParameterName"
SPLIT_TABLE = "UnpackBigParamInfor"


def read_paddle(path: str | os.PathLike) -> dict[str, Stored]:
    """The tensors of a state dict that `paddle.save` wrote, such as `model_state.pdparams`.

    Entries that are no tensors are left out. The file is read again when a tensor is, and must not change until then.
    Raises CheckpointError if the file is not one, is damaged, or asks for anything but arrays.
    """
    path = Path(path)
    with naming(path), path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        root = read_pickle(path, file, end, {**COMMON, **NUMPY})
        if not isinstance(root, dict):
            raise ValueError(f"holds {shown(root)}, not a dict of tensors")
        tensors = {}
        for name, value in root.items():
            array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
            if isinstance(name, str) and isinstance(array, PickledArray):
                tensors[name] = _stored(path, name, array)
        _join_parts(tensors, root.get(SPLIT_TABLE, {}))
        if not tensors:
            raise ValueError("holds no tensors")
        return tensors


def _stored(path: Path, name: str, array: PickledArray) -> Stored:
    if array.data is None or array.dtype is None:
        raise ValueError(f"{shown(name)} has no values")
    dtype = DTYPE_OF_CODE.get(array.dtype.code)
    if dtype is None:
        raise ValueError(f"{shown(name)} is stored as {shown(array.dtype.code)}, which is not supported")
    if isinstance(array.data, FileBytes) and not array.data.text:
        strides = c_strides(array.shape[::-1])[::-1] if array.fortran else None
        return FileTensor(path, array.data.offset, array.shape, dtype, strides)
    return ComputedTensor(array.shape, partial(_decode, path, name, array, array.data, dtype))


def _decode(path: Path, name: str, array: PickledArray, data: bytes | FileBytes, dtype: str) -> np.ndarray:
    """The values of a small array, or of one whose bytes were written as text; floating-point types become float32."""
    if isinstance(data, FileBytes):
        with naming(path), path.open("rb") as file:
            file.seek(data.offset)
            data = file.read(data.length).decode("utf-8").encode("latin1")
    if len(data) != math.prod(array.shape) * DTYPES[dtype].itemsize:
        raise CheckpointError(f"{path}: {shown(name)} has {len(data)} bytes, too few or too many for its shape")
    flat = np.frombuffer(data, DTYPES[dtype])
    if dtype == "bfloat16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    elif dtype.startswith("float"):
        flat = flat.astype(np.float32)
    return np.array(flat.reshape(array.shape, order="F" if array.fortran else "C"), order="C")


def _join_parts(tensors: dict[str, Stored], table: object) -> None:
    """Put together the arrays that Paddle cut into pieces, which protocols 2 and 3 make it do above 1 GB."""
    if not isinstance(table, dict):
        raise ValueError(f"{SPLIT_TABLE} is not a dict")
    for name, entry in table.items():
        parts = entry.get("slices") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in tensors or not isinstance(parts, list) or not parts:
            raise ValueError(f"{SPLIT_TABLE} has a strange entry for {shown(name)}")
        shape = checked_shape(entry.get("OriginShape"))
        if not all(isinstance(part, str) and part in tensors for part in parts) or len(set(parts)) < len(parts):
            raise ValueError(f"pieces of {shown(name)} are missing")
        pieces = [tensors.pop(part) for part in parts]
        if sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
            raise ValueError(f"the pieces of {shown(name)} do not fill its shape")
        tensors[name] = ComputedTensor(shape, partial(_joined, pieces, shape))


def _joined(pieces: list[Stored], shape: tuple[int, ...]) -> np.ndarray:
    values = pieces[0].read().reshape(-1)
    whole, filled = np.empty(math.prod(shape), values.dtype), values.size
    whole[:filled] = values
    for piece in pieces[1:]:
        values = piece.read().reshape(-1)
        whole[filled : filled + values.size] = values
        filled += values.size
    return whole.reshape(shape)


def write_paddle(path: str | os.PathLike, tensors: Iterable[tuple[str, Stored]]) -> None:
    """Write `tensors` as `paddle.save` would their state dict, holding one of them at a time.

    `paddle.load` gives a dict of tensors of the data types that `read()` returns. `path` appears when it is complete.
    Raises CheckpointError for data types that Paddle does not have.
    """
    names: list[bytes] = []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(pickle.PROTO + b"\x04" + pickle.EMPTY_DICT + pickle.MARK)
        for name, stored in tensors:
            values = np.asarray(stored.read(), order="C")
            _check(path, name, stored, values)
            file.write(write.text(name) + _array_before_data(values))
            file.write(values.reshape(-1).view(np.uint8).data)
            file.write(pickle.TUPLE + pickle.BUILD)
            names += write.text(name), write.text(name)
        # Makes paddle.load turn the arrays into tensors.
        file.write(write.text(NAME_TABLE) + write.dict_of(*names) + pickle.SETITEMS + pickle.STOP)


def _check(path: str | os.PathLike, name: str, stored: Stored, values: np.ndarray) -> None:
    if values.shape != tuple(stored.shape):
        raise CheckpointError(f"{path}: {shown(name)} announced shape {stored.shape} and came as {values.shape}")
    # uint16 would be read as bfloat16.
    if values.dtype not in DTYPES.values() or values.dtype == np.uint16:
        raise CheckpointError(f"{path}: {shown(name)} has data type {values.dtype}, which is not supported")


def _array_before_data(values: np.ndarray) -> bytes:
    """The pickle of an array up to where its bytes begin; `numpy.core` is a name that NumPy 1 and 2 both know."""
    array = write.call(
        write.global_name("numpy.core.multiarray", "_reconstruct"),
        write.global_name("numpy", "ndarray"),
        write.numbers((0,)),
        pickle.SHORT_BINBYTES + b"\x01b",  # a type code that the state replaces
    )
    dtype = write.call(
        write.global_name("numpy", "dtype"), write.text(values.dtype.str[1:]), pickle.NEWFALSE, pickle.NEWTRUE
    )
    order = write.text("|" if values.itemsize == 1 else "<")
    minus_one = write.number(-1)
    dtype += write.tuple_of(
        write.number(3), order, pickle.NONE, pickle.NONE, pickle.NONE, minus_one, minus_one, write.number(0)
    )
    dtype += pickle.BUILD
    header = array + pickle.MARK + write.number(1) + write.numbers(values.shape) + dtype + pickle.NEWFALSE
    return header + pickle.BINBYTES8 + struct.pack("<Q", values.nbytes)
