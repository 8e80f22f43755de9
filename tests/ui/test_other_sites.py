"""Every route of the running server and page, asked by other sites' pages, and with an address in every text.

Nothing is accepted of the former, and nothing is fetched for the latter: a listening socket counts its connections, and
this process connects to no other address than the server's, and looks none up.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ppaudioldm.serving.app import create_app
from ppaudioldm.ui.mount import with_page
from tests.imitation import ImitationPipeline
from tests.serving.examples import PATIENCE, Answering, answering, until
from tests.serving.test_http import recording
from tests.tasks.test_speak import TINY_SPEECH
from tests.ui.test_gradio_routes import table

SECRET = "what only the machine's owner may read"
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


@dataclass
class Traffic:
    """What this process did on the network and with `secret`, a file. own: the port of the server."""

    secret: Path
    own: int = 0
    seen: list[str] = field(default_factory=list)
    is_watched: bool = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_watched:
            return
        if event == "open" and str(arguments[0]) == str(self.secret):
            self.seen.append(f"{event} {arguments[0]}")
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else None
        if address is not None and address != ("127.0.0.1", self.own):
            self.refuse(event, address)
        if event in LOOKUPS and arguments[0] not in ("127.0.0.1", "localhost", socket.gethostname()):
            self.refuse(event, arguments[0])

    def refuse(self, event: str, address: Any) -> None:
        self.seen.append(f"{event} {address}")
        raise PermissionError(f"{event} {address}")


class Counting:
    """A server that counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.socket.accept()[0].close()
                self.connections += 1


@dataclass
class Site:
    server: Answering
    traffic: Traffic
    counting: Counting
    routes: list[tuple[str, str]]  # (method, template)

    @property
    def client(self) -> httpx.Client:
        return self.server.client

    @property
    def addresses(self) -> list[str]:
        here = f"127.0.0.1:{self.counting.port}"
        return [
            "https://fetch.example/a.wav",
            f"http://{here}/a.wav",
            f"//{here}/a.wav",
            f"file://{self.traffic.secret}",
        ]

    def files(self) -> list[str]:
        folder = self.server.service.settings.folder
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("other sites")
    traffic = Traffic(folder / "secret")
    traffic.secret.write_text(SECRET)
    sys.addaudithook(traffic.audit)  # it stays, but does nothing once it is not watched
    apps = []

    def app_of(service: Any) -> Any:
        apps.append(with_page(create_app(service), service))
        return apps[0]

    sounds, speaks = ImitationPipeline(samples=160), ImitationPipeline("speaks", config=TINY_SPEECH, samples=160)
    with answering(folder / "jobs", sounds, speaks, app_of=app_of, queue_size=1000) as server:
        traffic.own, traffic.is_watched = server.address[1], True
        yield Site(server, traffic, Counting(), sorted(routes_of(apps[0])))
    traffic.is_watched = False


def routes_of(app: Any) -> Iterator[tuple[str, str]]:
    """(method, template) of every route, those of the page and all of Gradio's own below /ui."""
    for route in app.routes:
        if hasattr(route, "original_router"):
            prefix = route.include_context.prefix
            yield from ((method, f"{prefix}{template}") for method, template in table([route]))
        elif hasattr(route, "methods"):
            yield from ((method, route.path) for method in route.methods)
        else:
            gradio = getattr(route.app, "_gradio", route.app)
            yield from ((method, f"{route.path}{template}") for method, template in table(gradio.routes))


def filled(template: str, text: str) -> str:
    return re.sub(
        r"\{(\w+)(:path)?\}", lambda match: text if match[2] else quote(text, safe=""), template.replace("//", "/")
    )


def test_the_walk_sees_every_room(site):
    found = {template for _, template in site.routes}
    assert {"/", "/docs", "/healthz", "/v1/generations", "/v1/generations/{id}/audio", "/v1/audio/speech"} <= found
    assert {
        "/ui/login",
        "/ui/sounds/{job_id}/{name}",
        "/ui/gradio_api/run/{api_name}",
        "/ui/assets/{path:path}",
    } <= found
    assert len(site.routes) > 100


def test_the_walk_would_notice(site):
    with pytest.raises(PermissionError), socket.socket() as connecting:
        connecting.connect(("192.0.2.1", 80))
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://fetch.example")
    site.traffic.secret.read_text()
    assert [line.split()[0] for line in site.traffic.seen] == ["socket.connect", "socket.getaddrinfo", "open"]
    site.traffic.seen.clear()
    site.traffic.is_watched = False
    socket.create_connection(("127.0.0.1", site.counting.port)).close()
    until(lambda: site.counting.connections == 1)
    site.traffic.is_watched, site.counting.connections = True, 0


BODIES: tuple[dict[str, Any], ...] = (
    {"json": {"prompt": "a bell", "text": "a bell", "input": "a bell", "voice": "alloy", "model": "x"}},
    {"data": {"prompt": "a bell"}, "files": {"audio": ("a.wav", recording()), "files": ("a.wav", recording())}},
    {"content": "prompt=a bell", "headers": {"content-type": "text/plain"}},
)
OTHER_SITES: tuple[dict[str, str], ...] = (
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:1"},
    {"host": "evil.example", "origin": "http://evil.example", "sec-fetch-site": "same-origin"},
)


@pytest.mark.parametrize("number", range(len(OTHER_SITES)))
def test_other_sites_are_refused_on_every_route(site, number):
    before, body = site.files(), BODIES[number % len(BODIES)]
    for method, template in site.routes:
        sent = body if method == "POST" else {}
        headers = {**sent.get("headers", {}), **OTHER_SITES[number]}
        answer = site.client.request(method, filled(template, "predict"), **{**sent, "headers": headers})
        assert answer.status_code == 403, (method, template, answer.text)
        assert "set-cookie" not in answer.headers and "access-control-allow-origin" not in answer.headers
    assert site.server.service.history() == [] and site.server.pipeline.batches == [] and site.files() == before


