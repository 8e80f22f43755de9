"""Runs the server with uvicorn, adding time limits for headers and refused bodies, and an orderly shutdown."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ppaudioldm.serving.library_versions import check_version
from ppaudioldm.serving.request_gate import error_body
from ppaudioldm.serving.service import Service

HEADERS_S = 10.0  # seconds in which the headers of a request must arrive
LINGER_S = 5.0  # seconds in which the rest of a refused body is read and dropped: else its sender misses the answer
MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS = 512
ANSWER_S = 10.0  # seconds in which a stopping server sends the last answers, after its jobs have ended

logger = logging.getLogger(__name__)


def serve(
    service: Service, app: Any, host: str, port: int, notify: Callable[[str], None] = lambda message: None
) -> None:
    """Start `service`, answer on host:port until SIGINT or SIGTERM, and stop the service.

    notify: called with messages for the user. Raises OSError for an address that cannot be used, ValueError if no
    job can run any more.
    """
    check_version("uvicorn")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=_Protocol,
        ws="none",
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=round(service.settings.grace_s + ANSWER_S),
        server_header=False,
    )
    server = _Server(config, service)
    with _bound(host, port) as listening:
        name = f"[{host}]" if ":" in host else host
        notify(f"listening on http://{name}:{listening.getsockname()[1]}")
        service.hooks.ready.add(lambda: notify("ready"))
        service.hooks.failure.add(server.stop_soon)
        server.run(sockets=[listening])
    if service.failure:
        raise ValueError(service.failure)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: an address that is in use is an error before the models are started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it may have answers sent at once: an answer's second piece would wait 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listening


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def stop_soon(self) -> None:
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal lets running jobs finish, a second ends them at their next step.

        uvicorn's own handler would raise the signal again at the end.
        """
        if self.should_exit:
            self.force_exit = True
            self._service.end_grace()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the service only now: before its handlers are set, a signal would end the process amid a job."""
        await super().startup(sockets)
        self._service.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End waiting jobs, let running ones finish within the grace, and send all answers."""
        service = self._service
        await asyncio.to_thread(service.close)
        timer = asyncio.get_running_loop().call_later(service.settings.grace_s, service.stop_running)
        await super().shutdown(sockets)
        await asyncio.to_thread(service.stop)
        timer.cancel()


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol with time limits for headers and refused bodies, and with errors as JSON."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit(HEADERS_S, self._too_slow)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_busy():
            self._limit(None)
        elif self._timer is None:
            self._limit(HEADERS_S, self._too_slow)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._limit(LINGER_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit(None)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._answer("400 Bad Request", "the request is not HTTP, or its headers are too large")

    def _is_busy(self) -> bool:
        """Whether the headers of a request are complete, and its answer is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def _limit(self, seconds: float | None, then: Callable[[], None] = lambda: None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, then)

    def _too_slow(self) -> None:
        if not self._is_busy() and not self.transport.is_closing():
            self._answer("408 Request Timeout", "the headers came too slowly")

    def _answer(self, status: str, detail: str) -> None:
        body = json.dumps(error_body(detail))
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n{body}".encode())
        self.transport.close()
