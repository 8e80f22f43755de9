"""The page: Gradio's blocks, and what happens when their buttons are pressed.

Gradio's threads only submit jobs and show how far these are: what takes long is made by the server's worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial, wraps
from typing import Any

import gradio as gr

from ppaudioldm.serving.voices import Voice
from ppaudioldm.ui import cards, waveform
from ppaudioldm.ui.actions import MISTAKES, Actions, told
from ppaudioldm.ui.fields import HERE, Components, Tab, make_settings, make_tab
from ppaudioldm.ui.form import TABS, as_text, new_seed, preset_values, range_of
from ppaudioldm.ui.waveform import Outline

FEW = 8  # jobs of the history that are shown at first, and that "Show more" adds
CLEAN_EVERY, KEEP_UPLOADS = 600, 6 * 3600  # seconds, of recordings that browsers sent
TITLE = "<h1>ppaudioldm</h1><p>Text and recordings to sound, with AudioLDM 2</p>"

Updates = dict[Any, Any]
# Of events: what takes long is not made in them, and the page has its own API in the server's.
QUIETLY: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
# Of those that nobody follows. Gradio's stream of queued events ends when none is left, and the page misses one that is
# sent while word of the end is on its way: only jobs use it.
AT_ONCE: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
# On a phone the results are below all fields.
SHOW_RESULTS = """(...values) => {
  if (innerWidth < 768) document.getElementById("results").scrollIntoView({ behavior: "smooth" });
  return values;
}"""


class LocalBlocks(gr.Blocks):
    """Gradio's, but that it opens no address that a request names: it would download a file from there."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *arguments: Any, **keywords: Any) -> Any:
        refuse_addresses(inputs)
        return await super().preprocess_data(block_fn, inputs, *arguments, **keywords)


def refuse_addresses(value: Any) -> None:
    """Raise gr.Error for a file in `value`, as JSON gives it, that is not one of this server."""
    if isinstance(value, Mapping):
        path = value.get("path")
        if isinstance(path, str) and "://" in path:
            raise gr.Error("a recording is sent, not named by an address")
        for part in value.values():
            refuse_addresses(part)
    elif isinstance(value, list):
        for part in value:
            refuse_addresses(part)


