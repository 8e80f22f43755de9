"""Every text of the page exists in English and Chinese."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from ppaudioldm.choices import AUDIO_FORMATS, SAMPLERS, SPACINGS
from ppaudioldm.generation.options import Progress
from ppaudioldm.serving.job import FAILED, INVALID, Job
from ppaudioldm.serving.models import Model, Models
from ppaudioldm.serving.queue import QueueClosed, QueueFull
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.ui import access, cards, texts, waveform
from ppaudioldm.ui.actions import message_of
from ppaudioldm.ui.page import Page
from ppaudioldm.ui.tabs import PROMPTS
from ppaudioldm.weights.checkpoint import open_checkpoint
from tests.imitation import ImitationPipeline
from tests.serving.examples import PATIENCE, new_request
from tests.tasks.test_speak import TINY_SPEECH
from tests.ui.examples import OpenPage, opened
from tests.ui.test_page import pressed

ATTRIBUTES = ("title", "aria-label", "aria-valuetext", "alt", "placeholder")
VOID = ("img", "input", "br", "meta", "link", "path")
# In every language.
NAMES = {"ppaudioldm", *(name.upper() for name in AUDIO_FORMATS), *SAMPLERS, *SPACINGS}


class Texts(HTMLParser):
    """The texts and attributes of HTML that language.js translates, in `found`: a message as a whole."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[bool, bool]] = []  # of each open element: is not to be translated, is a message
        self._message: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        kept = values.get("translate") == "no" or tag in ("style", "script") or any(no for no, _ in self._open)
        if not kept:
            self.found += [values[name] for name in ATTRIBUTES if values.get(name)]
        is_message = "message" in (values.get("class") or "").split()
        if is_message:
            self._message = []
        if tag not in VOID:
            self._open.append((kept, is_message))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        _, is_message = self._open.pop()
        if is_message:
            self.found.append("".join(self._message))
            self._message = None

    def handle_data(self, data):
        if self._message is not None:
            self._message.append(data)
        elif not any(no for no, _ in self._open):
            self.found.append(data)


def untranslated(found) -> list[str]:
    return [text for text in found if isinstance(text, str) and texts.chinese(text) is None and text not in NAMES]


def texts_of(page: Page) -> list[str]:
    """Of all components: labels, explanations, placeholders, choices, buttons, examples, HTML."""
    found: list[str] = []
    for component in page.blocks.get_config_file()["components"]:
        values = component["props"]
        found += [values.get(name) for name in ("label", "info", "placeholder")]
        found += [choice[0] for choice in values.get("choices") or ()]
        found += [sample[0] for sample in values.get("samples") or ()]
        if component["type"] == "button":
            found.append(values["value"])
        if component["type"] == "html":
            found += Texts(values["value"]).found
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("page"), open_checkpoint("tiny").known_sounds) as found:
        speaking = ImitationPipeline("speech", config=TINY_SPEECH)
        found.service.models = Models([*found.service.models.all, Model("speech", speaking)])
        yield found


@pytest.fixture(scope="module")
def page(site: OpenPage) -> Page:
    return Page(site.actions, all_voices())


def test_every_component_is_translated(page):
    found = texts_of(page)
    assert len(found) > 100 and "Speaker" in found
    assert untranslated([*found, *PROMPTS]) == []


def test_a_text_without_a_translation_is_found():
    assert untranslated(Texts('<p title="A new hint">Settings <b translate="no">x</b></p>').found) == ["A new hint"]


def test_cards_progress_and_waveforms_are_translated(site):
    site.pipeline._score = 0.5
    jobs = [
        site.service.submit(new_request("rain", num_waveforms_per_prompt=3, keep_candidates=True)),
        site.service.submit(new_request("impossible")),
        site.service.submit(new_request("broken")),
        site.service.submit(Request(task="vary", prompt="rain", seed=1), audio=site.uploaded()),
    ]
    assert all(job.wait(PATIENCE) for job in jobs)
    cancelled, partial = (Job(new_request(), kept=False, timeout_s=1) for _ in range(2))
    cancelled.finish("cancelled")
    partial.finish("succeeded", sounds=jobs[0].state.sounds, complete=False)
    late = Job(new_request(), kept=False, timeout_s=1)
    late.finish(FAILED, error="it was not finished within 600 seconds", reason=INVALID)
    html = [cards.history([*jobs, cancelled, partial, late], site.service), cards.history([], site.service)]
    html += [cards.result(job, site.service) for job in jobs] + [cards.licences(site.service)]
    waiting = Job(new_request(), kept=False, timeout_s=1)
    html.append(cards.progress(waiting, site.service))
    for stage in cards.STAGES:
        waiting.change(status="running", progress=Progress(stage, 1, 3))
        html.append(cards.progress(waiting, site.service))
    outline = waveform.Outline.of(site.uploaded(), site.service.settings.limits)
    html += [waveform.EMPTY, outline.html(0.2, 0.4), access._login_page("This is not a key of this server.")]
    found = [text for part in html for text in Texts(part).found]
    assert untranslated(found) == []


