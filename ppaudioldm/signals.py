"""Signal handlers: Ctrl-C that is never lost, and imports that put no handlers of their own in place of others."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
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


class Interrupt:
    """The handler of Ctrl-C: raises KeyboardInterrupt, and remembers it.

    Some of what it interrupts swallows the exception, or makes another one of it: an extension's import ImportError.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def remembered_interrupt() -> Iterator[Interrupt]:
    """Ctrl-C is handled by an `Interrupt` in the block, if Python's own handler would."""
    interrupt = Interrupt()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C came, whatever became of the first one."""
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, Interrupt) and handler.came:
        raise KeyboardInterrupt
