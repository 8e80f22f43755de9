"""Access to the page: login with an API key, limits of uploads, content security policy."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from ppaudioldm.serving.request_gate import App, Message, Receive, Send, send_error
from ppaudioldm.ui import texts
from ppaudioldm.ui.gradio_routes import UPLOAD
from ppaudioldm.ui.uploads import UploadRoom, UploadsFull

COOKIE = "ppaudioldm-key"
LOGIN = "login"
# The browser exchanges nothing with another server, whatever Gradio's page asks for. Gradio's components need inline
# styles and scripts, and compile templates in the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",  # "no-referrer" would send forms without their origin, which is checked
    "x-content-type-options": "nosniff",
}
LOGIN_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ppaudioldm</title><style>
body{{font-family:system-ui,sans-serif;max-width:24rem;margin:15vh auto 0;padding:0 1rem;line-height:1.5}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.3rem 0}}
</style>{script}</head><body>{switch}<h1>ppaudioldm</h1>
<form method="post"><label for="key">API key of this server</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Open the page</button></form><p role="alert">{message}</p></body></html>
"""


class PageKeys:
    """The API keys of the server, checked by the cookies of browsers that logged in, which do not reveal the key."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._cookies = [_cookie(key) for key in keys]

    def cookie(self, key: str) -> str | None:
        """The cookie for `key`; None if it is not a key of the server."""
        cookie = _cookie(key)
        return cookie if self._is_known(cookie) else None

    def admits(self, request: Request) -> bool:
        """Whether the request has the cookie of a key, or the server has no keys."""
        return not self._cookies or self._is_known(request.cookies.get(COOKIE, ""))

    def _is_known(self, cookie: str) -> bool:
        # Always compared with all of them, so that the time reveals nothing.
        return any([hmac.compare_digest(cookie.encode(), known.encode()) for known in self._cookies])


def _cookie(key: str) -> str:
    return hmac.new(hashlib.sha256(key.encode()).digest(), b"page", hashlib.sha256).hexdigest()


def _login_page(message: str) -> str:
    return LOGIN_PAGE.format(message=message, script=texts.script(), switch=texts.switch())


def login_routes(keys: PageKeys) -> APIRouter:
    """The form that asks for a key, and what it is sent to."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{LOGIN}")
    async def show() -> HTMLResponse:
        return HTMLResponse(_login_page(""))

    @router.post(f"/{LOGIN}")
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=1)
        cookie = keys.cookie(str(form.get("key", "")))
        if cookie is None:
            return HTMLResponse(_login_page("This is not a key of this server."), 401)
        response = RedirectResponse("./", 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=is_secure, max_age=30 * 86400)
        return response

    return router


class PageAccess:
    """ASGI middleware for everything below `path`: admits requests with a key, adds security headers, limits uploads.

    room: for the recordings that browsers send. max_bytes: of one request.
    """

    def __init__(self, app: App, path: str, keys: PageKeys, room: UploadRoom, max_bytes: int) -> None:
        self._app, self._path, self._keys = app, path, keys
        self._room, self._max_bytes = room, max_bytes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{self._path}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if scope["path"] != f"{self._path}/{LOGIN}" and not self._keys.admits(request):
            await self._ask_for_key(request, send)
        elif scope["path"] == self._path + UPLOAD:
            await self._upload(request, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    async def _upload(self, request: Request, receive: Receive, send: Send) -> None:
        length = request.headers.get("content-length", "")
        size = min(int(length[:20]), self._max_bytes) if length.isdigit() else self._max_bytes
        try:
            await run_in_threadpool(self._room.reserve, size)
        except UploadsFull as error:
            await send_error(send, 429, str(error), {"retry-after": "3600"})
            return
        try:
            await self._app(request.scope, receive, _with_headers(send))
        finally:
            self._room.release(size)

    async def _ask_for_key(self, request: Request, send: Send) -> None:
        if "text/html" not in request.headers.get("accept", ""):
            await send_error(send, 401, "a key is needed: reload the page")
            return
        location = f"{request.scope.get('root_path', '')}{self._path}/{LOGIN}"
        await RedirectResponse(location, 303)(request.scope, request.receive, send)


def _with_headers(send: Send) -> Callable[[Message], Any]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return sending
