"""The page as a user has it: in a browser, by mouse and by keyboard, at a desk and on a phone."""

from __future__ import annotations

import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from ppaudioldm.audio.write import write_audio
from tests.browser.conftest import PAGE_PATIENCE

PROMPT = "light rain"
RATE = 16000

expect.set_options(timeout=1000 * PAGE_PATIENCE)


def fill_sound(page: Page, prompt: str = PROMPT, seconds: float = 1.0) -> None:
    page.get_by_role("tab", name="Sound").click()
    page.locator("#generate-prompt textarea").fill(prompt)
    page.locator("#generate-duration input[type=number]").fill(str(seconds))


def generate(page: Page, without: str = "", **settings) -> str:
    """The id of a generated sound."""
    fill_sound(page, **settings)
    page.locator("#generate-button").click()
    return finished(page, without)


def finished(page: Page, without: str = "") -> str:
    """The id of the job whose result is shown."""
    card = page.locator("#result article")
    if without:
        card = page.locator(f"#result article:not([data-job='{without}'])")
    card.wait_for()
    return card.get_attribute("data-job")


def duration(page: Page, selector: str) -> float:
    """Seconds of the player, once it knows."""
    page.wait_for_function("selector => document.querySelector(selector)?.duration > 0", arg=selector)
    return page.evaluate("selector => document.querySelector(selector).duration", selector)


def samples_of(page: Page, job_id: str) -> np.ndarray:
    content = httpx.get(f"{page.url}sounds/{job_id}/0.wav").content
    return soundfile.read(io.BytesIO(content))[0]


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    samples = 0.5 * np.sin(np.arange(2 * RATE) / 10)
    return write_audio(tmp_path_factory.mktemp("recording") / "hum.wav", samples.astype(np.float32), RATE)


def choose(page: Page, tab: str, path: Path) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()
    page.locator(f"#{tab.lower()}-recording input[type=file]").set_input_files(path)


@pytest.mark.parametrize("page", ["desktop", "phone"], indirect=True)
def test_generate_and_listen(page):
    fill_sound(page, seconds=1.5)
    page.locator("#num_waveforms_per_prompt input[type=number]").fill("2")
    page.locator("#dice").click()
    expect(page.locator("#seed input")).to_have_value(re.compile(r"^\d+$"))
    seed = int(page.locator("#seed input").input_value())
    page.locator("#generate-button").click()
    job_id = finished(page)
    players = page.locator("#result audio")
    expect(players).to_have_count(2)
    assert duration(page, "#result audio") == pytest.approx(1.5, abs=0.01)
    scores = [float(score) for score in re.findall(r"CLAP score ([-\d.]+)", page.locator("#result").inner_text())]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)
    seeds = {int(found) for found in re.findall(r"seed (\d+)", page.locator("#result").inner_text())}
    assert seeds == {seed, seed + 1}

    page.evaluate("document.querySelector('#result audio').play()")
    page.wait_for_function("document.querySelector('#result audio').currentTime > 0.3")
    line = page.locator("#result .playhead").first
    assert float(line.evaluate("node => parseFloat(node.style.left)")) > 0
    page.locator("#result .spectrogram img").first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#result .spectrogram img').naturalWidth === 900")
    for kind in ("WAV", "FLAC", "OGG", "MP3"):
        with page.expect_download() as download:
            page.locator("#result").get_by_role("link", name=f"Download as {kind}").first.click()
        assert re.fullmatch(rf"light_rain-\d+\.{kind.lower()}", download.value.suggested_filename)
        assert soundfile.info(download.value.path()).duration == pytest.approx(1.5, abs=0.1)

    page.reload()
    card = f"#history article[data-job='{job_id}']"
    page.locator(card).wait_for()
    assert duration(page, f"{card} audio") == pytest.approx(1.5, abs=0.01)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cancel(page):
    fill_sound(page, seconds=20)
    page.get_by_role("button", name="Advanced settings").click()
    page.locator("#num_inference_steps input[type=number]").fill("200")
    page.locator("#generate-button").click()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"Denoising: [1-9]\d* of \d+"))).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#result")).to_contain_text("It was cancelled")
    expect(page.locator("#cancel")).to_have_count(0)
    generate(page, without=finished(page))  # the next one is not held up


