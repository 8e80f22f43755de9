"""The HTTP application: the routes of a service, behind its keys and limits, and closed to other sites' pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI

from ppaudioldm import __version__
from ppaudioldm.serving import elevenlabs, generations, openai, sound_info, status
from ppaudioldm.serving.metrics import Metrics
from ppaudioldm.serving.request_gate import RequestGate
from ppaudioldm.serving.responses import add_error_handlers
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.site_guard import SiteGuard
from ppaudioldm.serving.voices import Voice, all_voices

DESCRIPTION = "Sounds from texts and recordings. Errors are JSON with a `detail`, in one line."
Scope = MutableMapping[str, Any]


def create_app(service: Service, voices: dict[str, Voice] | None = None) -> FastAPI:
    """The application of `service`, which the caller starts and stops. voices: by id, the built-in ones by default."""
    app = FastAPI(title="ppaudioldm", version=__version__, description=DESCRIPTION, redoc_url=None)
    metrics = Metrics(service)
    voices = all_voices() if voices is None else voices
    app.include_router(elevenlabs.routes(service, voices))
    app.include_router(openai.routes(service, voices))
    app.include_router(generations.routes(service))
    app.include_router(sound_info.routes())
    app.include_router(status.routes(service, metrics))
    add_error_handlers(app, service)
    app.add_middleware(RequestGate, settings=service.settings)
    app.add_middleware(SiteGuard, settings=service.settings)
    app.add_middleware(_CountRequests, metrics=metrics)
    return app


class _CountRequests:
    """ASGI middleware that counts requests by method, route and status."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Scope) -> None:
            if message["type"] == "http.response.start":
                # The route's template: there is no limit to the number of paths.
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"
                self._metrics.count_request(method, route, message["status"])
            await send(message)

        await self._app(scope, receive, counting)
