"""The pictures of the page in docs/: `python -m tests.browser.screenshots` writes them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import SIZES, chromium
from tests.serving.examples import PATIENCE, serving

DOCS = Path(__file__).parents[2] / "docs" / "images"


def generate(page: Page, prompt: str, candidates: int) -> None:
    page.locator("#generate-prompt textarea").fill(prompt)
    page.locator("#num_waveforms_per_prompt input[type=number]").fill(str(candidates))
    page.locator("#seed input").fill("7")
    page.locator("#generate-button").click()
    page.locator("#result article").filter(has_text=prompt).wait_for()


def settle(page: Page) -> None:
    """Until all pictures and players have arrived."""
    page.wait_for_function("[...document.images].every(image => image.complete || image.loading === 'lazy')")
    page.wait_for_function("[...document.querySelectorAll('#result img')].every(image => image.naturalWidth > 0)")
    page.wait_for_function("[...document.querySelectorAll('audio')].every(player => player.duration > 0)")


def main(folder: Path = DOCS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving(Path(data), subcommand="ui") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, size in SIZES.items():
            page = browser.new_page(viewport=size, device_scale_factor=1)
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(server.url)
            page.locator("#generate-button").wait_for()
            if name == "desktop":
                generate(page, "a slow siren", 1)
                generate(page, "birds", 2)
            page.evaluate("scrollTo(0, 0)")
            settle(page)
            page.screenshot(path=folder / f"page-{name}.png", full_page=name == "desktop")
            if name == "phone":
                page.locator("#history article").first.scroll_into_view_if_needed()
                page.screenshot(path=folder / "page-phone-history.png")
            page.locator("#history article").first.get_by_role("button", name="Edit this sound").click()
            page.locator(".range .waveform").wait_for()
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_function("document.querySelector('#inpaint-recording audio')?.duration > 0")
            page.screenshot(path=folder / f"inpaint-{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
