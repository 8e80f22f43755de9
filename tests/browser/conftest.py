"""A page of a server of its own, in a headless Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.serving.examples import Server, serving

PAGE_PATIENCE = 30.0  # seconds for whatever the page is to show: the server's answers take a second or two
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def chromium() -> str:
    """Where it is; skips the tests where it is not."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium in the path: `make browser` installs it for root on Debian, install it elsewhere")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator:
    path = chromium()
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: `make browser` installs it"
    )
    arguments = ["--autoplay-policy=no-user-gesture-required"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # root has none
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page"), subcommand="ui") as started:
        yield started


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call) -> Iterator[None]:
    """With a failure comes what the page says: most often why what was waited for is not there."""
    outcome = yield
    report, page = outcome.get_result(), getattr(item, "funcargs", {}).get("page")
    if call.when == "call" and report.failed and page is not None:
        report.sections.append(("What the page says", "\n".join(messages(page))))


def messages(page) -> list[str]:
    """The texts of the page that tell of progress or of an error."""
    with contextlib.suppress(Exception):  # the page may be gone
        texts = page.locator("[role=alert], [role=status], #notice, #result, .toast-body").all_inner_texts()
        return list(dict.fromkeys(text.strip() for text in texts if text.strip())) or ["nothing"]
    return ["it does not answer"]


@pytest.fixture(params=["desktop"])
def page(request, browser, server) -> Iterator:
    """The page as it opens; it asks no other server for anything, and no script of it fails."""
    context = browser.new_context(viewport=SIZES[request.param], has_touch=request.param == "phone")
    context.set_default_timeout(1000 * PAGE_PATIENCE)
    opened = context.new_page()
    elsewhere, failures = [], []
    own = (server.url, "data:", "blob:")
    opened.on("request", lambda sent: None if sent.url.startswith(own) else elsewhere.append(sent.url))
    opened.on("pageerror", lambda error: failures.append(str(error)))
    opened.goto(server.url)
    opened.get_by_role("button", name="Generate").wait_for()
    yield opened
    context.close()
    assert (elsewhere, failures) == ([], [])
