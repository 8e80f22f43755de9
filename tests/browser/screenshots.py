"""The pictures of the page in docs/: `python -m tests.browser.screenshots` writes them, in both languages.

With a folder it writes all there are, to be looked at. The machine needs a font with Chinese.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import SIZES, chromium
from tests.serving.examples import PATIENCE, Server, serving

DOCS = Path(__file__).parents[2] / "docs" / "images"
IN_DOCS = (
    *("page-desktop", "page-phone", "page-phone-history", "inpaint-desktop", "inpaint-phone"),
    *("page-desktop-zh", "page-phone-zh"),
)  # another folder gets those of all sizes, languages and settings, to be looked at
LOCALES = {"": "en-US", "-zh": "zh-CN"}  # end of a picture's name -> language of the browser
COLOURS = 128  # of a picture: a tenth of the bytes, and no difference that can be seen


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


def take(page: Page, path: Path, full_page: bool = False) -> None:
    if path.parent == DOCS and path.stem not in IN_DOCS:
        return
    page.screenshot(path=path, full_page=full_page)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def open_page(browser: Browser, server: Server, size: str, ending: str) -> Page:
    page = browser.new_page(viewport=SIZES[size], device_scale_factor=1, locale=LOCALES[ending])
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(server.url)
    page.locator("#generate-button").wait_for()
    return page


def take_all(page: Page, folder: Path, size: str, ending: str) -> None:
    """The pictures of one size and language: the page, the history, the range of a recording, the settings."""
    page.locator("#history article").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
    settle(page)
    take(page, folder / f"page-{size}{ending}.png", full_page=size == "desktop")
    if size == "phone":
        page.locator("#history article").first.scroll_into_view_if_needed()
        take(page, folder / f"page-phone-history{ending}.png")
    page.locator("#history article [data-action=edit]").first.click()
    page.locator(".range .waveform").wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("document.querySelector('#inpaint-recording audio')?.duration > 0")
    take(page, folder / f"inpaint-{size}{ending}.png")
    page.locator("#preset").scroll_into_view_if_needed()
    page.locator("#advanced > button").click()
    page.locator("#guidance_scale").scroll_into_view_if_needed()
    take(page, folder / f"settings-{size}{ending}.png")


def main(folder: Path = DOCS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving(Path(data), subcommand="ui") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        first = open_page(browser, server, "desktop", "")
        generate(first, "a slow siren", 1)
        generate(first, "birds", 2)
        for ending in LOCALES:
            for size in SIZES:
                page = open_page(browser, server, size, ending)
                if size == "desktop" and not ending:
                    page.close()
                    page = first  # which shows the result that it waited for
                take_all(page, folder, size, ending)
                page.close()
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
