"""What the page's buttons do, without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from types import SimpleNamespace

import gradio
import pytest
from fastapi.testclient import TestClient

from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.serving.models import Model
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.voices import all_voices
from ppaudioldm.ui.actions import Actions
from ppaudioldm.ui.page import PORTION, Page, check_files
from ppaudioldm.ui.tabs import PROMPTS, example_prompts
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.serving.examples import PATIENCE, new_request, until
from tests.ui.examples import FORM, opened


@pytest.fixture
def site(tmp_path):
    with opened(tmp_path) as page:
        yield page


@pytest.fixture
def page(site):
    return Page(site.actions, all_voices())


def pressed(page: Page, tab: str, **changes) -> dict:
    """What the button of `tab` changes."""
    fields = {**page._settings, **page._tabs[tab].fields}
    del fields["dice"], fields["preset"]
    values = {component: {**FORM, **changes}.get(name) for name, component in fields.items()}
    return page._guarded(lambda: page._submit(tab, fields, values))()


def act(page: Page, action: str, job_id: str, index: int = 0, recordings=()) -> dict:
    event = SimpleNamespace(action=action, job=job_id, index=index)
    return page._guarded(page._act)(event, "", PORTION, *(recordings or [None] * 9))


def test_a_sound_is_generated_and_followed(site, page):
    site.pipeline.hold()
    updates = pressed(page, "generate", num_waveforms_per_prompt=2)
    job = site.service.find(updates[page._current])
    assert job.request.prompt == "a bell" and updates[page._notice] == ""

    async def follow() -> list[dict]:
        seen = []
        async for update in page._follow(job.id, PORTION):
            seen.append(update)
            if len(seen) == 2:
                site.pipeline.release()
        return seen

    seen = asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    assert seen[0][page._cancel]["visible"] is True
    assert 'role="status"' in seen[1][page._progress]
    assert seen[-1][page._cancel]["visible"] is False and seen[-1][page._progress] == ""
    assert seen[-1][page._result].count("<audio") == 2
    assert job.id not in seen[-1][page._history]
    assert job.id in page._load(PORTION)[page._history]


def test_cancel_stops_at_the_next_step(site, page):
    site.pipeline.steps = 50
    site.pipeline.hold()
    job_id = pressed(page, "generate")[page._current]
    site.pipeline.step_began()
    page._stop(job_id)
    site.pipeline.release(1)
    until(lambda: not site.service.running)
    assert not site.pipeline.entered.acquire(blocking=False)
    assert site.service.find(job_id).state.status == "cancelled"


def test_mistakes_are_one_line(site, page):
    for changes, line in (
        ({"prompt": ""}, "The prompt is empty"),
        ({"duration": 61}, "Length is 61, allowed on this server: up to 60"),
        ({"num_inference_steps": 2.5}, "Steps is 2.5, allowed: a whole number"),
        ({"guidance_interval_to": "x"}, "Guidance is &#x27;x&#x27;, allowed: a number"),
        ({"seed": "x"}, "The seed is"),
    ):
        updates = pressed(page, "generate", **changes)
        assert list(updates) == [page._notice]
        assert re.search(rf'role="alert">{line}[^\n]*</p>', updates[page._notice])
    assert "there is no recording" in pressed(page, "restyle")[page._notice].lower()
    assert site.service.history() == []


def test_recordings(site, page):
    upload = site.uploaded()
    updates = pressed(page, "restyle", recording=str(upload))
    job = site.service.find(updates[page._current])
    assert job.request.audio is not None and job.request.audio != upload
    assert upload.exists()  # the page goes on to show it
    broken = site.uploads / "broken.wav"
    broken.write_bytes(b"RIFF of nothing")
    notice = pressed(page, "restyle", recording=str(broken))[page._notice]
    assert 'role="alert"' in notice and str(site.uploads) not in notice
    assert not list(site.service.settings.folder.glob(".upload-*"))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{jobs}/.lock", "{uploads}/../.lock", "{uploads}/none.wav", "{uploads}"]
)
def test_no_other_file_is_opened(site, page, path):
    path = path.format(jobs=site.service.settings.folder, uploads=site.uploads)
    assert "choose it again" in pressed(page, "restyle", recording=path)[page._notice]


@pytest.mark.parametrize(
    "path",
    [
        "http://localhost/x",
        "HTTPS://localhost/x",
        "file:///etc/passwd",
        "//localhost/x",
        "\\\\localhost\\x",
        "/etc/passwd",
        "etc/passwd",
        "{uploads}",
        "{uploads}/../.lock",
        "{uploads}-other/a.wav",
        ["{uploads}/a.wav"],
        7,
    ],
)
def test_no_address_is_opened(site, page, path):
    path = path.format(uploads=site.uploads) if isinstance(path, str) else path
    meta = {"_type": "gradio.FileData"}
    for value in ({"path": path}, [[{"a": {"path": path, "meta": meta}}]]):
        with pytest.raises(gradio.Error, match="uploaded, not named"):
            asyncio.run(page.blocks.preprocess_data(None, [value], None))


def test_the_address_of_an_upload_is_not_looked_at(site):
    upload = {"path": str(site.uploads / "a.wav"), "url": "http://localhost/x", "meta": {"_type": "gradio.FileData"}}
    values = [upload, "http://a", 3, None, {"path": None}]
    check_files(values, site.uploads.resolve())
    assert upload["url"] is None and values[1] == "http://a"


def test_use_these_settings_again(site, page):
    job = site.service.submit(new_request("light rain", seed=12, num_inference_steps=9, negative_prompt="hum"))
    updates = act(page, "again", job.id)
    fields = {**page._settings, **page._tabs["generate"].fields}
    assert {name: updates[fields[name]] for name in ("prompt", "seed", "num_inference_steps", "negative_prompt")} == {
        "prompt": "light rain",
        "seed": "12",
        "num_inference_steps": 9,
        "negative_prompt": "hum",
    }
    assert updates[page._settings["preset"]] is None
    assert updates[page._tab_bar]["selected"] == "generate"


def test_what_the_page_cannot_repeat_is_named(site, page):
    ranges = {"ranges": ((0, 0.1), (0.3, 0.4))}
    job = site.service.submit(
        Request(task="inpaint", parameters=ranges, seed=1), audio=shutil.copy(site.uploaded(), site.uploads / "a.wav")
    )
    updates = act(page, "again", job.id)
    assert updates[page._tabs["inpaint"].fields["ranges_to"]] == "0.1"
    assert "choose it again. Time: the page takes the first of the 2 ranges" in updates[page._notice]


def test_edit_and_delete(site, page):
    job = site.service.submit(new_request("rain / thunder"))
    assert job.wait(PATIENCE)
    updates = act(page, "edit", job.id)
    path = updates[page._tabs["vary"].fields["recording"]]
    assert site.uploads in type(site.uploads)(path).parents
    assert updates[page._tab_bar]["selected"] == "inpaint"
    inpaint = page._tabs["inpaint"]
    drawn = page._outline(inpaint, path)
    assert drawn[inpaint.fields["ranges_from"]] == "0.2"
    assert 'data-duration="0.500000"' in drawn[inpaint.waveform]
    assert job.id not in act(page, "remove", job.id)[page._history]
    assert site.service.find(job.id) is None
    assert "does not exist any more" in act(page, "edit", job.id)[page._notice]


def test_the_history_comes_in_portions(site, page):
    jobs = [site.service.submit(new_request(seed=seed)) for seed in range(PORTION + 1)]
    assert all(job.wait(PATIENCE) for job in jobs)
    updates = page._load(PORTION)
    assert updates[page._history].count("<article") == PORTION and updates[page._more]["visible"] is True
    updates = page._show_more(PORTION, "")
    assert updates[page._history].count("<article") == PORTION + 1 and updates[page._more]["visible"] is False


def test_a_reload_finds_what_is_running(site, page):
    site.pipeline.hold()
    job = site.service.submit(new_request())
    assert page._load(PORTION)[page._current] == job.id
    site.pipeline.release()
    assert job.wait(PATIENCE)
    assert page._load(PORTION)[page._current] == ""


def test_unknown_prompts_get_a_hint(page):
    notice = pressed(page, "generate", prompt="a cello")[page._notice]
    assert "fake knows 2 kinds of sound, and this prompt names none" in notice and 'role="status"' in notice
    notice = pressed(page, "generate", prompt_schedule="0.5: light rain\n1: a cello", duration=2)[page._notice]
    assert "and &#x27;a cello&#x27; names none" in notice
    notice = pressed(page, "generate", prompt_schedule="0.1: rain")[page._notice]
    assert "Prompts over time has &#x27;rain&#x27; at 0.1 seconds" in notice


@pytest.mark.parametrize(
    ("known", "count", "shown"), [(30, 6, [28, 29, 0, 7, 14, 21]), (6, 6, range(6)), (2, 6, [0, 1])]
)
def test_examples_are_from_all_over_what_is_known_and_have_the_last_two(known, count, shown):
    model = SimpleNamespace(known_prompts=tuple(map(str, range(known))))
    assert example_prompts(model, count) == [str(number) for number in shown]


def test_speakers_and_languages_that_cannot_be_spoken_get_a_hint(tmp_path):
    pytest.importorskip("py3langid")
    known = KnownSounds((Sound("woman", "a woman", "a woman is speaking"),), frozenset({"woman"}))
    speaking = SimpleNamespace(phoneme_encoder=PhonemeEncoderConfig())
    model = Model("mine", SimpleNamespace(checkpoint=SimpleNamespace(known_sounds=known), config=speaking))
    actions = Actions(SimpleNamespace(models=SimpleNamespace(of=lambda task, name: model)), tmp_path, None)

    def hint(speaker: str, **parameters) -> str:
        return actions.hint(SimpleNamespace(request=Request(task="speak", prompt=speaker, parameters=parameters)))

    assert hint("a woman", text="Good morning") == hint("a woman", text="ɡˈuːtən mˈɔːɡən", phonemes=True) == ""
    assert "mine knows 1 speakers, and this prompt names none: try a woman is speaking" in hint("a child", text="No")
    assert "not English" in hint("a woman", text="Guten Morgen, wie geht es Ihnen?")


def test_examples_are_what_the_checkpoint_knows(tmp_path, page):
    def examples(page: Page) -> list:
        datasets = [block for block in page.blocks.blocks.values() if isinstance(block, gradio.Dataset)]
        return [sample[0] for sample in datasets[0].samples]

    assert examples(page) == ["a big bell", "light rain"]
    with opened(tmp_path / "other", known_sounds=None) as other:
        assert examples(Page(other.actions, all_voices())) == list(PROMPTS)


def test_it_asks_for_nothing_elsewhere(site):
    with TestClient(site.app, "http://localhost") as browser:
        answer = browser.get("/ui/", headers={"Accept": "text/html"})
        assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]*', answer.text) == []
        config = browser.get("/ui/config").json()
    assert config["analytics_enabled"] is False
    assert not [d for d in config["dependencies"] if d["api_visibility"] == "public"]
    assert "fonts.googleapis" not in json.dumps(config)


def test_it_answers_over_http(site):
    """As a browser does: what happens at the load of the page."""
    job = site.service.submit(new_request("light rain"))
    assert job.wait(PATIENCE)
    with TestClient(site.app, "http://localhost") as browser:
        dependencies = browser.get("/ui/config").json()["dependencies"]
        load = next(d for d in dependencies if ["load" in target for target in d["targets"]] == [True])
        session = {"session_hash": "abc", "fn_index": load["id"]}
        answer = browser.post("/ui/gradio_api/run/predict", json={**session, "data": [None], "trigger_id": None})
    assert answer.status_code == 200 and job.id in answer.text


def test_an_edited_sound_can_be_played(site):
    job = site.service.submit(new_request("light rain"))
    assert job.wait(PATIENCE)
    with TestClient(site.app, "http://localhost") as browser:
        config = browser.get("/ui/config").json()
        results = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "result")
        click = next(d for d in config["dependencies"] if [results, "click"] in d["targets"])
        event = {"action": "edit", "job": job.id, "index": 0}
        request = {"session_hash": "abc", "fn_index": click["id"], "event_data": event, "trigger_id": results}
        request["data"] = [None] * len(click["inputs"])
        answer = browser.post("/ui/gradio_api/run/predict", json=request).json()
        addresses = {value["url"] for value in answer["data"] if isinstance(value, dict) and "url" in value}
        assert len(addresses) == 1
        assert browser.get(addresses.pop()).status_code == 200


def test_only_jobs_are_queued(page):
    """Gradio's page misses a queued event sent just when the stream of the last one ends: none may end in passing."""
    queued = [d for d in page.blocks.get_config_file()["dependencies"] if d["queue"]]
    buttons = {tab.button._id for tab in page._tabs.values() if tab.button is not None}
    starts = [d for d in queued if buttons & {target for target, _ in d["targets"]}]
    follows = [d for d in queued if d["targets"] == [(page._current._id, "change")]]
    assert len(starts) == len(buttons) and len(follows) == 1 and len(queued) == len(buttons) + 1
