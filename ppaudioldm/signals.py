"""Signal handlers kept as they are while something is imported that puts its own in their place."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Iterator

KEPT = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
SIZE = 512  # bytes: more than any system's struct sigaction has


@contextlib.contextmanager
def kept_handlers() -> Iterator[None]:
    """What SIGTERM, SIGINT and SIGHUP do after the block is what they did before it.

    In C: a library's handlers are set there, and Python lets no other thread than the main one set any.
    """
    try:
        sigaction = ctypes.CDLL(None).sigaction
    except (OSError, AttributeError, TypeError):  # Windows
        yield
        return
    before = {number: ctypes.create_string_buffer(SIZE) for number in KEPT}
    for number, handler in before.items():
        sigaction(int(number), None, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            sigaction(int(number), handler, None)