def test_inpaint_a_range(page, recording):
    choose(page, "Inpaint", recording)
    drawing = page.locator(".range .waveform")
    box = drawing.bounding_box()
    start, end = page.locator("#inpaint-ranges_from input"), page.locator("#inpaint-ranges_to input")
    expect(start).to_have_value("0.8")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 30)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 30)
    page.mouse.up()
    expect(start).to_have_value("0.5")
    expect(end).to_have_value("1")
    handle = page.get_by_role("slider", name="End of the range")
    handle.press("ArrowRight")
    expect(end).to_have_value("1.01")
    handle.press("Shift+ArrowRight")
    expect(end).to_have_value("1.11")
    expect(handle).to_be_focused()
    expect(handle).to_have_attribute("aria-valuetext", "1.11 seconds")
    end.press("ControlOrMeta+a")
    end.press_sequentially("1.2")  # typed: what is filled in at once is no input to Gradio
    expect(page.get_by_role("slider", name="End of the range")).to_have_attribute("aria-valuenow", "1.200")

    page.locator("#inpaint-prompt textarea").fill(PROMPT)
    page.locator("#inpaint-button").click()
    job_id = finished(page)
    assert duration(page, "#result audio") == pytest.approx(2, abs=0.01)
    result, kept = samples_of(page, job_id), soundfile.read(recording)[0]
    changed = np.flatnonzero(result != kept) / RATE
    assert 0.45 < changed.min() < 0.55 and 1.15 < changed.max() < 1.25  # but for the fades


def test_a_sound_is_edited_and_its_settings_used_again(page):
    job_id = generate(page)
    page.locator("#result").get_by_role("button", name="Edit this sound").click()
    page.locator(".range .waveform").wait_for()
    expect(page.get_by_role("tab", name="Inpaint")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Vary").click()
    page.locator("#vary-button").click()
    varied = finished(page, without=job_id)
    assert varied != job_id

    fill_sound(page, prompt="thunder", seconds=2)
    card = page.locator(f"#history article[data-job='{job_id}']")
    seed = re.search(r"seed (\d+)", card.inner_text())[1]
    card.get_by_role("button", name="Use these settings again").click()
    expect(page.locator("#generate-prompt textarea")).to_have_value(PROMPT)
    expect(page.locator("#seed input")).to_have_value(seed)
    page.locator("#generate-button").click()
    again = finished(page, without=varied)
    assert (samples_of(page, again) == samples_of(page, job_id)).all()

    card.get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)


def test_a_loop_of_a_prompt_is_upscaled(page):
    page.get_by_role("tab", name="Loop").click()
    page.locator("#loop-prompt textarea").fill(PROMPT)
    page.locator("#loop-duration input").fill("1")
    page.locator("#loop-button").click()
    job_id = finished(page)
    assert duration(page, "#result audio") == pytest.approx(1, abs=0.01)
    page.locator("#result").get_by_role("button", name="Edit this sound").click()
    assert duration(page, "#inpaint-recording audio") == pytest.approx(1, abs=0.01)
    page.get_by_role("tab", name="Upscale").click()
    assert duration(page, "#upscale-recording audio") == pytest.approx(1, abs=0.01)
    page.locator("#upscale-cutoff input").fill("4000")
    page.locator("#upscale-button").click()
    finished(page, without=job_id)
    expect(page.locator("#result .facts")).to_contain_text("Upscale")


