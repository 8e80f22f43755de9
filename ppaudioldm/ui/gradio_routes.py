"""The routes of Gradio that the page uses. Nothing else of Gradio is served, whatever a version of it adds.

Some of the others fetch addresses that a request names, show files, sign in elsewhere or write to the disk.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ppaudioldm.serving.request_gate import App, Receive, Send, send_error

UPLOAD = "/gradio_api/upload"
# (method, Gradio's template of the path) -> what the page asks for: part of what the template matches.
SEGMENTS = r"[\w-][\w.-]*(/[\w-][\w.-]*)*"
FILE = r"(?P<file>.+)"  # of the uploads
ROUTES = {
    ("GET", "/"): "/",
    ("HEAD", "/"): "/",
    ("GET", "/config"): "/config",
    ("GET", "/theme.css"): r"/theme\.css",
    ("GET", "/static/{path:path}"): f"/static/{SEGMENTS}",
    ("GET", "/assets/{path:path}"): f"/assets/{SEGMENTS}",
    ("GET", "/gradio_api/file={path_or_url:path}"): f"/gradio_api/file={FILE}",
    ("GET", "/gradio_api/heartbeat/{session_hash}"): r"/gradio_api/heartbeat/\w+",
    ("POST", "/gradio_api/queue/join"): "/gradio_api/queue/join",
    ("GET", "/gradio_api/queue/data"): "/gradio_api/queue/data",
    ("POST", "/gradio_api/cancel"): "/gradio_api/cancel",
    ("POST", "/gradio_api/run/{api_name}"): "/gradio_api/run/predict",
    ("POST", UPLOAD): UPLOAD,
    ("GET", "/gradio_api/upload_progress"): "/gradio_api/upload_progress",
}


class GradioRoutes:
    """ASGI application that passes on to `gradio` what ROUTES has, and answers anything else with 404.

    uploads: the folder of the only files that are shown.
    """

    def __init__(self, gradio: App, uploads: Path) -> None:
        self._gradio, self._uploads = gradio, uploads.resolve()
        self._patterns = [(method, re.compile(pattern, re.ASCII)) for (method, _), pattern in ROUTES.items()]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # a WebSocket that nobody accepts is closed; the start and end of Gradio are the server's
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if not self.admits(scope["method"], path):
            await send_error(send, 404, "the page has nothing at this address")
            return
        await self._gradio(scope, receive, send)

    def admits(self, method: str, path: str) -> bool:
        """Whether the page needs this; path: below the page, decoded."""
        for allowed, pattern in self._patterns:
            if method == allowed and (match := pattern.fullmatch(path)):
                file = match.groupdict().get("file")
                return file is None or is_upload(file, self._uploads)
        return False


def is_upload(path: str, uploads: Path) -> bool:
    """Whether `path` is an absolute path below the folder `uploads`, in its plain form, and no address."""
    found = Path(path)
    is_plain = str(found) == path.replace("/", os.sep) and ".." not in found.parts
    return is_plain and found.is_absolute() and found != uploads and found.is_relative_to(uploads)
