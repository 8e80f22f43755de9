"""Ctrl-C that is never lost, whatever library is interrupted."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


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
