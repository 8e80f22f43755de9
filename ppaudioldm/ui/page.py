"""The page: the layout of its Gradio components, and the events that connect them to `Actions`.

Gradio's threads only submit jobs and show their progress. The server's worker runs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any

import gradio as gr

from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Task, Use
from ppaudioldm.ui import cards, texts, waveform
from ppaudioldm.ui.actions import MISTAKES, Actions, message_of
from ppaudioldm.ui.components import Components
from ppaudioldm.ui.field import as_text, read_number
from ppaudioldm.ui.form import new_seed, preset_values, shown_diffusion
from ppaudioldm.ui.gradio_routes import is_upload
from ppaudioldm.ui.settings import add_settings
from ppaudioldm.ui.tabs import HERE, Tab, add_tab
from ppaudioldm.ui.waveform import Outline

PORTION = 8  # jobs of the history that are shown at first, and that "Show more" adds
CLEAN_EVERY_S, KEEP_UPLOADS_S = 600, 6 * 3600  # of recordings that browsers sent
TITLE = "<h1>ppaudioldm</h1><p>Generate sound from text and recordings, with AudioLDM 2</p>"

BUTTONS = ("dice", "like")  # among the settings
NOT_SENT = (*BUTTONS, "preset")  # with a job

Updates = dict[Any, Any]
# Options of events that are queued. They do no long work, so they need neither a spinner nor a limit; the server has an
# API of its own, so they need no public one.
QUEUED: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
# Options of all other events. Gradio's stream of queued events ends when none is left, and the page misses an event
# that is sent while that end is on its way: only events of jobs are queued.
UNQUEUED: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
# On a phone, where the results are below all fields, the button leads to them.
SHOW_RESULTS = """(...values) => {
  if (innerWidth < 768) document.getElementById("results").scrollIntoView({ behavior: "smooth" });
  return values;
}"""


class LocalBlocks(gr.Blocks):
    """Gradio's `Blocks`, but files have their address below the page, and no request can make Gradio download one.

    uploads: the folder of the only files that a request may name.
    """

    def __init__(self, uploads: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self._uploads = uploads.resolve()

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *arguments: Any, **keywords: Any) -> Any:
        check_files(inputs, self._uploads)
        return await super().preprocess_data(block_fn, inputs, *arguments, **keywords)

    async def process_api(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        # Gradio forgets where the page is mounted when it answers unqueued events: addresses of files would be wrong.
        root, path = keywords.get("root_path"), self.custom_mount_path or ""
        if root is not None and not root.endswith(path):
            keywords["root_path"] = root + path
        return await super().process_api(*arguments, **keywords)


def check_files(value: Any, uploads: Path) -> None:
    """Raise gr.Error for a file in `value`, which was read from JSON, that is not below `uploads`.

    The address at which the browser shows a file means nothing here, and is removed.
    """
    if isinstance(value, dict):
        path = value.get("path")
        if path and not (isinstance(path, str) and is_upload(path, uploads)):
            raise gr.Error("a recording has to be uploaded, not named by its address", print_exception=False)
        if "url" in value:
            value["url"] = None
        for item in value.values():
            check_files(item, uploads)
    elif isinstance(value, list):
        for item in value:
            check_files(item, uploads)


class Page:
    """blocks: the Gradio application, to be mounted on the server."""

    def __init__(self, actions: Actions, voices: Mapping[str, Voice]) -> None:
        self._actions, self._service = actions, actions.service
        self._tabs: dict[str, Tab] = {}
        with LocalBlocks(
            actions.uploads, title="ppaudioldm", analytics_enabled=False, delete_cache=(CLEAN_EVERY_S, KEEP_UPLOADS_S)
        ) as self.blocks:
            self._current = gr.State("")  # the id of the job that is followed
            self._count = gr.State(PORTION)
            gr.HTML(texts.switch() + TITLE + cards.licences(self._service), apply_default_css=False, elem_id="title")
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as self._tab_bar:
                        for name, task in TASKS.items():
                            with gr.Tab(task.title, id=name):
                                self._tabs[name] = add_tab(task, self._service, voices)
                    diffusion = shown_diffusion(self._service)
                    adapters = self._service.models.adapters()
                    self._settings = add_settings(self._service.settings.limits, diffusion, adapters)
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

    # ---- Events

    def _connect(self) -> None:
        on = self._on
        shown = [self._history, self._more]
        follow = self._current.change(
            self._follow,
            [self._current, self._count],
            [self._progress, self._cancel, self._result, *shown],
            trigger_mode="multiple",
            **QUEUED,
        )
        for name, tab in self._tabs.items():
            if tab.button is not None:
                self._connect_tab(name, tab, follow)
            if tab.waveform is not None:
                self._connect_waveform(tab)
        self._settings["dice"].click(lambda: str(new_seed()), None, self._settings["seed"], **UNQUEUED)
        preset = self._settings["preset"]
        diffusion = shown_diffusion(self._service)
        preset_components = [self._settings[name] for name in preset_values("fast")]
        preset.input(lambda name: list(preset_values(name, diffusion).values()), preset, preset_components, **UNQUEUED)
        on(self._cancel.click, self._stop, [self._current], [self._notice])
        on(self._more.click, self._show_more, [self._count, self._current], [self._count, *shown])
        recordings = [tab.fields["recording"] for tab in self._tabs.values() if tab.has_recording]
        everything = [self._notice, self._tab_bar, self._result, *shown, *self._all_fields(), *self._waveforms()]
        like = self._settings["like"]
        like.upload(self._guarded(self._like), [like, *recordings], everything, **UNQUEUED)
        for place in (self._result, self._history):
            on(place.click, self._act, [self._current, self._count, *recordings], everything)
        self.blocks.load(self._load, [self._count], [self._current, *shown], **UNQUEUED)

    def _connect_tab(self, name: str, tab: Tab, follow: Any) -> None:
        assert tab.button is not None
        settings = {key: component for key, component in self._settings.items() if key not in NOT_SENT}
        fields = {**settings, **tab.fields}
        prompt = tab.fields["prompt"]
        gr.on(
            [tab.button.click, *([prompt.submit] if isinstance(prompt, gr.Textbox) else [])],
            self._guarded(partial(self._submit, name, fields)),
            set(fields.values()),
            [self._current, self._notice],
            cancels=[follow],
            js=SHOW_RESULTS,
            **QUEUED,
        )
        if tab.has_recording:
            # Where it is optional it changes what the button does: there a user chooses it in the tab itself.
            others = [other for other in self._tabs.values() if other is not tab and other.task.audio is Use.REQUIRED]
            components = [other.fields["recording"] for other in others if other.has_recording]
            recording = tab.fields["recording"]
            recording.input(lambda path: [path] * len(components), recording, components, **UNQUEUED)

    def _connect_waveform(self, tab: Tab) -> None:
        on, recording, ends = self._on, tab.fields["recording"], [tab.fields[name] for name in tab.ends]
        on(recording.change, partial(self._outline, tab), [recording], [tab.waveform, *ends, self._notice])
        on(tab.waveform.release, self._choose_in(tab), None, ends)  # type: ignore[union-attr]
        for end in ends:
            on(end.input, partial(self._redraw, tab), [recording, *ends], [tab.waveform])

    def _all_fields(self) -> list[Any]:
        own = [component for tab in self._tabs.values() for component in tab.fields.values()]
        return [*own, *(self._settings[name] for name in self._settings if name not in BUTTONS)]

    def _waveforms(self) -> list[Any]:
        return [tab.waveform for tab in self._tabs.values() if tab.waveform is not None]

    def _on(self, event: Callable[..., Any], act: Callable[..., Updates], inputs: Any, outputs: list[Any]) -> None:
        # An event during an earlier one of its kind is not dropped: the last one counts.
        outputs = [*outputs, *({self._notice} - set(outputs))]
        event(self._guarded(act), inputs, outputs, trigger_mode="always_last", **UNQUEUED)

    def _guarded(self, act: Callable[..., Updates]) -> Callable[..., Updates]:
        """`act`, but MISTAKES are shown to the user as one line."""

        @wraps(act)
        def guarded(*arguments: Any) -> Updates:
            try:
                return act(*arguments)
            except MISTAKES as error:
                return {self._notice: cards.message(message_of(error, self._service))}

        return guarded

    # ---- Handlers of events: each returns the components to update

    def _load(self, count: int) -> Updates:
        current = self._actions.unfinished()
        return {self._current: current, **self._shown(count, current)}

    def _submit(self, tab: str, fields: Components, values: Mapping[Any, Any]) -> Updates:
        job = self._actions.submit(
            self._tabs[tab].task, {name: values[component] for name, component in fields.items()}
        )
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
        return {self._count: count + PORTION, **self._shown(count + PORTION, current)}

    def _act(self, event: gr.EventData, current: str, count: int, *recordings: str | None) -> Updates:
        """A button of a card was pressed. recordings: of the tabs that have one."""
        action, job_id, index = str(event.action), str(event.job), int(event.index)
        if action == "again":
            return self._again(job_id, recordings)
        if action == "edit":
            return self._edit(job_id, index)
        job = self._actions.find(job_id)
        if action == "cancel":
            self._service.cancel(job)
        else:
            self._service.remove(job)
        emptied = {self._result: ""} if job_id == current else {}
        return {self._notice: "", **emptied, **self._shown(count, current)}

    def _again(self, job_id: str, recordings: Sequence[str | None]) -> Updates:
        return self._filled(*self._actions.settings_of(job_id), recordings)

    def _like(self, path: str | None, *recordings: str | None) -> Updates:
        """Fill the fields with the settings in the tags of a sound file that was sent."""
        return self._filled(*self._actions.settings_of_file(path), recordings)

    def _filled(
        self, task: Task, values: Mapping[str, Any], left_out: str, recordings: Sequence[str | None]
    ) -> Updates:
        """The tab of `task` with these values. left_out: what they cannot repeat, in a line."""
        tab = self._tabs[task.name]
        fields = {**self._settings, **tab.fields}
        updates: Updates = {component: values[name] for name, component in fields.items() if name in values}
        with_recording = [other for other in self._tabs.values() if other.has_recording]
        recording = recordings[with_recording.index(tab)] if tab in with_recording else None
        if tab.waveform is not None and recording:
            updates |= self._redraw(tab, recording, *(values[name] for name in tab.ends))
        needs_recording = tab.has_recording and (task.audio is Use.REQUIRED or not values["prompt"])
        missing = "The recording itself was not kept: choose it again." if needs_recording and not recording else ""
        hint = f"{missing} {left_out}".strip()
        notice = cards.message(hint, "note") if hint else ""
        return {**updates, self._tab_bar: gr.update(selected=task.name), self._notice: notice}

    def _edit(self, job_id: str, index: int) -> Updates:
        path = str(self._actions.sound_as_recording(job_id, index))
        tabs = [tab for tab in self._tabs.values() if tab.has_recording]
        if not tabs:
            raise ValueError("no checkpoint of this server edits sounds")
        first = next((tab for tab in tabs if tab.waveform is not None), tabs[0])
        titles = ", ".join(tab.task.title for tab in tabs)
        return {
            **{tab.fields["recording"]: path for tab in tabs},
            self._tab_bar: gr.update(selected=first.task.name),
            self._notice: cards.message(f"This sound is now the recording in the tabs {titles}", "note"),
        }

    def _shown(self, count: int, current: str) -> Updates:
        history, more = self._actions.history(count, current)
        return {self._history: history, self._more: gr.update(visible=more)}

    # ---- The range of a recording that is chosen on its waveform

    def _outlined(self, recording: str) -> Outline:
        path = self._actions.recording(recording)
        assert path is not None
        return Outline.of(path, self._service.settings.limits)

    def _outline(self, tab: Tab, recording: str | None) -> Updates:
        """Draw a recording that was chosen, with a first range."""
        if not recording:
            return {tab.waveform: waveform.EMPTY, **{tab.fields[name]: "" for name in tab.ends}}
        outline = self._outlined(recording)
        ends = outline.first_range
        texts = {tab.fields[name]: as_text(value) for name, value in zip(tab.ends, ends, strict=True)}
        return {tab.waveform: outline.html(*ends), **texts}

    def _choose_in(self, tab: Tab) -> Callable[[gr.EventData], Updates]:
        # Gradio finds the event by its annotation, which `partial` would hide.
        def choose(event: gr.EventData) -> Updates:
            """Fill the fields with the range that was drawn."""
            ends = (as_text(round(float(value), 2)) for value in (event.start, event.end))
            return {tab.fields[name]: end for name, end in zip(tab.ends, ends, strict=True)}

        return choose

    def _redraw(self, tab: Tab, recording: str | None, start: str, end: str) -> Updates:
        """Draw the range that was typed."""
        form = dict(zip(tab.ends, (start, end), strict=True))
        ends = [read_number(form, name) for name in tab.ends]
        return {tab.waveform: self._outlined(recording).html(*ends) if recording else waveform.EMPTY}
