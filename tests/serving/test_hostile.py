"""Requests that no client sends: too large, too slow, too many, malformed. The answer is 4xx, and takes no memory."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import httpx
import pytest

from ppaudioldm.serving import run
from ppaudioldm.serving.settings import Limits
from tests.serving.examples import PATIENCE, answering, read_answer

POST = b"POST /v1/generations HTTP/1.1\r\nhost: localhost\r\n"
FORM = b"content-type: multipart/form-data; boundary=b\r\n"
JSON = b"content-type: application/json\r\n"
MIB = 1 << 20


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE)


# ---- Large


@pytest.mark.parametrize("kind", [FORM, JSON])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_gigabyte(server, kind, chunked):
    """It is refused before it is all there, and never all in memory."""
    before = server.memory()
    piece = bytes(MIB)
    highest = before
    with connected(server.address) as connection:
        length = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: %d\r\n\r\n" % (1 << 30)
        start = parts((b'name="audio"; filename="x"', b"")) if kind is FORM else b"["
        connection.sendall(POST + kind + length + (b"%x\r\n%b\r\n" % (len(start), start) if chunked else start))
        sent = 0
        try:
            for _ in range(1023):
                connection.sendall(b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece)
                sent += MIB
                highest = max(highest, server.memory())
        except OSError:  # it has closed the connection
            pass
        try:
            status, answer = read_answer(connection)
        except ConnectionResetError:
            pytest.fail(f"no answer was read after {sent} bytes")
    assert status == 413 and answer["detail"].startswith("the body is too large, allowed: up to ")
    assert highest - before < 64 * MIB
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        assert client.get("/healthz").status_code == 200


def test_a_length_that_cannot_be(tmp_path):
    with answering(tmp_path) as server:
        status, answer = server.ask(POST + JSON + b"content-length: %d\r\n\r\n" % 10**19)
        assert status == 413 and "too large" in answer["detail"]
        for length in (b"-1", b"1e3", b"0x10", b"9" * 5000):
            status, answer = server.ask(POST + JSON + b"content-length: " + length + b"\r\n\r\n")
            assert status in (400, 413) and answer["detail"]


def test_many_and_large_headers(tmp_path):
    with answering(tmp_path) as server:
        many = b"".join(b"x-%d: a\r\n" % i for i in range(10_000))
        for content in (
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + many + b"\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-large: " + b"a" * 10 * MIB + b"\r\n\r\n",
            b"GET /" + b"a" * 10 * MIB + b" HTTP/1.1\r\n\r\n",
        ):
            with connected(server.address) as connection:
                with contextlib.suppress(OSError):  # closed before all was sent
                    connection.sendall(content)
                status, answer = read_answer(connection)
            assert status in (400, 431) and answer["detail"]
        hundred = b"".join(b"x-%d: a\r\n" % i for i in range(101))
        status, answer = server.ask(b"GET /healthz HTTP/1.1\r\n" + hundred + b"\r\n")
        assert (status, answer["detail"]) == (400, "the request is not HTTP, or its headers are too large")  # no host
        status, answer = server.ask(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + hundred + b"\r\n")
        assert (status, answer["detail"]) == (431, "the request has 102 headers, allowed: up to 100")
        assert server.client.get("/healthz").status_code == 200


# ---- Slow


def test_a_slow_body(tmp_path):
    with answering(tmp_path, limits=Limits(body_grace_s=0.2)) as server:
        post = POST.replace(b"generations", b"sound-generation")
        for head, start in ((post + FORM, b"--b\r\n"), (post + JSON, b"{"), (POST + FORM, b"--b\r\n")):
            status, answer = server.ask(head + b"content-length: 99\r\n\r\n" + start)
            assert (status, answer["detail"]) == (408, "the body came too slowly")


def test_slow_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "HEADERS_S", 0.2)
    with answering(tmp_path) as server:
        for content in (b"", b"GET /healthz HTTP/1.1\r\nhost"):
            status, answer = server.ask(content)
            assert (status, answer["detail"]) == (408, "the headers came too slowly")
        with connected(server.address) as connection:  # on a connection that was used before
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert read_answer(connection)[0] == 200
            connection.sendall(b"GET /heal")
            assert read_answer(connection)[0] == 408


def test_a_refused_body_is_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LINGER_S", 0.2)
    with answering(tmp_path) as server, connected(server.address) as connection:
        connection.sendall(POST + JSON + b"content-length: %d\r\n\r\n" % (1 << 30))
        assert read_answer(connection)[0] == 413
        connection.settimeout(PATIENCE)
        assert connection.recv(1) == b""


# ---- Malformed


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\x00\r\n",
        b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"GET /\x00\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n",
        POST + JSON + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_bytes_that_are_not_http(tmp_path, content):
    with answering(tmp_path) as server:
        with connected(server.address) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))
        assert server.client.get("/healthz").status_code == 200


def parts(*fields: tuple[bytes, bytes]) -> bytes:
    head = b"--b\r\ncontent-disposition: form-data; "
    return b"".join(head + names + b"\r\n\r\n" + body + b"\r\n" for names, body in fields)


MALFORMED = {
    "no boundary": (b"multipart/form-data", b"--b\r\n"),
    "empty": (b"multipart/form-data; boundary=b", b""),
    "another boundary": (b"multipart/form-data; boundary=other", parts((b'name="task"', b"vary")) + b"--b--\r\n"),
    "no end": (b"multipart/form-data; boundary=b", parts((b'name="task"', b"vary"))[:-3]),
    "no headers": (b"multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    "no name": (b"multipart/form-data; boundary=b", parts((b"x=1", b"vary")) + b"--b--\r\n"),
    "broken headers": (b"multipart/form-data; boundary=b", b"--b\r\n\x00\x01: \xff\r\n\r\nx\r\n--b--\r\n"),
    "a boundary without end": (b"multipart/form-data; boundary=" + b"b" * 5000, b"--b\r\n"),
    "many fields": (
        b"multipart/form-data; boundary=b",
        parts(*((b'name="x%d"' % i, b"1") for i in range(500))) + b"--b--\r\n",
    ),
    "a large field": (b"multipart/form-data; boundary=b", parts((b'name="prompt"', b"x" * (3 << 19))) + b"--b--\r\n"),
    "a file as a field": (
        b"multipart/form-data; boundary=b",
        parts((b'name="task"; filename="x"', b"vary")) + b"--b--\r\n",
    ),
    "a field as a file": (
        b"multipart/form-data; boundary=b",
        parts((b'name="task"', b"vary"), (b'name="audio"', b"RIFF")) + b"--b--\r\n",
    ),
    "many headers in a part": (
        b"multipart/form-data; boundary=b",
        b"--b\r\n" + b"".join(b"x-%d: 1\r\n" % i for i in range(5000)) + b"\r\nx\r\n--b--\r\n",
    ),
    "deep JSON": (b"application/json", b"[" * 100_000),
    "a number without end": (b"application/json", b'{"prompt": "a", "seed": ' + b"9" * 100_000 + b"}"),
    "half a surrogate": (b"application/json", b'{"prompt": "\\ud800", "duration": 0.5}'),
    "not a number": (b"application/json", b'{"prompt": "a", "duration": NaN}'),
    "not UTF-8 in JSON": (b"application/json", b'{"prompt": "\xff"}'),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_bodies(tmp_path, case):
    kind, body = MALFORMED[case]
    with answering(tmp_path) as server:
        answer = server.client.post("/v1/generations", content=body, headers={"content-type": kind})
        assert 400 <= answer.status_code < 500, answer.text
        assert isinstance(answer.json()["detail"], str) and "\n" not in answer.json()["detail"]
        assert server.service.history() == [] and [path.name for path in tmp_path.iterdir()] == [".lock"]


# ---- Many


def test_many_idle_connections(tmp_path):
    with answering(tmp_path) as server:
        idle = [connected(server.address) for _ in range(200)]
        try:
            assert server.client.get("/healthz").status_code == 200
        finally:
            for connection in idle:
                connection.close()


def test_more_connections_than_are_accepted(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "MAX_CONNECTIONS", 20)
    with answering(tmp_path) as server:
        idle = [connected(server.address) for _ in range(30)]
        answer = httpx.get(server.client.base_url.join("/healthz"), timeout=PATIENCE)
        assert answer.status_code == 503
        for connection in idle:
            connection.close()


def test_refusals_from_many_at_once(tmp_path):
    with answering(tmp_path) as server:
        statuses = []

        def send() -> None:
            statuses.append(server.ask(POST + JSON + b"content-length: %d\r\n\r\n" % (1 << 30))[0])

        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert statuses == [413] * 50
        assert json.loads(server.client.get("/healthz").text) == {"status": "ok"}
