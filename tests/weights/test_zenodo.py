"""Published files that are on zenodo.org, from a stand-in of it: whole, cut and resumed, or forbidden."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.weights import hub, zenodo
from tests.weights.examples import error_of

NAME = "audioldm-m-full"
CONTENT = bytes(range(256)) * 400
INFO = replace(CHECKPOINTS[NAME], download_gb=len(CONTENT) / 1e9)


class Zenodo(ThreadingHTTPServer):
    """requests: path and range of each. cut_after: bytes after which the connection breaks, once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str]] = []
        self.cut_after: int | None = None
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Zenodo

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        self.server.requests.append((self.path, span))
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if start >= len(CONTENT) or self.server.status != 200:
            self.send_error(416 if self.server.status == 200 else self.server.status)
            return
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, None
        self.wfile.write(CONTENT[start:cut])

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Zenodo]:
    with Zenodo() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ZENODO_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # as it is in the tests otherwise
        monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("AUDIOLDM_CACHE_DIR", str(tmp_path / "theirs"))
        yield server
        server.shutdown()


def test_a_file_is_downloaded_once_with_its_licence(server, caplog):
    path = hub.fetch_checkpoint(NAME, INFO)
    assert path.read_bytes() == CONTENT and path.name == "audioldm-m-full.ckpt"
    assert server.requests == [("/record/7813012/files/audioldm-m-full.ckpt?download=1", "")]
    assert "from zenodo.org; its weights are licensed CC-BY-NC-SA-4.0" in caplog.text
    assert hub.fetch_checkpoint(NAME, INFO) == path and len(server.requests) == 1


def test_a_download_that_stopped_is_resumed(server):
    server.cut_after = 1000
    message = error_of(zenodo.fetch, NAME, INFO)
    assert message == f"the download of {NAME} is incomplete, 1000 of {len(CONTENT)} bytes: try again, it is resumed"
    assert zenodo.fetch(NAME, INFO).read_bytes() == CONTENT
    assert server.requests[1][1] == "bytes=1000-"


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    part = tmp_path / "cache" / "downloads" / f".{INFO.filename}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (len(CONTENT) + 1))
    assert zenodo.fetch(NAME, INFO).read_bytes() == CONTENT


def test_an_answer_that_is_an_error(server):
    server.status = 404
    assert "cannot download audioldm-m-full from http://127.0.0.1" in error_of(zenodo.fetch, NAME, INFO)


def test_nothing_is_downloaded_where_that_is_forbidden(server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    expected = f"cannot get {NAME}: it is not stored, and HF_HUB_OFFLINE=1 forbids a download"
    assert error_of(hub.fetch_checkpoint, NAME, INFO) == expected
    assert not server.requests


@pytest.mark.parametrize("name", [NAME, "audioldm-s-full"])
def test_what_audioldms_own_program_downloaded_is_used(server, tmp_path, name):
    info = replace(CHECKPOINTS[name], download_gb=INFO.download_gb)
    theirs: Path = tmp_path / "theirs" / f"{name}.ckpt"
    theirs.parent.mkdir()
    theirs.write_bytes(CONTENT[:1000])  # half of it, where that program was stopped
    assert zenodo.stored_file(name, info) is None
    theirs.write_bytes(CONTENT)
    assert hub.fetch_checkpoint(name, info) == theirs and not server.requests