class Page:
    """blocks: to be mounted."""

    def __init__(self, actions: Actions, voices: Mapping[str, Voice]) -> None:
        self._actions, self._service = actions, actions.service
        self._tabs: dict[str, Tab] = {}
        with LocalBlocks(
            title="ppaudioldm", analytics_enabled=False, delete_cache=(CLEAN_EVERY, KEEP_UPLOADS)
        ) as self.blocks:
            self._current = gr.State("")  # the id of the job that is followed
            self._count = gr.State(FEW)
            gr.HTML(TITLE + cards.licences(self._service), apply_default_css=False, elem_id="title")
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as self._tab_bar:
                        for name, (label, _) in TABS.items():
                            with gr.Tab(label, id=name):
                                self._tabs[name] = make_tab(name, self._service, voices)
                    self._settings = make_settings(self._service)
                with gr.Column(scale=1, min_width=320, elem_id="results"):
                    self._lay_out_results()
            self._connect()
        self.blocks.queue(default_concurrency_limit=None, api_open=False)

    def _lay_out_results(self) -> None:
        script = (HERE / "cards.js").read_text("utf-8")
        self._notice = gr.HTML("", apply_default_css=False, elem_id="notice")
        self._progress = gr.HTML("", apply_default_css=False, elem_id="progress")
        self._cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
        self._result = gr.HTML("", js_on_load=script, apply_default_css=False, elem_id="result")
        gr.HTML("<h2>History</h2>", apply_default_css=False)
        self._history = gr.HTML("", js_on_load=script, apply_default_css=False, elem_id="history")
        self._more = gr.Button("Show more", visible=False, elem_id="more")

    # ---- What leads to what

    def _connect(self) -> None:
        on = self._on
        shown = [self._history, self._more]
        follow = self._current.change(
            self._follow,
            [self._current, self._count],
            [self._progress, self._cancel, self._result, *shown],
            trigger_mode="multiple",
            **QUIETLY,
        )
        for name, tab in self._tabs.items():
            if tab.button is not None:
                self._connect_tab(name, tab, follow)
        self._settings["dice"].click(lambda: str(new_seed()), None, self._settings["seed"], **AT_ONCE)
        preset = self._settings["preset"]
        filled = [self._settings[field] for field in preset_values("fast")]
        preset.input(lambda name: list(preset_values(name).values()), preset, filled, **AT_ONCE)
        on(self._cancel.click, self._stop, [self._current], [self._notice])
        on(self._more.click, self._show_more, [self._count, self._current], [self._count, *shown])
        recording = self._tabs["inpaint"].fields.get("recording")
        everything = [self._notice, self._tab_bar, self._result, *shown, *self._all_fields(), *self._waveforms()]
        for place in (self._result, self._history):
            on(place.click, self._act, [self._current, self._count, *([recording] if recording else [])], everything)
        self.blocks.load(self._load, [self._count], [self._current, *shown], **AT_ONCE)

    def _connect_tab(self, name: str, tab: Tab, follow: Any) -> None:
        assert tab.button is not None
        fields = {**self._settings, **tab.fields}
        del fields["dice"], fields["preset"]
        asked = [tab.button.click, *([tab.fields["prompt"].submit] if name != "speak" else [])]
        gr.on(
            asked,
            self._guarded(partial(self._submit, name, fields)),
            set(fields.values()),
            [self._current, self._notice],
            cancels=[follow],
            js=SHOW_RESULTS,
            **QUIETLY,
        )
        if "recording" in tab.fields:
            others = [other.fields["recording"] for other in self._tabs.values() if "recording" in other.fields]
            others.remove(tab.fields["recording"])
            tab.fields["recording"].input(lambda path: [path] * len(others), tab.fields["recording"], others, **AT_ONCE)
        if tab.waveform is not None:
            ends = [tab.fields["start"], tab.fields["end"]]
            on, recording = self._on, tab.fields["recording"]
            on(recording.change, self._outline, [recording], [tab.waveform, *ends, self._notice])
            on(tab.waveform.release, self._choose, None, ends)
            for end in ends:
                on(end.input, self._redraw, [recording, *ends], [tab.waveform])

    def _all_fields(self) -> list[Any]:
        own = [component for tab in self._tabs.values() for component in tab.fields.values()]
        return [*own, *(self._settings[name] for name in self._settings if name != "dice")]

    def _waveforms(self) -> list[Any]:
        return [tab.waveform for tab in self._tabs.values() if tab.waveform is not None]

    def _on(self, happens: Callable[..., Any], act: Callable[..., Updates], inputs: Any, outputs: list[Any]) -> None:
        # What happens while an earlier one is under way is not dropped: the last one counts.
        told = [*outputs, *({self._notice} - set(outputs))]
        happens(self._guarded(act), inputs, told, trigger_mode="always_last", **AT_ONCE)

    def _guarded(self, act: Callable[..., Updates]) -> Callable[..., Updates]:
        """`act`, whose mistakes of the user are told in one line."""

        @wraps(act)
        def guarded(*arguments: Any) -> Updates:
            try:
                return act(*arguments)
            except MISTAKES as error:
                return {self._notice: cards.message(told(error, self._service))}

        return guarded

    # ---- What they do

    def _load(self, count: int) -> Updates:
        current = self._actions.unfinished()
        return {self._current: current, **self._shown(count, current)}

    def _submit(self, tab: str, fields: Components, values: Mapping[Any, Any]) -> Updates:
        job = self._actions.submit(tab, {name: values[component] for name, component in fields.items()})
        return {self._current: job.id, self._notice: self._actions.hint(job)}

    async def _follow(self, job_id: str, count: int) -> AsyncIterator[Updates]:
        if job_id:
            yield {self._result: "", self._cancel: gr.update(visible=True), **self._shown(count, job_id)}
        async for job in self._actions.follow(job_id):
            yield {self._progress: cards.progress(job, self._service)}
            if job.is_finished:
                yield {
                    self._progress: "",
                    self._cancel: gr.update(visible=False),
                    self._result: cards.result(job, self._service),
                    **self._shown(count, job_id),
                }

    def _stop(self, job_id: str) -> Updates:
        self._service.cancel(self._actions.find(job_id))
        return {self._notice: ""}

    def _show_more(self, count: int, current: str) -> Updates:
        return {self._count: count + FEW, **self._shown(count + FEW, current)}

    def _act(self, event: gr.EventData, current: str, count: int, recording: str | None = None) -> Updates:
        """A button of a card was pressed."""
        action, job_id, index = str(event.action), str(event.job), int(event.index)
        if action == "again":
            return self._again(job_id, recording)
        if action == "edit":
            return self._edit(job_id, index)
        job = self._actions.find(job_id)
        if action == "cancel":
            self._service.cancel(job)
        else:
            self._service.remove(job)
        emptied = {self._result: ""} if job_id == current else {}
        return {self._notice: "", **emptied, **self._shown(count, current)}

    def _again(self, job_id: str, recording: str | None) -> Updates:
        tab, values = self._actions.again(job_id)
        fields = {**self._settings, **self._tabs[tab].fields} if tab else {}
        updates: Updates = {component: values[name] for name, component in fields.items() if name in values}
        drawing = self._tabs[tab].waveform if tab else None
        if drawing is not None and recording:
            updates |= {drawing: self._outlined(recording).html(*range_of(values))}
        hint = "The recording itself was not kept: choose it again" if "recording" in fields and not recording else ""
        notice = cards.message(hint, "note") if hint else ""
        return {**updates, self._tab_bar: gr.update(selected=tab), self._notice: notice}

    def _edit(self, job_id: str, index: int) -> Updates:
        path = str(self._actions.edited(job_id, index))
        tabs = [name for name, tab in self._tabs.items() if "recording" in tab.fields]
        if not tabs:
            raise ValueError("no checkpoint of this server edits sounds")
        names = ", ".join(TABS[name][0] for name in tabs)
        return {
            **{self._tabs[name].fields["recording"]: path for name in tabs},
            self._tab_bar: gr.update(selected="inpaint" if "inpaint" in tabs else tabs[0]),
            self._notice: cards.message(f"This sound is the recording of {names} now", "note"),
        }

    def _shown(self, count: int, current: str) -> Updates:
        history, more = self._actions.history(count, current)
        return {self._history: history, self._more: gr.update(visible=more)}

    # ---- The range

    def _outlined(self, recording: str) -> Outline:
        path = self._actions.recording(recording)
        assert path is not None
        return Outline.of(path, self._service.settings.limits)

    def _outline(self, recording: str | None) -> Updates:
        tab = self._tabs["inpaint"]
        if not recording:
            return {tab.waveform: waveform.NONE, tab.fields["start"]: "", tab.fields["end"]: ""}
        outline = self._outlined(recording)
        start, end = outline.first_range
        ends = {tab.fields["start"]: as_text(start), tab.fields["end"]: as_text(end)}
        return {tab.waveform: outline.html(start, end), **ends}

    def _choose(self, event: gr.EventData) -> Updates:
        tab = self._tabs["inpaint"]
        start, end = (as_text(round(float(value), 2)) for value in (event.start, event.end))
        return {tab.fields["start"]: start, tab.fields["end"]: end}

    def _redraw(self, recording: str | None, start: str, end: str) -> Updates:
        ends = range_of({"start": start, "end": end})
        html = self._outlined(recording).html(*ends) if recording else waveform.NONE
        return {self._tabs["inpaint"].waveform: html}