def test_by_keyboard_alone(page):
    page.locator("#generate-prompt textarea").focus()
    page.keyboard.type(PROMPT)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "generate-button":
            break
    page.keyboard.press("Enter")
    finished(page)
    page.locator("#result audio").wait_for()
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.action") == "again":
            break
    again = page.locator("#result [data-action=again]")
    expect(again).to_be_focused()
    page.locator("#generate-prompt textarea").fill("thunder")
    again.press("Enter")
    expect(page.locator("#generate-prompt textarea")).to_have_value(PROMPT)


def test_mistakes_are_one_line(page, tmp_path):
    notice = page.locator("#notice [role=alert]")
    fill_sound(page, prompt="")
    page.locator("#generate-button").click()
    expect(notice).to_have_text("The prompt is empty: say what it should sound like")
    fill_sound(page)
    page.locator("#seed input").fill("many")
    page.locator("#generate-button").click()
    expect(notice).to_contain_text("The seed is 'many', allowed: nothing, or a whole number")
    page.locator("#seed input").fill("")
    (tmp_path / "broken.wav").write_bytes(b"RIFF, and no sound in it" * 10)
    choose(page, "Restyle", tmp_path / "broken.wav")
    page.locator("#restyle-prompt textarea").fill(PROMPT)
    page.locator("#restyle-recording audio").wait_for(state="attached")
    page.locator("#restyle-button").click()
    expect(notice).to_contain_text("The recording")
    assert "\n" not in notice.inner_text()


def test_speech_by_the_built_in_checkpoint(page):
    expect(page.locator("#title")).to_contain_text("tiny-speech")
    page.get_by_role("tab", name="Speech").click()
    page.locator("#speak-text textarea").fill("Open the door.")
    page.locator("#speak-button").click()
    finished(page)
    assert 0.5 < duration(page, "#result audio") < 2


# Texts that are seen and have Latin letters only, but those of users and names.
LATIN = """() => [...document.querySelectorAll("body *")].flatMap((element) => [...element.childNodes])
  .filter((node) => node.nodeType === Node.TEXT_NODE && node.parentElement.checkVisibility())
  .filter((node) => !node.parentElement.closest("script, style, textarea, .message, [translate=no]"))
  .map((node) => node.data.trim()).filter((text) => /[A-Za-z]/.test(text) && !/[\\u4e00-\\u9fff]/.test(text))"""
NAMES = {"ppaudioldm", "WAV", "FLAC", "OGG", "MP3", "Eta"}


def test_the_language_is_changed_without_losing_anything(page):
    fill_sound(page, prompt="a dog barks")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("#generate-button")).to_have_text("生成")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#generate-prompt textarea")).to_have_value("a dog barks")
    page.locator("#generate-button").click()
    finished(page)
    expect(page.locator("#result h3")).to_have_text("a dog barks")
    expect(page.locator("#result .facts")).to_contain_text("用时")
    expect(page.locator("#notice")).to_contain_text("这条提示词一种也没有提到")
    page.locator("#generate-prompt textarea").fill("")
    page.locator("#generate-button").click()
    expect(page.locator("#notice [role=alert]")).to_have_text("提示词是空的：请写出听起来应该是什么样")
    page.locator("#advanced > button").click()
    for tab in page.get_by_role("tab").all():
        tab.click()
        found = {text for text in page.evaluate(LATIN) if not re.fullmatch(r"[\d.]+ kHz", text)}
        assert found - NAMES == set()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()
    expect(page.locator("#generate-button")).to_have_text("生成")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#generate-button")).to_have_text("Generate")
    expect(page.locator("#history .facts").first).to_contain_text("took")


@pytest.mark.parametrize(("locale", "action"), [("zh-TW", "生成"), ("de", "Generate")])
def test_the_language_is_that_of_the_browser(browser, server, locale, action):
    context = browser.new_context(locale=locale)
    context.set_default_timeout(1000 * PAGE_PATIENCE)
    opened = context.new_page()
    opened.goto(server.url)
    expect(opened.locator("#generate-button")).to_have_text(action)
    context.close()
