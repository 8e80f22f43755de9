"""The tabs of the page, one for every task of the registry: its fields and the button that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from ppaudioldm.serving.models import Model
from ppaudioldm.serving.service import ModelNotFound, Service
from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.task import Task, Use
from ppaudioldm.ui import cards, waveform
from ppaudioldm.ui.components import Components, add_field, at_most
from ppaudioldm.ui.field import SCHEDULE, Field, duration_field, parameter_fields, sentence

HERE = Path(__file__).parent
# Examples for a checkpoint that does not say which sounds it knows.
PROMPTS = (
    "Rain on a tin roof, thunder far away",
    "A dog barks twice in a large hall",
    "Footsteps on gravel, birds in the background",
    "A steam train passes by",
    "A crowd cheers in a stadium",
    "Calm piano music with soft strings",
    "An old wooden door creaks open",
    "Waves break on a rocky shore",
)
MANY_EXAMPLES, FEW_EXAMPLES = 20, 8  # without a recording, and with one


@dataclass
class Tab:
    """The components of a task. They are absent where no checkpoint of the server does it.

    waveform: the drawing on which a range of the recording is chosen; ends: the names of the fields it sets.
    """

    task: Task
    fields: Components = field(default_factory=dict)
    button: gr.Button | None = None
    waveform: gr.HTML | None = None
    ends: tuple[str, ...] = ()

    @property
    def has_recording(self) -> bool:
        return "recording" in self.fields


def add_tab(task: Task, service: Service, voices: Mapping[str, Voice]) -> Tab:
    """The content of the tab of `task`, in the block that is open."""
    tab = Tab(task)
    gr.HTML(f'<p class="summary">{sentence(task.summary)}</p>', apply_default_css=False)
    try:
        model = service.models.of(task.name)
    except ModelNotFound as error:
        gr.HTML(cards.message(f"{error}.", "note"), apply_default_css=False)
        return tab
    if task.audio is not Use.UNUSED:
        tab.fields["recording"] = _recording(task)
    parameters = parameter_fields(task).values()
    leading = [parameter for parameter in parameters if parameter.required or parameter.is_list]
    for parameter in leading:
        _add_parameter(tab, parameter)
    tab.fields["prompt"] = _speaker(task, voices) if task.speaks else _prompt(task, model)
    if task.takes_schedule:
        tab.fields |= add_field(SCHEDULE, f"{task.name}-")
    if length := duration_field(task, model.default_duration):
        limit = service.settings.limits.duration_s if length.is_slider else None
        tab.fields |= add_field(at_most(length, limit), f"{task.name}-", empty=f"Empty: {task.duration_help}")
    for parameter in parameters:
        if parameter not in leading:
            _add_parameter(tab, parameter)
    tab.button = gr.Button(task.action, variant="primary", elem_id=f"{task.name}-button")
    return tab


def needs_prompt(task: Task, model: Model) -> bool:
    """Whether the model does the task only with a prompt."""
    try:
        task.check_checkpoint(model.name, model.pipeline.config, None, has_audio=task.audio is Use.REQUIRED)
    except ValueError:
        return True
    return task.prompt is Use.REQUIRED


def example_prompts(model: Model, count: int) -> list[str]:
    """Up to `count` prompts that the model knows, or some that suit any.

    Of many that it knows the last two, which are of two sounds where it knows such, and others from all over the list.
    """
    known = model.known_prompts or PROMPTS
    if len(known) <= count:
        return list(known)
    others, last = known[:-2], known[-2:]
    return [*last, *(others[i * len(others) // (count - 2)] for i in range(count - 2))]


def _add_parameter(tab: Tab, parameter: Field) -> None:
    if parameter.is_list and parameter.unit == "seconds" and tab.has_recording:
        tab.waveform = gr.HTML(
            waveform.EMPTY,
            js_on_load=(HERE / "range.js").read_text("utf-8"),
            apply_default_css=False,
            elem_id=f"{tab.task.name}-waveform",
            elem_classes="range",
        )
        tab.ends = parameter.components
    tab.fields |= add_field(parameter, f"{tab.task.name}-", lines=3 if parameter.required else 1)


def _recording(task: Task) -> gr.Audio:
    return gr.Audio(
        label="Recording" if task.audio is Use.REQUIRED else "Recording (optional)",
        type="filepath",
        sources=["upload", "microphone"],
        editable=False,
        buttons=[],
        waveform_options=gr.WaveformOptions(show_recording_waveform=False),
        elem_id=f"{task.name}-recording",
    )


def _prompt(task: Task, model: Model) -> gr.Textbox:
    is_needed = needs_prompt(task, model)
    prompt = gr.Textbox(
        label="Prompt" if is_needed else "Prompt (optional)",
        placeholder=sentence(task.prompt_help) if is_needed else "Empty: like the recording.",
        lines=2,
        max_lines=6,
        elem_id=f"{task.name}-prompt",
    )
    count = MANY_EXAMPLES if task.audio is Use.UNUSED else FEW_EXAMPLES
    examples = [[text] for text in example_prompts(model, count)]
    gr.Examples(examples, [prompt], label="Try one of these", examples_per_page=count)
    return prompt


def _speaker(task: Task, voices: Mapping[str, Voice]) -> gr.Dropdown:
    return gr.Dropdown(
        [(f"{voice.name}: {voice.description}", voice.description) for voice in voices.values()],
        label="Speaker",
        info="Choose a voice, or describe one: who speaks, and how.",
        value=task.default_prompt,
        allow_custom_value=True,
        elem_id=f"{task.name}-prompt",
    )
