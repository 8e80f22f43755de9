"""Returning memory to the system: pages of mapped files that are no longer read, and freed allocations.

Nothing here changes what a program computes. On systems other than Linux it does nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL_S = 0.1  # some hundred megabytes are read in that time


@contextlib.contextmanager
def released(name: str) -> Iterator[None]:
    """Inside the block, mapped files called `name` take hardly any memory, however much of them is read."""
    ended = threading.Event()

    def keep_releasing() -> None:
        while not ended.wait(INTERVAL_S):
            release(name)

    thread = threading.Thread(target=keep_releasing, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        release(name)
        trim()


def release(name: str) -> int:
    """Drop the pages of mapped files called `name` from this process's memory. Returns how many bytes are mapped.

    The system reads a dropped page from the file again when it is needed.
    """
    dropped = 0
    with contextlib.suppress(OSError, AttributeError, ValueError, TypeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
            # address-address permissions offset device inode path
            fields = line.split(maxsplit=5)
            # Only read-only mappings: what was written to a private mapping would be lost.
            if len(fields) == 6 and fields[5].endswith(f"/{name}") and "w" not in fields[1]:
                start, end = (int(address, 16) for address in fields[0].split("-"))
                if madvise(start, end - start, mmap.MADV_DONTNEED) == 0:
                    dropped += end - start
    return dropped


def trim() -> None:
    """Return freed allocations, which the C library would keep: over a gigabyte after a network was translated."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
