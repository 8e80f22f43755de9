"""Listeners: any number of functions that are called when something happens; none of them disturbs another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, ParamSpec

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")


class Listeners(Generic[Arguments]):
    """The functions that are called when `event`, which the log names, happens. Any thread may add, end and call."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._listeners: list[Callable[Arguments, object]] = []
        self._lock = threading.Lock()

    def add(self, listener: Callable[Arguments, object]) -> Callable[[], None]:
        """Call `listener` from now on, in the thread in which it happens; returns a function that ends that."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        """Call all of them, in the order in which they were added. What one raises is logged."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(*args, **kwargs)
            except Exception:
                logger.exception("a listener failed: %s", self._event)
