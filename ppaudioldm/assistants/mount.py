"""The protocol over HTTP, as a route of the server's application, behind its guard, its keys and its limits."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.routing import Route

from ppaudioldm.serving.request_gate import ASSISTANTS, App, Receive, Send, max_message_bytes, send_error
from ppaudioldm.serving.settings import Limits

MAX_SESSIONS = 200  # open ones of clients that speak an earlier version of the protocol; each takes some memory
IDLE_S = 30 * 60.0  # seconds after which such a session ends
METHODS = ("POST", "DELETE")


def with_assistants(app: FastAPI, server: Server, limits: Limits) -> FastAPI:
    """`app`, with `server` at ASSISTANTS. Hosts, origins and keys are the business of the application."""
    manager = StreamableHTTPSessionManager(
        server,
        max_request_body_size=max_message_bytes(limits),
        session_idle_timeout=IDLE_S,
        max_sessions=MAX_SESSIONS,
    )
    app.router.routes.append(Route(ASSISTANTS, _OnlyAnswers(StreamableHTTPASGIApp(manager))))
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def with_sessions(app: FastAPI) -> AsyncIterator[Any]:
        async with manager.run(), lifespan(app) as state:
            yield state

    app.router.lifespan_context = with_sessions
    return app


class _OnlyAnswers:
    """ASGI application that refuses GET, which would open a stream for what the server says of its own accord.

    It says nothing, and such a stream would hold up the end of the server.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["method"] in METHODS:
            await self._app(scope, receive, send)
            return
        await send_error(send, 405, "allowed here: POST, DELETE", {"allow": ", ".join(METHODS)})
