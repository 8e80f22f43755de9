"""Locks between processes and threads, each on a file. A lock ends with its process, however that ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCK_FILE = ".lock"  # in a folder that one process at a time writes to
POLL_INTERVAL_S = 0.02


@contextlib.contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Wait for the lock on the file `path` and hold it inside the block. The file stays.

    Raises OSError for a file that cannot be written.
    """
    with FileLock(path, thread_local=False, poll_interval=POLL_INTERVAL_S):
        yield


class FolderLock:
    """Lets one process at a time write to `folder`: held from construction to `release`, or inside a `with` block.

    The hidden file in the folder is removed at the end; one that a killed process left does not matter.
    Raises ValueError with `message` if another process holds the lock, OSError for a folder that cannot be written.
    """

    def __init__(self, folder: Path, message: str) -> None:
        self._path = folder / LOCK_FILE
        self._lock = FileLock(self._path, thread_local=False)  # another thread may release it
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise ValueError(message) from None

    def release(self) -> None:
        if self._lock.is_locked:
            # While the lock is held: afterwards the file may be another process's. filelock does not take a lock on a
            # file that has been removed. Windows refuses this, and filelock removes the file there.
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._lock.release()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_error: Any) -> None:
        self.release()