@pytest.mark.parametrize(
    ("tab", "changes"),
    [
        ("generate", {"prompt": ""}),
        ("generate", {"prompt": "a cello"}),
        ("generate", {"duration": 61}),
        ("generate", {"duration": 0.1}),
        ("generate", {"num_inference_steps": 2.5}),
        ("generate", {"num_inference_steps": 1001}),
        ("generate", {"guidance_scale": "x"}),
        ("generate", {"guidance_scale": "1000"}),
        ("generate", {"guidance_interval_to": 0}),
        ("generate", {"eta": "0.5"}),
        ("generate", {"spacing": "linear", "sampler": "ddim"}),
        ("generate", {"seed": "x"}),
        ("generate", {"loudness": "3"}),
        ("generate", {"prompt": "x" * 6000}),
        ("generate", {"prompt_schedule": "x"}),
        ("generate", {"lora": "x"}),
        ("generate", {"lora": "x:9;;"}),
        ("generate", {"prompt_schedule": "0: birds"}),
        ("generate", {"prompt_schedule": "2: birds\n2.1: rain"}),
        ("restyle", {}),
        ("restyle", {"recording": "/none.wav"}),
        ("inpaint", {"recording": "UPLOAD"}),
        ("restyle", {"recording": "UPLOAD", "strength": 2}),
        ("upscale", {"recording": "UPLOAD", "cutoff": "-1"}),
        ("speak", {"text": ""}),
        ("loop", {"prompt": "", "duration": ""}),
    ],
)
def test_mistakes_are_translated(site, page, tab, changes):
    if changes.get("recording") == "UPLOAD":
        changes = changes | {"recording": str(site.uploaded())}
    form = {"strength": 0.5, "speed": 1.0, "phonemes": False, "text": "hello", **changes}
    notice = pressed(page, tab, **form)[page._notice]
    lines = Texts(notice).found
    assert lines and untranslated(lines) == []
    assert all(re.search("[\u4e00-\u9fff]", texts.chinese(line)) for line in lines)


def test_refusals_of_the_server_are_translated(site):
    lines = [message_of(error, site.service) for error in (QueueFull(), QueueClosed())]
    with pytest.raises(LookupError) as raised:
        site.service.models.of("upscale", "speech")
    assert untranslated([*lines, message_of(raised.value, site.service)]) == []


def test_templates_fit_what_they_are_for_only():
    assert texts.chinese("Steps is 0, allowed: 1 to 1000") == "步数为 0，允许：1 到 1000"
    assert texts.chinese("Denoising: 3 of 10") == "正在去噪：3/10"
    assert texts.chinese("took 2.5 s") == "用时 2.5 秒" and texts.chinese("2.5 s") == "2.5 秒"
    assert texts.chinese(" Settings\n") == "设置" and texts.chinese("2.50 · 3") == "2.50 · 3"
    assert texts.chinese("something else") is None


def test_every_translation_has_the_parts_of_its_template():
    for english, translation in texts.CHINESE.items():
        assert sorted(texts.PART.findall(english)) == sorted(texts.PART.findall(translation)), english
        assert english == " ".join(english.split())


def test_the_page_begins_with_the_script(site):
    with TestClient(site.app, "http://localhost") as browser:
        page = browser.get("/ui/", headers={"Accept": "text/html"})
    assert page.status_code == 200 and page.text.count("const TEXTS = ") == 1
    assert page.text.index("const TEXTS = ") < page.text.index('<meta charset="utf-8"')
    assert int(page.headers["content-length"]) == len(page.content)
    assert "</script" not in texts.script()[len("<script>") : -len("</script>")]