def check(site: Site, texts: list[str]) -> None:
    """Nothing was fetched or shown, also not by what goes on behind the answers."""
    until(lambda: not site.server.service.running and not len(site.server.service.queue))
    assert site.traffic.seen == [] and site.counting.connections == 0
    assert not [text for text in texts if SECRET in text]


def ask(site: Site, method: str, path: str, **sent: Any) -> str:
    """The text of the answer; "" for a stream, which may have no end, and for a connection that Gradio closes."""
    with contextlib.suppress(httpx.TransportError), site.client.stream(method, path, **sent) as answer:
        return answer.read().decode("latin-1") if "content-length" in answer.headers else ""
    return ""


def test_addresses_in_paths_and_queries(site):
    names = ("deep_link", "page", "url", "file", "path", "upload_id", "session_hash", "output_format", "format")
    texts = []
    for number, (method, template) in enumerate(site.routes):
        for address in site.addresses if "{" in template else ():
            texts.append(ask(site, method, filled(template, address), headers={"x-forwarded-host": address}))
        address = site.addresses[number % len(site.addresses)]
        headers = {"x-gradio-server": address, "referer": address}
        texts.append(
            ask(site, method, filled(template, "predict"), params=dict.fromkeys(names, address), headers=headers)
        )
    check(site, texts)


def string_fields(schema: dict[str, Any]) -> list[str]:
    return [name for name, of in schema["properties"].items() if "string" in json.dumps(of) or "anyOf" in of]


def test_addresses_in_every_field_of_a_request(site):
    document = site.client.get("/openapi.json").json()
    answers = []
    for path, operations in document["paths"].items():
        for kind, content in operations.get("post", {}).get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            schema = document["components"]["schemas"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
            valid = {name: value for name, value in BODIES[0]["json"].items() if name in schema["properties"]}
            valid |= {"duration": 0.5} if "duration" in schema["properties"] else {}
            valid.pop("model" if path == "/v1/generations" else "", None)
            for number, name in enumerate(string_fields(schema)):
                for address in (site.addresses[number % 2], site.addresses[2 + number % 2]):
                    values = {**valid, name: address}
                    url = filled(path, "alloy")
                    if kind == "application/json":
                        answers.append(site.client.post(url, json=values))
                    else:
                        answers.append(site.client.post(url, data=values, files={"audio": (address, recording())}))
    assert len(answers) > 80 and {answer.status_code for answer in answers} <= {200, 202, 404, 422}
    check(site, [answer.text for answer in answers if "json" in answer.headers["content-type"]])


def playlists(address: str) -> list[bytes]:
    """Files of formats whose readers fetch what they name."""
    return [
        address.encode(),
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n".encode(),
        f"ffconcat version 1.0\nfile '{address}'\n".encode(),
        f"[playlist]\nFile1={address}\nNumberOfEntries=1\n".encode(),
        f'<?xml version="1.0"?><MPD><BaseURL>{address}</BaseURL></MPD>'.encode(),
        f"[Reference]\nRef1={address}\n".encode(),
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ]


def test_addresses_in_recordings(site):
    answers = []
    for address in site.addresses:
        for content in playlists(address):
            for name in ("a.wav", "a.m3u8"):
                files = {"audio": (name, content)}
                answers.append(site.client.post("/v1/generations", data={"task": "vary"}, files=files))
    assert {answer.status_code for answer in answers} == {422}
    check(site, [answer.text for answer in answers])


def test_addresses_in_every_field_of_the_page(site):
    """Of each event of Gradio's: as a text, and as a file, which is where Gradio fetches."""
    config = site.client.get("/ui/config").json()
    upload = site.client.post("/ui/gradio_api/upload", files={"files": ("a.wav", recording())}).json()[0]
    meta = {"_type": "gradio.FileData"}
    event = {name: site.addresses[0] for name in ("action", "job", "start", "end")} | {"index": 0}
    body: dict[str, Any] = {"session_hash": "s", "event_data": event, "trigger_id": None}
    texts, queued = [], 0
    for number, dependency in enumerate(config["dependencies"]):
        address = site.addresses[number % len(site.addresses)]
        for value in (
            address,
            {"path": site.addresses[0], "meta": meta},
            {"path": address, "url": address, "is_stream": True, "orig_name": address, "meta": meta},
            {"path": upload, "url": address, "meta": meta},
        ):
            body |= {"fn_index": dependency["id"], "data": [value] * len(dependency["inputs"])}
            if dependency["queue"]:
                queued += site.client.post("/ui/gradio_api/queue/join", json=body).status_code == 200
            else:
                texts.append(ask(site, "POST", "/ui/gradio_api/run/predict", json=body))
    texts += completed(site, "s", queued)
    assert queued > 0 and len(texts) == 4 * len(config["dependencies"])
    check(site, texts)
    assert site.client.get(f"/ui/gradio_api/file={upload}").status_code == 200


def completed(site: Site, session: str, count: int) -> list[str]:
    """What Gradio's queue says of `count` events, once they have ended."""
    lines = []
    with site.client.stream("GET", "/ui/gradio_api/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            lines += [line] * ("process_completed" in line)
            if len(lines) == count:
                break
    return lines


def test_the_server_goes_on(site):
    answer = site.client.post("/v1/generations", json={"prompt": "a bell", "duration": 0.5})
    assert answer.status_code == 202
    assert site.server.service.find(answer.json()["id"]).wait(PATIENCE)
    assert site.client.get("/readyz").status_code == 200
