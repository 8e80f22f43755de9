"""Giving memory back to the system: of files that are mapped and no longer read, and what was allocated and freed.

Nothing here changes what a program computes. Where the system is not Linux, nothing is done.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
from collections.abc import Iterator
from pathlib import Path

EVERY = 0.1  # seconds: some hundred megabytes are read meanwhile


@contextlib.contextmanager
def released(name: str) -> Iterator[None]:
    """While this lasts, mapped files called `name` take next to no memory, however much is read of them."""
    ended = threading.Event()

    def keep_releasing() -> None:
        while not ended.wait(EVERY):
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
    """Drop the pages of mapped files called `name` from this process, and return how many bytes were mapped.

    They are read from the file again if anyone asks for them.
    """
    dropped = 0
    with contextlib.suppress(OSError, AttributeError, ValueError, TypeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
            # address-address permissions offset device inode path
            fields = line.split(maxsplit=5)
            # What was written to a private mapping would be lost, so only what cannot be written.
            if len(fields) == 6 and fields[5].endswith(f"/{name}") and "w" not in fields[1]:
                start, end = (int(address, 16) for address in fields[0].split("-"))
                if madvise(start, end - start, mmap.MADV_DONTNEED) == 0:
                    dropped += end - start
    return dropped


def trim() -> None:
    """Return what was freed: the C library keeps it otherwise, after a network was translated a gigabyte and more."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
