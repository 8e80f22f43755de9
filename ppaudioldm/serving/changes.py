"""Waiting, in an event loop, for a job that another thread changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from ppaudioldm.serving.job import Job


@contextlib.contextmanager
def changes_of(job: Job) -> Iterator[asyncio.Event]:
    """An event of the running loop that is set after every change of `job`; the block clears it. No thread waits."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def notify() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(changed.set)

    end_watch = job.watch(notify)
    try:
        yield changed
    finally:
        end_watch()
