"""NumPy arrays in pickles: what `safe_pickle` builds in place of `numpy.ndarray` and `numpy.dtype`."""

from __future__ import annotations

import math
import re

from ppaudioldm.errors import shown
from ppaudioldm.weights.safe_pickle import Buildable, Constructors, FileBytes, Symbol, checked_shape


class PickledDtype(Buildable):
    """A data type, by NumPy's code such as f4. Object and record types are refused: they can contain anything."""

    def __init__(self, code: object, *_flags: object):
        if not isinstance(code, str) or not re.fullmatch(r"[biufcSU]\d{1,6}", code):
            raise ValueError(f"an array of data type {shown(code)}")
        self.code = code
        self.itemsize = int(code[1:]) * (4 if code[0] == "U" else 1)

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise ValueError("an array of records")
        # "|" is for types of one byte, "=" for the byte order of the writer.
        if not isinstance(state[1], str) or state[1] not in ("<", "|", "="):
            raise ValueError(f"an array with byte order {shown(state[1])}; only little-endian ones are read")


class PickledArray(Buildable):
    """An array. fortran: the first axis varies fastest. data: None until the pickle sets it."""

    shape: tuple[int, ...] = ()
    dtype: PickledDtype | None = None
    fortran = False
    data: bytes | FileBytes | None = None

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array with an unknown kind of state")
        _version, shape, dtype, fortran, data = state
        if isinstance(data, str):  # a string of Python 2
            data = data.encode("latin1")
        if not isinstance(dtype, PickledDtype) or not isinstance(data, (bytes, FileBytes)):
            raise ValueError("an array without plain data")
        self.shape, self.dtype, self.fortran, self.data = checked_shape(shape), dtype, fortran is True, data
        needed = math.prod(self.shape) * dtype.itemsize
        # As text, a byte of the array takes one or two bytes; the exact number is checked when it is read.
        most = data.length if isinstance(data, FileBytes) else len(data)
        least = most / 2 if isinstance(data, FileBytes) and data.text else most
        if not least <= needed <= most:
            raise ValueError(f"an array of {needed} bytes whose data has {most} bytes")


def _reconstruct(subtype: object, _shape: object, _typecode: object) -> PickledArray:
    if not isinstance(subtype, Symbol) or subtype.name != "numpy.ndarray":
        raise ValueError(f"an array of class {shown(getattr(subtype, 'name', subtype))}")
    return PickledArray()


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> PickledArray:
    array = PickledArray()
    array.set_state((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: object, data: object) -> None:
    """A single number, which is dropped: weights are arrays."""
    if not isinstance(dtype, PickledDtype) or not isinstance(data, (bytes, str)):
        raise ValueError("a NumPy number without plain data")


CORE: Constructors = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
NUMPY: Constructors = {
    "numpy.dtype": PickledDtype,
    **{f"numpy.core.{name}": function for name, function in CORE.items()},
    **{f"numpy._core.{name}": function for name, function in CORE.items()},  # since NumPy 2
}
