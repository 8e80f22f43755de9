"""Lazy tensors: their shape is known at once, their values stay in the file until they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ppaudioldm.errors import CheckpointError

# Names of data types as safetensors and PyTorch files use them -> how NumPy reads the bytes.
# NumPy has no bfloat16: its 16 bits are the upper half of a float32.
DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("<i1"),
    "uint8": np.dtype("<u1"),
    "bool": np.dtype("?"),
}


class LazyTensor(Protocol):
    """A tensor of a checkpoint whose values are read, or computed, on request."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> np.ndarray: ...


@dataclass(frozen=True)
class FileTensor:
    """A tensor of `dtype` (a key of DTYPES) whose values begin at byte `offset` of the file `path`.

    strides: in elements, None for C order. The caller has checked that all of it lies within the file.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...] | None = None

    def read(self) -> np.ndarray:
        """The values as a new C-ordered array; every floating-point type becomes float32."""
        dtype = DTYPES[self.dtype]
        if 0 in self.shape:
            return np.zeros(self.shape, np.float32)
        strides = self.strides or c_strides(self.shape)
        span = 1 + sum((n - 1) * stride for n, stride in zip(self.shape, strides, strict=True))
        # A map for each tensor, dropped with it: a page of the file counts as ours only while it is being copied.
        flat = np.memmap(self.path, dtype, "r", self.offset, (span,))
        view = np.lib.stride_tricks.as_strided(flat, self.shape, [s * dtype.itemsize for s in strides], writeable=False)
        if self.dtype == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, np.float32 if self.dtype.startswith("float") else dtype, order="C")


@dataclass(frozen=True)
class ComputedTensor:
    """A tensor whose values are computed when it is read, from other tensors or at random."""

    shape: tuple[int, ...]
    compute: Callable[[], np.ndarray]

    def read(self) -> np.ndarray:
        return self.compute()


@dataclass(frozen=True)
class UnreadableTensor:
    """Something that a file has under the key of a tensor, but that cannot be read as one: an error only if it is used.

    problem: one line that names the file, the key, and what it is.
    """

    problem: str

    @property
    def shape(self) -> tuple[int, ...]:
        raise CheckpointError(self.problem)

    def read(self) -> np.ndarray:
        raise CheckpointError(self.problem)


def c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a C-ordered array of `shape`."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 1, 0, -1):
        strides[i - 1] = strides[i] * shape[i]
    return tuple(strides)
