"""Giving back the memory of files that are mapped and no longer read."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from pathlib import Path


def release(name: str) -> int:
    """Drop the pages of mapped files called `name` from this process, and return how many bytes were mapped.

    They are read from the file again if anyone asks for them. Does nothing where the system is not Linux.
    """
    released = 0
    with contextlib.suppress(OSError, AttributeError, ValueError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
            # address-address permissions offset device inode path
            fields = line.split(maxsplit=5)
            # What was written to a private mapping would be lost, so only what cannot be written.
            if len(fields) == 6 and fields[5].endswith(f"/{name}") and "w" not in fields[1]:
                start, end = (int(address, 16) for address in fields[0].split("-"))
                if madvise(start, end - start, mmap.MADV_DONTNEED) == 0:
                    released += end - start
    return released
