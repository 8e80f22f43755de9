"""Writes files of `paddle.save` without Paddle, for the tests of what reads them."""

from __future__ import annotations

import os
import pickle  # for the names of its opcodes alone
import struct
from collections.abc import Iterable

import numpy as np

from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.tensors import DTYPES, LazyTensor

NAME_TABLE = "StructuredToParameterName@@"


def write_paddle(path: str | os.PathLike, tensors: Iterable[tuple[str, LazyTensor]]) -> None:
    """Write `tensors` as `paddle.save` would their state dict; memory holds one tensor at a time.

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


def _check(path: str | os.PathLike, name: str, stored: LazyTensor, values: np.ndarray) -> None:
    if values.shape != tuple(stored.shape):
        raise CheckpointError(f"{path}: {shown(name)} has shape {values.shape}, expected {stored.shape}")
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
