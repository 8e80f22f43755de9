"""The files behind the page's players and links."""

from __future__ import annotations

import io

import pytest
import soundfile
from fastapi.testclient import TestClient

from ppaudioldm.ui.files import ranged
from tests.serving.examples import PATIENCE, new_request
from tests.ui.examples import opened


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A client of a page, and the address of a sound's files."""
    with opened(tmp_path_factory.mktemp("page")) as page:
        job = page.service.submit(new_request(seed=3))
        assert job.wait(PATIENCE)
        yield TestClient(page.app, "http://localhost"), f"/ui/sounds/{job.id}"


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_every_format(sound, kind):
    client, address = sound
    answer = client.get(f"{address}/0.{kind}")
    assert answer.status_code == 200
    assert soundfile.info(io.BytesIO(answer.content)).duration == pytest.approx(0.5, abs=0.1)


def test_pictures(sound):
    client, address = sound
    whole, plain = (client.get(f"{address}/0.{kind}") for kind in ("png", "plain.png"))
    assert whole.headers["content-type"] == plain.headers["content-type"] == "image/png"
    assert whole.content[16:24] == bytes((0, 0, 4, 76, 0, 0, 1, 174))  # 1100 x 430
    assert plain.content[16:24] == bytes((0, 0, 3, 132, 0, 0, 1, 104))  # 900 x 360


@pytest.mark.parametrize("name", ["1.wav", "0.exe", "x.wav", "-1.wav", "0", "²,wav", "0.wav/../../x"])
def test_files_that_do_not_exist(sound, name):
    client, address = sound
    assert client.get(f"{address}/{name}").status_code == 404


def test_no_such_job(sound):
    client, _ = sound
    assert client.get("/ui/sounds/..%2f..%2fetc/0.wav").status_code == 404


@pytest.mark.parametrize(
    ("range_header", "status", "content", "content_range"),
    [
        ("", 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=4-2", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),  # several: all of it may be sent
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(range_header, status, content, content_range):
    answer = ranged(b"0123456789", "audio/wav", range_header)
    assert (answer.status_code, answer.body, answer.headers.get("content-range")) == (status, content, content_range)
