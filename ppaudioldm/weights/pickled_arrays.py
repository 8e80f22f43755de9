"""NumPy arrays in pickles: what `safe_pickle` builds in place of `numpy.ndarray` and `numpy.dtype`."""

from __future__ import annotations

import math
import re

from ppaudioldm.errors import shown
from ppaudioldm.weights.safe_pickle import Buildable, Constructors, FileBytes, Placeholder, Symbol, checked_shape


class PickledDtype(Buildable):
    """A data type, by NumPy's code such as f4; with its byte order, such as >f4, where that is not little-endian."""

    def __init__(self, code: str):
        self.code = code
        self.itemsize = int(code[1:]) * (4 if code[0] == "U" else 1)

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or not isinstance(state[1], str) or len(state[1]) != 1:
            raise ValueError("a data type with an unknown kind of state")
        # "|" is for types of one byte, "=" for the byte order of the writer.
        if state[1] not in "<|=":
            self.code = state[1] + self.code
        if state[2:5] != (None, None, None):
            self.code = "records"


def _dtype(code: object, *_flags: object) -> PickledDtype | Placeholder:
    """Object, record and time types are placeholders: they can contain anything, and no weights."""
    if isinstance(code, str) and re.fullmatch(r"[biufcSU]\d{1,6}", code):
        return PickledDtype(code)
    return Placeholder(f"numpy.dtype {code[:20]}" if isinstance(code, str) else "numpy.dtype")


class PickledArray(Buildable):
    """An array. fortran: the first axis varies fastest. data: None until the pickle sets it, and for an array whose
    data type is a placeholder."""

    shape: tuple[int, ...] = ()
    dtype: PickledDtype | None = None
    fortran = False
    data: bytes | FileBytes | None = None

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array with an unknown kind of state")
        _version, shape, dtype, fortran, data = state
        if isinstance(dtype, Placeholder):
            return
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


def _reconstruct(subtype: object, _shape: object, _typecode: object) -> PickledArray | Placeholder:
    if not isinstance(subtype, Symbol):
        raise ValueError(f"an array of class {shown(subtype)}")
    return PickledArray() if subtype.name == "numpy.ndarray" else Placeholder(subtype.name)


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> PickledArray:
    array = PickledArray()
    array.set_state((1, shape, dtype, order == "F", data))
    return array


def _scalar(_dtype: object, _data: object) -> None:
    """A single number, which is dropped: weights are arrays."""


CORE: Constructors = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
NUMPY: Constructors = {
    "numpy.dtype": _dtype,
    **{f"numpy.core.{name}": function for name, function in CORE.items()},
    **{f"numpy._core.{name}": function for name, function in CORE.items()},  # since NumPy 2
}
