"""The protocol over stdin and stdout: a message a line. Whatever else this process prints goes to stderr."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from ppaudioldm.serving.service import Service

READ_BYTES = 1 << 16
MAX_WAITING = 4  # lines that were read, and not taken yet
TOO_LONG = "{}"  # takes the place of a line beyond the limit: it is no message either, which the SDK passes over


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What is printed in the block, by libraries too, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def serve_standard_streams(service: Service, server: Server, max_line_bytes: int) -> None:
    """Start `service`, answer until stdin ends, or SIGINT or SIGTERM comes, and stop the service.

    max_line_bytes: of a message; a longer one is passed over. Raises ValueError if no job can run any more.
    """
    anyio.run(partial(_serve, service, server, max_line_bytes))
    if service.failure:
        raise ValueError(service.failure)


async def _serve(service: Service, server: Server, max_line_bytes: int) -> None:
    lines = _Lines(sys.stdin.fileno(), max_line_bytes)
    streams = stdio_server(stdin=lines)  # type: ignore[arg-type]  # it takes the lines, and nothing else of a file
    # The group outside: the SDK's reader waits for the end of stdin, unless it is cancelled.
    async with anyio.create_task_group() as tasks, streams as (received, sent):
        loop, cancel = asyncio.get_running_loop(), tasks.cancel_scope.cancel
        service.hooks.failure.add(lambda: loop.call_soon_threadsafe(cancel))
        tasks.start_soon(_cancel_on_signal, cancel)
        service.start(warm_up=False)  # assistants start this at every start of theirs, and may never call it
        try:
            await server.run(received, sent, server.create_initialization_options())
        finally:
            service.stop_running()  # nobody waits for its jobs any more
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(service.stop)
        cancel()


async def _cancel_on_signal(cancel: Callable[[], None]) -> None:
    # Where there is no such receiver, as on Windows, a signal ends the process in Python's own way.
    with contextlib.suppress(NotImplementedError), anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            cancel()


class _Lines:
    """The lines that come from a file descriptor.

    Python's own reader of stdin would hold a line of any length, and could not be left before the next one ends.
    """

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._descriptor, self._max_bytes = descriptor, max_bytes

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)

        def put(line: str | None) -> None:
            asyncio.run_coroutine_threadsafe(waiting.put(line), loop).result()

        def read() -> None:
            with contextlib.suppress(RuntimeError, asyncio.CancelledError):  # the loop has ended
                for line in lines_of(self._descriptor, self._max_bytes):
                    put(line)
                put(None)

        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await waiting.get()) is not None:
            yield line


def lines_of(descriptor: int, max_bytes: int) -> Iterator[str]:
    """The lines of a file descriptor, without their ends; TOO_LONG in place of one of more than `max_bytes`."""
    line, is_too_long = bytearray(), False
    while piece := os.read(descriptor, READ_BYTES):
        parts = piece.split(b"\n")
        for number, part in enumerate(parts):
            line += part
            if len(line) > max_bytes:
                line, is_too_long = bytearray(), True
            if number < len(parts) - 1:
                yield TOO_LONG if is_too_long else line.decode("utf-8", "replace")
                line, is_too_long = bytearray(), False
    if line:
        yield line.decode("utf-8", "replace")
