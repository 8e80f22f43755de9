"""The HTTP application: the routes of a service behind its guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI

from ppaudioldm import __version__
from ppaudioldm.serving import elevenlabs, generations, openai, status
from ppaudioldm.serving.answers import add_error_handlers
from ppaudioldm.serving.guard import Guard
from ppaudioldm.serving.metrics import Metrics
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice, all_voices

DESCRIPTION = "Text and recordings to sound. Errors are JSON with a `detail`, in one line."
Scope = MutableMapping[str, Any]


def create_app(service: Service, voices: dict[str, Voice] | None = None) -> FastAPI:
    """The application that answers for `service`, which others start and stop."""
    app = FastAPI(title="ppaudioldm", version=__version__, description=DESCRIPTION, redoc_url=None)
    metrics = Metrics(service)
    voices = all_voices() if voices is None else voices
    app.include_router(elevenlabs.routes(service, voices))
    app.include_router(openai.routes(service, voices))
    app.include_router(generations.routes(service))
    app.include_router(status.routes(service, metrics))
    add_error_handlers(app, service)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(_Counted, metrics=metrics)
    return app


class _Counted:
    """ASGI middleware that counts the answers by route."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Scope) -> None:
            if message["type"] == "http.response.start":
                # The route's template, not the path, of which there are any number.
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"
                self._metrics.requested(method, route, message["status"])
            await send(message)

        await self._app(scope, receive, counting)
