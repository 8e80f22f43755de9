"""What is refused before anything is done with it: strangers, requests that are too large, and those too slow.

It reads no more of a body than is allowed, and keeps nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ppaudioldm.serving.settings import Settings

MAX_HEADERS = 100
SLOWEST = 50_000  # bytes a second of a body, after the first seconds
UPLOADS = ("multipart/form-data",)  # the content types that may be as large as a recording
PROTECTED = ("/v1/", "/metrics")  # what needs a key, where there are keys

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware for `app`."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app, self._limits = app, settings.limits
        self._keys = [_digest(key.encode()) for key in settings.api_keys]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        if len(headers) > MAX_HEADERS:
            await answer(send, 431, f"the request has {len(headers)} headers, allowed: up to {MAX_HEADERS}")
            return
        found = dict(headers)
        if self._keys and scope["path"].startswith(PROTECTED) and not self._is_known(found):
            refused = "a key is needed: as the header xi-api-key, or as Authorization: Bearer KEY"
            await answer(send, 401, refused, {"www-authenticate": "Bearer"})
            return
        most = self._most(found)
        length = found.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > most:
            await answer(send, 413, _too_large(most))
            return
        await _Request(self._app, most, self._limits.slow, receive, send).run(scope)

    def _is_known(self, headers: dict[bytes, bytes]) -> bool:
        authorization = headers.get(b"authorization", b"")
        given = headers.get(b"xi-api-key") or authorization.removeprefix(b"Bearer ").strip()
        digest = _digest(given)
        # All are compared, so that the time tells nothing.
        return any([hmac.compare_digest(digest, key) for key in self._keys])

    def _most(self, headers: dict[bytes, bytes]) -> int:
        is_upload = headers.get(b"content-type", b"").decode("latin-1").lower().startswith(UPLOADS)
        return self._limits.body if is_upload else self._limits.json_body


class _Request:
    """One request: its body is counted and timed as the application asks for it."""

    def __init__(self, app: App, most: int, slow: float, receive: Receive, send: Send) -> None:
        self._app, self._most, self._slow = app, most, slow
        self._receive, self._send = receive, send
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._got = 0
        self._complete = False  # the body
        self._started = False  # the application's answer
        self._refused = False

    async def run(self, scope: MutableMapping[str, Any]) -> None:
        with contextlib.suppress(_Refused):
            await self._app(scope, self._next, self._pass_on)

    async def _next(self) -> Message:
        if self._complete:
            return await self._receive()
        left = self._slow + self._got / SLOWEST - (self._loop.time() - self._began)
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left))
        except asyncio.TimeoutError:
            raise await self._refuse(408, "the body came too slowly") from None
        if message["type"] == "http.request":
            self._got += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._got > self._most:
                raise await self._refuse(413, _too_large(self._most))
        return message

    async def _pass_on(self, message: Message) -> None:
        if self._refused:
            raise _Refused
        self._started = True
        await self._send(message)

    async def _refuse(self, status: int, detail: str) -> _Refused:
        # Answered here: what reads the body makes other errors of an exception.
        if not self._started and not self._refused:
            self._refused = True
            await answer(self._send, status, detail)
        return _Refused()


class _Refused(Exception):
    """The answer has been sent, and nobody waits for another."""


async def answer(send: Send, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
    """Send an error as all errors are sent."""
    body = json.dumps(error_body(detail)).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def error_body(detail: str) -> dict[str, str]:
    """The JSON of an error: `detail` for all, and the same as `message`, which OpenAI's clients show."""
    return {"detail": detail, "message": detail}


def _too_large(most: int) -> str:
    return f"the body is too large, allowed: up to {most} bytes"


def _digest(key: bytes) -> bytes:
    # Of one length, or the comparison would tell how long a key is.
    return hashlib.sha256(key).digest()
