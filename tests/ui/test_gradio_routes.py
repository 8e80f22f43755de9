"""Which routes of Gradio are served: those that the page uses, and no other of Gradio's own table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Match

from ppaudioldm.cli import main
from ppaudioldm.serving import library_versions
from ppaudioldm.ui.gradio_routes import ROUTES, GradioRoutes
from tests.ui.examples import opened

# What the version of Gradio that the page is written for has besides: never served.
OTHERS = (
    "/favicon.ico",
    "/gradio_api/api/{api_name}",
    "/gradio_api/app_id",
    "/gradio_api/call/v2/{api_name}",
    "/gradio_api/call/v2/{api_name}/{event_id}",
    "/gradio_api/call/{api_name}",
    "/gradio_api/call/{api_name}/{event_id}",
    "/gradio_api/component_server",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    "/gradio_api/deep_link",
    "/gradio_api/dev/reload",
    "/gradio_api/file/{path:path}",
    "/gradio_api/info",
    "/gradio_api/login_check",
    "/gradio_api/openapi.json",
    "/gradio_api/process_recording",
    "/gradio_api/proxy={url_path:path}",
    "/gradio_api/queue/status",
    "/gradio_api/reset",
    "/gradio_api/runs",
    "/gradio_api/startup-events",
    "/gradio_api/stream/{event_id}",
    "/gradio_api/stream/{event_id}/close",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/theme.css",
    "/gradio_api/token",
    "/gradio_api/undo-vibe-edit",
    "/gradio_api/user",
    "/gradio_api/vibe-code",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-starter-queries",
    "/login",
    "/logout",
    "/manifest.json",
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/{key}",
    "/openapi.json",
    "/pwa_icon",
    "/pwa_icon/{size}",
    "/robots.txt",
    "/svelte/{path:path}",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("page")) as found:
        yield found


def gradio_of(page: Any) -> tuple[GradioRoutes, Any]:
    filtered = page.app.routes[-1].app
    assert isinstance(filtered, GradioRoutes)
    return filtered, filtered._gradio


def table(routes: Any) -> Iterator[tuple[str, str]]:
    """(method, template) of all routes, with those that are included or mounted."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from table(route.original_router.routes)
        elif hasattr(route, "methods"):
            yield from ((method, route.path) for method in route.methods)
        else:
            pytest.fail(f"a route of a kind that is not known: {route!r}")


def test_every_route_of_gradio_is_known(page):
    """A new one, of another version, fails here until a person has looked at it."""
    _, gradio = gradio_of(page)
    found = set(table(gradio.routes))
    assert set(ROUTES) <= found
    others = {template.rstrip("/") for _, template in found} - {template.rstrip("/") for _, template in ROUTES}
    assert others == set(OTHERS)


def example(template: str, uploads: Path) -> str:
    values = {"path_or_url:path": f"{uploads}/a.wav", "api_name": "predict", "path:path": "a/b.js"}
    return re.sub(r"\{(.*?)\}", lambda match: values.get(match[1], "abc"), template)


def test_only_the_routes_of_the_page_are_served(page):
    filtered, gradio = gradio_of(page)
    for method, template in table(gradio.routes):
        path = example(template, page.uploads.resolve())
        assert filtered.admits(method, path) is ((method, template) in ROUTES), (method, template)
        assert not filtered.admits("PUT", path) and (path == "/" or not filtered.admits(method, f"{path}/"))
    # And Gradio serves them by the very route that is meant.
    for method, template in ROUTES:
        assert served_by(gradio.routes, method, example(template, page.uploads.resolve())) == template


def served_by(routes: Any, method: str, path: str) -> str | None:
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            if hasattr(route, "original_router"):
                return served_by(route.original_router.routes, method, path)
            return str(route.path)
    return None


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.com/x",
        "/gradio_api/file=http://127.0.0.1/x",
        "/gradio_api/file=//example.com/x",
        "/gradio_api/file=HTTPS:/example.com/x",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file={uploads}",
        "/gradio_api/file={uploads}/../.lock",
        "/gradio_api/file={uploads}/../../other",
        "/gradio_api/file=",
        "/gradio_api/file/https://example.com/x",
        "/gradio_api/proxy=https://a.hf.space/x",
        "/gradio_api/run/other",
        "/assets/../x",
        "/assets//x",
        "/static/%2e%2e/x",
        "/gradio_api/heartbeat/a/b",
        "//",
        "",
    ],
)
def test_addresses_and_other_files_are_not_served(page, path):
    filtered, _ = gradio_of(page)
    assert not filtered.admits("GET", path.format(uploads=page.uploads.resolve()))


def test_what_is_not_served_is_not_found(page):
    client = TestClient(page.app, "http://localhost")
    upload = page.uploaded()
    assert client.get(f"/ui/gradio_api/file={upload.resolve()}").status_code == 200
    for path in ("/ui/gradio_api/file=https://example.com/x", "/ui/gradio_api/info", "/ui/monitoring", "/ui/logout"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "the page has nothing at this address")


# ---- Versions


def test_versions_are_those_of_the_package():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    for library, (minor, extra) in library_versions.MINOR_VERSIONS.items():
        major, number = minor.split(".")
        pinned = f'"{library}>={minor},<{major}.{int(number) + 1}"'
        assert pinned in text.partition(f"\n{extra} = [")[2].partition("]  #" if extra == "ui" else "\n]")[0]
        library_versions.check_version(library)


@pytest.mark.parametrize(("library", "command"), [("uvicorn", "serve"), ("gradio", "ui")])
@pytest.mark.parametrize("version", ["0.1.0", "6.310.0", "7.0"])
def test_another_version_is_one_line(tmp_path, monkeypatch, capsys, library, command, version):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version if name == library else real(name))
    assert main([command, "-c", "tiny", "--data", str(tmp_path), "--port", "0"]) == 2
    needed = library_versions.MINOR_VERSIONS[library][0]
    line = f"ppaudioldm: {library} {version} is installed, needed is {needed}: pip install 'ppaudioldm[{command}]'"
    assert capsys.readouterr().err.splitlines()[-1].endswith(line.removeprefix("ppaudioldm: "))
