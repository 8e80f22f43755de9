"""Refuses requests before any work: without a key, with too many headers, with a body that is too large or too slow.

No more of a body is read than is allowed, and nothing of a refused body is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ppaudioldm.serving.settings import Limits, Settings

MAX_HEADERS = 100
MIN_BYTES_PER_SECOND = 50_000  # of a body, after the first seconds
UPLOADS = ("multipart/form-data",)  # the content types that may be as large as a recording
MAX_BODIES = 8  # of the largest size: all bodies that are being received or answered take no more together
ASSISTANTS = "/mcp"  # the path of the Model Context Protocol, whose JSON may hold a recording as base64
PROTECTED = ("/v1/", "/metrics", ASSISTANTS)  # paths that need a key, where there are keys

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RequestGate:
    """ASGI middleware for `app`: keys and limits."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app, self._limits = app, settings.limits
        self._keys = [_digest(key.encode()) for key in settings.api_keys]
        self._room = _Room(MAX_BODIES * settings.limits.body_bytes)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        if len(headers) > MAX_HEADERS:
            await send_error(send, 431, f"the request has {len(headers)} headers, allowed: up to {MAX_HEADERS}")
            return
        by_name = dict(headers)
        if self._keys and scope["path"].startswith(PROTECTED) and not self._has_key(by_name):
            detail = "a key is needed: as the header xi-api-key, or as Authorization: Bearer KEY"
            await send_error(send, 401, detail, {"www-authenticate": "Bearer"})
            return
        max_bytes = self._max_bytes(by_name, scope["path"])
        length = by_name.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > max_bytes:
            await send_error(send, 413, _too_large(max_bytes))
            return
        body = _LimitedBody(self._app, max_bytes, self._limits.body_grace_s, self._room, receive, send)
        await body.run(scope)

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        authorization = headers.get(b"authorization", b"")
        key = headers.get(b"xi-api-key") or authorization.removeprefix(b"Bearer ").strip()
        digest = _digest(key)
        # All are compared, so that the time reveals nothing.
        return any([hmac.compare_digest(digest, known) for known in self._keys])

    def _max_bytes(self, headers: dict[bytes, bytes], path: str) -> int:
        if path == ASSISTANTS:
            return max_message_bytes(self._limits)
        is_upload = headers.get(b"content-type", b"").decode("latin-1").lower().startswith(UPLOADS)
        return self._limits.body_bytes if is_upload else self._limits.json_body_bytes


def max_message_bytes(limits: Limits) -> int:
    """Of a message of the Model Context Protocol: a recording as base64, and what else a request without one holds."""
    return -(-limits.body_bytes // 3) * 4 + limits.json_body_bytes


class _Room:
    """Bytes that the bodies of all present requests may take together. The event loop alone uses it."""

    def __init__(self, free_bytes: int) -> None:
        self._free_bytes = free_bytes

    def take(self, size: int) -> bool:
        """Whether there is room for `size` more bytes, which are taken then; negative ones are given back."""
        if size > self._free_bytes:
            return False
        self._free_bytes -= size
        return True


class _LimitedBody:
    """One request, whose body is counted and timed as the application reads it. room: of the bodies of all requests."""

    def __init__(self, app: App, max_bytes: int, grace_s: float, room: _Room, receive: Receive, send: Send) -> None:
        self._app, self._max_bytes, self._grace_s, self._room = app, max_bytes, grace_s, room
        self._taken_bytes = 0
        self._receive, self._send = receive, send
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._received_bytes = 0
        self._is_complete = False  # the body
        self._has_answer = False  # of the application
        self._is_refused = False

    async def run(self, scope: MutableMapping[str, Any]) -> None:
        try:
            with contextlib.suppress(_Refused):
                await self._app(scope, self._next, self._pass_on)
        finally:
            self._room.take(-self._taken_bytes)

    async def _next(self) -> Message:
        if self._is_complete:
            return await self._receive()
        allowed_s = self._grace_s + self._received_bytes / MIN_BYTES_PER_SECOND
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, allowed_s - (self._loop.time() - self._start)))
        except asyncio.TimeoutError:
            raise await self._refuse(408, "the body came too slowly") from None
        if message["type"] == "http.request":
            self._received_bytes += len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
            if self._received_bytes > self._max_bytes:
                raise await self._refuse(413, _too_large(self._max_bytes))
            if not self._room.take(len(message.get("body", b""))):
                detail = "too much is being uploaded at the same time, try again in a minute"
                raise await self._refuse(429, detail, {"retry-after": "60"})
            self._taken_bytes += len(message.get("body", b""))
        return message

    async def _pass_on(self, message: Message) -> None:
        if self._is_refused:
            raise _Refused
        self._has_answer = True
        await self._send(message)

    async def _refuse(self, status: int, detail: str, headers: dict[str, str] | None = None) -> _Refused:
        # Answered here: an exception would be answered otherwise by the code that reads the body.
        if not self._has_answer and not self._is_refused:
            self._is_refused = True
            await send_error(self._send, status, detail, headers)
        return _Refused()


class _Refused(Exception):
    """The answer has been sent: the application's is dropped."""


async def send_error(send: Send, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
    """Answer with an error, in the format of all errors."""
    body = json.dumps(error_body(detail)).encode()
    sent = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def error_body(detail: str) -> dict[str, str]:
    """The JSON of an error: `detail` for all clients, and the same as `message`, which OpenAI's clients show."""
    return {"detail": detail, "message": detail}


def _too_large(max_bytes: int) -> str:
    return f"the body is too large, allowed: up to {max_bytes} bytes"


def _digest(key: bytes) -> bytes:
    # All of one length, or the comparison would reveal how long a key is.
    return hashlib.sha256(key).digest()
