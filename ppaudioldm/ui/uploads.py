"""The room for recordings that browsers send to the page: uploads that arrive at the same time count together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

BLOCK_BYTES = 4096  # a small file takes so much on disk, and its folder too
FULL = "too many recordings were uploaded, try again in an hour"


class UploadsFull(Exception):
    """A recording does not fit."""


class UploadRoom:
    """The room in `folder`, whose files take up to `max_bytes`; Gradio removes old ones."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = folder, max_bytes
        self._arriving = 0  # bytes
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Keep room for a file of up to `size` bytes while the block writes it. Raises UploadsFull."""
        self.reserve(size)
        try:
            yield
        finally:
            self.release(size)

    def reserve(self, size: int) -> None:
        """Keep room for a file of up to `size` bytes until `release`. Raises UploadsFull."""
        with self._lock:
            if self._on_disk() + self._arriving + size > self._max_bytes:
                raise UploadsFull(FULL)
            self._arriving += size

    def release(self, size: int) -> None:
        """The file has been written, or will not be."""
        with self._lock:
            self._arriving -= size

    def _on_disk(self) -> int:
        total = 0
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # it was removed meanwhile
                total += -(-path.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES if path.is_file() else BLOCK_BYTES
        return total
