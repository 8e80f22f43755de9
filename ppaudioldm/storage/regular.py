"""Reading files that others named: a device or a pipe in the place of a file could have no end, or never begin."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO


def is_device_or_pipe(path: str | os.PathLike) -> bool:
    """Whether `path` is neither a file nor a folder. Raises OSError if it does not exist."""
    mode = os.stat(path).st_mode
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """The file `path`, open for reading. Raises ValueError for a device or pipe, OSError if it cannot be opened."""
    if is_device_or_pipe(path):
        raise ValueError("a device or pipe, expected a file")
    return open(path, "rb")


def read_bounded(path: str | os.PathLike, limit_bytes: int) -> bytes:
    """The content of `path`. Raises ValueError for more than `limit_bytes`, and as `open_regular`."""
    with open_regular(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"too large, allowed: {limit_bytes:,} bytes")
    return content
