"""Access to the page: keys, other sites, uploads, and what browsers may load."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from fastapi.testclient import TestClient

from ppaudioldm.serving.settings import Limits
from ppaudioldm.ui.actions import Actions
from ppaudioldm.ui.uploads import UploadRoom, UploadsFull
from tests.serving.examples import PATIENCE, new_request
from tests.ui.examples import opened

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A page of a server that has keys."""
    with opened(tmp_path_factory.mktemp("locked"), api_keys=("secret", "ключ")) as page:
        yield page


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("free")) as page:
        yield page


def client(page) -> TestClient:
    return TestClient(page.app, "http://localhost", follow_redirects=False)


@pytest.mark.parametrize("path", ["/ui/", "/ui/config", "/ui/sounds/x/0.wav", "/ui/gradio_api/queue/join"])
def test_without_a_key(locked, path):
    answer = client(locked).get(path)
    assert (answer.status_code, answer.json()["detail"]) == (401, "a key is needed: reload the page")
    answer = client(locked).get(path, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")
    assert client(locked).get(path, headers={**HTML, "Cookie": "ppaudioldm-key=secret"}).status_code == 303


@pytest.mark.parametrize("key", ["secret", "ключ"])
def test_with_a_key(locked, key):
    browser = client(locked)
    assert "API key of this server" in browser.get("/ui/login").text
    answer = browser.post("/ui/login", data={"key": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and key not in cookie
    assert browser.get("/ui/config").status_code == 200


@pytest.mark.parametrize("key", ["", "Secret", "secret ", "x" * 10000])
def test_with_another_key(locked, key):
    browser = client(locked)
    assert browser.post("/ui/login", data={"key": key}).status_code == 401
    assert browser.get("/ui/config").status_code == 401


def test_the_login_is_not_for_other_sites_or_files(locked):
    browser = client(locked)
    assert browser.post("/ui/login", data={"key": "secret"}, headers={"Origin": "http://evil"}).status_code == 403
    assert browser.post("/ui/login", files={"key": b"secret"}).status_code in (400, 401)


def test_without_keys_it_is_open(free):
    browser = client(free)
    assert browser.get("/").headers["location"] == "/ui/"
    answer = browser.get("/ui/", headers=HTML)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert browser.get("/healthz").headers.get("content-security-policy") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 422),  # let in, but it says nothing
        ({"Origin": "http://localhost"}, 422),
        ({}, 422),
    ],
)
def test_other_sites_send_nothing(free, headers, status):
    assert client(free).post("/ui/gradio_api/queue/join", headers=headers).status_code == status


def test_uploads_are_bounded(free):
    files = {"files": ("a.wav", b"RIFF" * 100)}
    browser = client(free)
    assert browser.post("/ui/gradio_api/upload", files=files).status_code == 200
    most = 8 * free.service.settings.limits.body_bytes
    with (free.uploads / "large").open("wb") as file:
        file.truncate(most)  # takes no room on the disk
    answer = browser.post("/ui/gradio_api/upload", files=files)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
    (free.uploads / "large").unlink()
    assert browser.post("/ui/gradio_api/upload", files=files).status_code == 200


def test_an_edited_sound_needs_room_as_well(free):
    job = free.service.submit(new_request())
    assert job.wait(PATIENCE)
    actions = Actions(free.service, free.uploads, UploadRoom(free.uploads, 10_000))
    with pytest.raises(UploadsFull):
        actions.sound_as_recording(job.id, 0)
    assert free.actions.sound_as_recording(job.id, 0).exists()


class Uploading:
    """An upload of `size` bytes to the app, of which the last byte is sent by `finish`."""

    def __init__(self, app, path: str, size: int) -> None:
        self._rest = asyncio.Event()
        head = b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        content = head + bytes(size - len(head) - 9) + b"\r\n--b--\r\n"
        self._messages = [content[:-1], content[-1:]]
        self.statuses: list[int] = []
        headers = {"host": "localhost", "content-type": "multipart/form-data; boundary=b"}
        scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "root_path": ""}
        scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "server": ("localhost", 80)}
        scope |= {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict:
        if len(self._messages) == 1:
            await self._rest.wait()
        if not self._messages:
            return {"type": "http.disconnect"}
        body = self._messages.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._messages)}

    async def _send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])

    async def finish(self) -> int:
        self._rest.set()
        await asyncio.wait_for(self.task, PATIENCE)
        return self.statuses[0]


@pytest.mark.parametrize("path", ["/ui/gradio_api/upload", "/v1/generations"])
def test_uploads_that_arrive_together_count_together(tmp_path, path):
    """Each of them alone would fit. None has a length in advance."""
    limit = 100_000

    async def upload() -> tuple[list[int], list[int]]:
        with opened(tmp_path, limits=Limits(body_bytes=limit)) as page:
            uploads = [Uploading(page.app, path, limit) for _ in range(12)]
            await asyncio.sleep(1.0)  # until each is refused, or waits for its last byte
            refused = [upload.statuses[0] for upload in uploads if upload.statuses]
            arrived = [await upload.finish() for upload in uploads if not upload.statuses]
            shutil.rmtree(page.uploads)
            page.uploads.mkdir()
            later = await Uploading(page.app, path, limit).finish()
        return refused, [*arrived, later]

    refused, arrived = asyncio.run(upload())
    assert len(refused) + len(arrived) == 13 and set(refused) == {429} and 429 not in arrived
    assert len(refused) in (4, 5)  # the page itself has an icon among the uploads


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml"])
def test_no_file_of_the_machine_is_served(free, path):
    assert client(free).get(f"/ui/gradio_api/file={path}").status_code in (403, 404)
