"""Puts the script of the languages before Gradio's own, which would otherwise begin in a language of its own choice."""

from __future__ import annotations

from typing import Any

from ppaudioldm.serving.request_gate import App, Message, Receive, Send

HEAD = b"<head>"  # of Gradio's page


class FirstScript:
    """ASGI application: `app`, but its page at `path`, and the page only, begins with `html`."""

    def __init__(self, app: App, path: str, html: str) -> None:
        self._app, self._path, self._html = app, path, html.encode()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].rstrip("/") != self._path:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def changing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            content = bytes(body).replace(HEAD, HEAD + self._html, 1)
            kept = [(name, value) for name, value in start.get("headers", ()) if name.lower() != b"content-length"]
            start["headers"] = [*kept, (b"content-length", str(len(content)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": content})

        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]  # as plain text
        await self._app({**scope, "headers": headers}, receive, changing)
