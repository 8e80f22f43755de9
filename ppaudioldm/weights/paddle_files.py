"""Files of `paddle.save`, which are one pickle of NumPy arrays, read without Paddle and without running the pickle."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path

import numpy as np

from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.storage.regular import open_regular
from ppaudioldm.weights.file_kinds import check_kind
from ppaudioldm.weights.pickled_arrays import NUMPY, PickledArray
from ppaudioldm.weights.safe_pickle import COMMON, FileBytes, Placeholder, checked_shape, read_pickle
from ppaudioldm.weights.state_dict import find_state_dict, without_wrappers
from ppaudioldm.weights.tensors import (
    DTYPES,
    ComputedTensor,
    FileTensor,
    LazyTensor,
    UnreadableTensor,
    c_strides,
)

# Paddle stores bfloat16 as NumPy's uint16.
DTYPE_OF_CODE = {dtype.str[1:]: name for name, dtype in DTYPES.items()}
SPLIT_TABLE = "UnpackBigParamInfor@@"


def read_paddle(path: str | os.PathLike) -> dict[str, LazyTensor]:
    """The tensors of a state dict that `paddle.save` wrote, such as `model_state.pdparams`.

    Entries that are not tensors are left out. Values are read from the file on request: it must not change until then.
    Raises CheckpointError if the file is something else or is damaged.
    """
    path = Path(path)
    with naming(path), open_regular(path) as file:
        check_kind(file)
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        root = read_pickle(path, file, end, {**COMMON, **NUMPY})
        state_dict = find_state_dict(root, _has_values)
        tensors: dict[str, LazyTensor] = {}
        for name, value in state_dict.items():
            array = _array(value)
            if isinstance(name, str) and isinstance(array, PickledArray):
                tensors[name] = _lazy_tensor(path, name, array)
            elif isinstance(name, str) and isinstance(array, Placeholder):
                problem = f"{path}: {shown(name)} is an object of {shown(array.name)}, not a tensor"
                tensors[name] = UnreadableTensor(problem)
        _join_slices(tensors, state_dict.get(SPLIT_TABLE, {}))
        return without_wrappers(tensors)


def _has_values(value: object) -> bool:
    array = _array(value)
    return isinstance(array, PickledArray) and array.data is not None


def _array(value: object) -> object:
    """The array of an entry, which Paddle may store as a pair of name and array."""
    return value[1] if isinstance(value, tuple) and len(value) == 2 else value


def _lazy_tensor(path: Path, name: str, array: PickledArray) -> LazyTensor:
    if array.data is None or array.dtype is None:
        return UnreadableTensor(f"{path}: {shown(name)} is an array of objects or without values, not a tensor")
    dtype = DTYPE_OF_CODE.get(array.dtype.code)
    if dtype is None:
        raise ValueError(f"{shown(name)} is stored as {shown(array.dtype.code)}, which is not supported")
    if isinstance(array.data, FileBytes) and not array.data.text:
        strides = c_strides(array.shape[::-1])[::-1] if array.fortran else None
        return FileTensor(path, array.data.offset, array.shape, dtype, strides)
    return ComputedTensor(array.shape, partial(_decode, path, name, array, array.data, dtype))


def _decode(path: Path, name: str, array: PickledArray, data: bytes | FileBytes, dtype: str) -> np.ndarray:
    """The values of an array inside the pickle, or of one whose bytes are text; floating-point types become float32."""
    if isinstance(data, FileBytes):
        with naming(path), open_regular(path) as file:
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


def _join_slices(tensors: dict[str, LazyTensor], table: object) -> None:
    """Join the arrays above 1 GB, which Paddle cuts into slices under pickle protocols 2 and 3."""
    if not isinstance(table, dict):
        raise ValueError(f"{SPLIT_TABLE} is not a dict")
    for name, entry in table.items():
        slices = entry.get("slices") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in tensors or not isinstance(slices, list) or not slices:
            raise ValueError(f"{SPLIT_TABLE} has a strange entry for {shown(name)}")
        shape = checked_shape(entry.get("OriginShape"))
        if not all(isinstance(key, str) and key in tensors for key in slices) or len(set(slices)) < len(slices):
            raise ValueError(f"slices of {shown(name)} are missing")
        pieces = [tensors.pop(key) for key in slices]
        if sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
            raise ValueError(f"the slices of {shown(name)} do not fill its shape")
        tensors[name] = ComputedTensor(shape, partial(_joined, pieces, shape))


def _joined(pieces: list[LazyTensor], shape: tuple[int, ...]) -> np.ndarray:
    values = pieces[0].read().reshape(-1)
    whole, filled = np.empty(math.prod(shape), values.dtype), values.size
    whole[:filled] = values
    for piece in pieces[1:]:
        values = piece.read().reshape(-1)
        whole[filled : filled + values.size] = values
        filled += values.size
    return whole.reshape(shape)
