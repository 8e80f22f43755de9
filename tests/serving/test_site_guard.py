"""Which requests are refused because of the page that sends them, or the host that they are for."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from ppaudioldm.serving.settings import Settings
from ppaudioldm.serving.site_guard import SiteGuard
from tests.serving.examples import answering

OTHER_SITE = "the request comes from a page of another site"


def problem(method: str = "POST", settings: dict | None = None, **headers: str) -> str | None:
    guard = SiteGuard(None, Settings(Path("jobs"), **settings or {}))  # type: ignore[arg-type]
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return guard.problem(method, list(raw.items()))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "page.localhost:80",
        "127.0.0.1:8000",
        "127.1.2.3",
        "[::1]:8000",
        "192.168.1.5:8000",
        "[fe80::1]",
        socket.gethostname(),
        f"{socket.gethostname()}.local:8000",
    ],
)
def test_own_hosts(host):
    assert problem(host=host) is None
    assert problem("GET", host=host) is None
    assert problem(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "2130706433",
        "0x7f000001",
        "127.1",
        "",
        "localhost:8000@evil.example",
        "localhost/",
        "[::1",
        "a b",
        "localhost:x",
    ],
)
def test_hosts_of_others(host):
    """DNS rebinding: the page's own name has this server's address."""
    for method in ("GET", "POST"):
        assert problem(method, host=host, origin=f"http://{host}", sec_fetch_site="same-origin")
        assert problem(method, host=host)


def test_the_line_says_what_to_do():
    assert problem(host="sounds.example.com:8000") == (
        "the host 'sounds.example.com' is not one of this server: start it with --allowed-hosts sounds.example.com, "
        "or ask it by its address"
    )
    assert problem() == "the request has no valid header Host"


def test_allowed_hosts():
    names = {"allowed_hosts": ("Sounds.example.com", "*.lan", "[2001:db8::1]")}
    for host in ("sounds.example.com", "sounds.example.com:443", "a.lan", "b.a.lan", "localhost"):
        assert problem(settings=names, host=host) is None
    for host in ("example.com", "x.sounds.example.com", "lan", "evillan"):
        assert problem(settings=names, host=host)
    # Behind a proxy that sends its own host.
    assert problem(settings=names, host="127.0.0.1:8000", origin="https://sounds.example.com") is None
    assert problem(settings=names, host="127.0.0.1:8000", origin="https://evil.example") == OTHER_SITE
    every = {"allowed_hosts": ("*",)}
    assert problem(settings=every, host="any.example", origin="https://any.example") is None
    assert problem(settings=every, host="any.example", origin="https://evil.example") == OTHER_SITE


def test_a_server_with_keys_has_any_host_unless_the_settings_name_them():
    keys = {"api_keys": ("secret",)}
    assert problem(settings=keys, host="sounds.example.com") is None
    assert problem(settings=keys, host="sounds.example.com", origin="https://evil.example") == OTHER_SITE
    assert problem(settings={**keys, "allowed_hosts": ("a.example",)}, host="sounds.example.com")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},  # a page of another server on the machine
        {"origin": "http://localhost"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "file://"},
        {"origin": "ftp://localhost:8000"},
        {"origin": "http://localhost:8000/x"},
        {"origin": "http://[::1"},
        {"origin": "http://localhost:8000@evil.example"},
        {"origin": "http://evil.example", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document", "origin": "null"},
        {"sec_fetch_site": "anything"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_pages_of_other_sites(method, headers):
    assert problem(method, host="localhost:8000", **headers) == OTHER_SITE


def test_a_link_on_another_site_may_be_followed():
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert problem("GET", host="localhost:8000", **link) is None
    assert problem("POST", host="localhost:8000", **link) == OTHER_SITE


def test_repeated_headers():
    guard = SiteGuard(None, Settings(Path("jobs")))  # type: ignore[arg-type]
    host, own, other = (b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"http://evil.example")
    assert guard.problem("POST", [host, own]) is None
    assert guard.problem("POST", [host, own, other]) == guard.problem("POST", [host, other, own]) == OTHER_SITE
    assert guard.problem("POST", [host, (b"Host", b"evil.example")]) == "the request has no valid header Host"


@pytest.mark.parametrize("name", ["http://a.example", "a.example:80", "a b", "", "*.*", "a/*"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="allowed_hosts holds .*, allowed: names or addresses without a port"):
        Settings(Path("jobs"), allowed_hosts=(name,))


def test_over_http(tmp_path):
    form = {"data": {"prompt": "a dog", "duration": "0.5"}, "files": {"audio": ("a.wav", b"RIFF")}}
    with answering(tmp_path) as server:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            for answer in (
                server.client.post("/v1/generations", headers=headers, **form),
                server.client.post("/v1/generations", headers=headers, json={"prompt": "a dog"}),
                server.client.get("/healthz", headers=headers),
                server.client.get("/nothing", headers=headers),
            ):
                assert answer.status_code == 403 and list(answer.json()) == ["detail", "message"]
        assert server.service.history() == []
        port = server.client.base_url.port
        local = {"Origin": f"http://localhost:{port}"}
        assert httpx.get(f"http://localhost:{port}/healthz", headers=local).status_code == 200
        assert 'status="403"' in server.client.get("/metrics").text
