"""A stand-in for the Hugging Face hub, or a mirror of it: as much of its HTTP as downloading takes."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """repos: repository -> the folder with its files. requests: what was asked for, as "GET path [range]".

    status: of every answer, if not 200. cut_after: bytes of a file after which the connection breaks; once.
    """

    daemon_threads = True

    def __init__(self, repos: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos = repos
        self.requests: list[str] = []
        self.status = 200
        self.cut_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def _answer(self, with_body: bool) -> None:
        wanted = self.headers.get("Range", "")
        self.server.requests.append(f"{self.command} {self.path} {wanted}".strip())
        if self.server.status != 200:
            return self._send(self.server.status, b"", {})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+)?", self.path.partition("?")[0]):
            return self._repository(match[1])
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/[^/]+", self.path.partition("?")[0]):
            return self._tree(match[1])
        match = re.fullmatch(r"/((?:spaces/)?[^/]+/[^/]+)/resolve/[^/]+/(.*)", self.path.partition("?")[0])
        folder = self.server.repos.get(match[1]) if match else None
        if match is None or folder is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        file = folder / match[2]
        if not file.is_file():
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": COMMIT}
            return self._send(404, b"", headers)
        return self._file(file, wanted, with_body)

    def _repository(self, repo: str) -> None:
        folder = self.server.repos.get(repo)
        if folder is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        files = [{"rfilename": path.relative_to(folder).as_posix()} for path in folder.rglob("*") if path.is_file()]
        body = json.dumps({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": files, "tags": [], "private": False})
        return self._send(200, body.encode(), {"Content-Type": "application/json"})

    def _tree(self, repo: str) -> None:
        folder = self.server.repos.get(repo, Path("/nowhere"))
        files = [
            {
                "type": "file",
                "path": path.relative_to(folder).as_posix(),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in folder.rglob("*")
            if path.is_file()
        ]
        return self._send(200, json.dumps(files).encode(), {"Content-Type": "application/json"})

    def _file(self, file: Path, wanted: str, with_body: bool) -> None:
        content = file.read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        start = int(match[1]) if (match := re.fullmatch(r"bytes=(\d+)-.*", wanted)) else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        cut = self.server.cut_after
        if with_body and cut is not None and len(body) > cut:
            self.server.cut_after = None
            self._headers(200, len(body), headers)
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            return
        self._headers(206 if start else 200, len(body), headers)
        if with_body:
            self.wfile.write(body)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._headers(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _headers(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(repos: dict[str, Path]) -> Iterator[Hub]:
    hub = Hub(repos)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
