"""Who may use the page, and what its answers may do: keys, other sites' requests, what a browser may load."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from ppaudioldm.serving.request_gate import App, Message, Receive, Send, send_error

COOKIE = "ppaudioldm-key"
LOGIN = "login"
UPLOAD = "/gradio_api/upload"
# Nothing comes from or goes to another server, whatever Gradio's page asks for. Its components are made of inline
# styles and scripts, and are compiled in the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
LOGIN_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ppaudioldm</title><style>
body{{font-family:system-ui,sans-serif;max-width:24rem;margin:15vh auto 0;padding:0 1rem;line-height:1.5}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.3rem 0}}
</style></head><body><h1>ppaudioldm</h1><form method="post"><label for="key">A key of this server</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Open the page</button></form><p role="alert">{told}</p></body></html>
"""


class Keys:
    """The keys of a server, of which a browser that knows one holds a cookie: it tells nothing of the key."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._cookies = [_cookie(key) for key in keys]

    def cookie(self, key: str) -> str | None:
        """For a key; None for another."""
        given = _cookie(key)
        return given if self._is_one(given) else None

    def admits(self, request: Request) -> bool:
        """Whether the request comes from who knows a key, or needs none."""
        return not self._cookies or self._is_one(request.cookies.get(COOKIE, ""))

    def _is_one(self, cookie: str) -> bool:
        # All are compared, so that the time tells nothing.
        return any([hmac.compare_digest(cookie.encode(), known.encode()) for known in self._cookies])


def _cookie(key: str) -> str:
    return hmac.new(hashlib.sha256(key.encode()).digest(), b"page", hashlib.sha256).hexdigest()


def login_routes(keys: Keys) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{LOGIN}")
    async def show() -> HTMLResponse:
        return HTMLResponse(LOGIN_PAGE.format(told=""))

    @router.post(f"/{LOGIN}")
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=1)
        cookie = keys.cookie(str(form.get("key", "")))
        if cookie is None:
            return HTMLResponse(LOGIN_PAGE.format(told="That is no key of this server."), 401)
        response = RedirectResponse("./", 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=is_secure, max_age=30 * 86400)
        return response

    return router


class Door:
    """ASGI middleware: of what is below `path`, only who may gets in, and browsers keep to this server.

    uploads, most: the folder of what browsers send, and the bytes that may be in it.
    """

    def __init__(self, app: App, path: str, keys: Keys, uploads: Path, most: int) -> None:
        self._app, self._path, self._keys = app, path, keys
        self._uploads, self._most = uploads, most

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{self._path}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if scope["method"] not in ("GET", "HEAD") and is_foreign(request):
            await send_error(send, 403, "the request comes from a page of another site")
        elif scope["path"] != f"{self._path}/{LOGIN}" and not self._keys.admits(request):
            await self._turn_away(request, send)
        elif scope["path"] == self._path + UPLOAD and _size(self._uploads) > self._most:
            await send_error(
                send, 429, "too many recordings were sent lately, try again in an hour", {"retry-after": "3600"}
            )
        else:
            await self._app(scope, receive, _with_headers(send))

    async def _turn_away(self, request: Request, send: Send) -> None:
        if "text/html" not in request.headers.get("accept", ""):
            await send_error(send, 401, "a key is needed: reload the page")
            return
        location = f"{request.scope.get('root_path', '')}{self._path}/{LOGIN}"
        await RedirectResponse(location, 303)(request.scope, request.receive, send)


def is_foreign(request: Request) -> bool:
    """Whether a browser sent it for a page of another site."""
    if site := request.headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _with_headers(send: Send) -> Callable[[Message], Any]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return sending


def _size(folder: Path) -> int:
    """Bytes of the files in `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
