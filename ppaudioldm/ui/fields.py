"""The fields of the page: those of each tab, and the settings that all tabs share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ppaudioldm.choices import SAMPLERS, SPACINGS
from ppaudioldm.generation.options import MIN_DURATION, PRESETS, settings
from ppaudioldm.serving.models import Model
from ppaudioldm.serving.service import ModelNotFound, Service
from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.registry import MAX_SPEED, SPEAKER, TASKS
from ppaudioldm.tasks.task import Use
from ppaudioldm.ui import cards, waveform
from ppaudioldm.ui.form import TABS, preset_values

# Where a checkpoint does not say what it knows.
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
LIKE_IT = "Empty: like the recording"
HERE = Path(__file__).parent
MAX_REUSE = settings()["reuse"].maximum or 1

Components = dict[str, Any]  # of Gradio; what events each has is known where it was made


@dataclass
class Tab:
    """fields: by name; none where no checkpoint does it. waveform: on which a range is chosen."""

    fields: Components = field(default_factory=dict)
    button: gr.Button | None = None
    waveform: gr.HTML | None = None


def make_tab(name: str, service: Service, voices: Mapping[str, Voice]) -> Tab:
    """The content of the tab `name`, in the block that is open."""
    try:
        model = service.models.of(name)
    except ModelNotFound as error:
        gr.HTML(cards.message(f"{error}.", "note"))
        return Tab()
    tab = Tab()
    if TASKS[name].audio is Use.REQUIRED:
        tab.fields["recording"] = gr.Audio(
            label="Recording",
            type="filepath",
            sources=["upload", "microphone"],
            editable=False,
            buttons=[],
            waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            elem_id=f"{name}-recording",
        )
    if name == "speak":
        _speak(tab, voices)
    else:
        make = {"generate": _generate, "restyle": _restyle, "inpaint": _inpaint, "extend": _extend, "vary": _vary}[name]
        make(tab, model, service.settings.limits.duration_s)
    tab.button = gr.Button(TABS[name][1], variant="primary", elem_id=f"{name}-button")
    return tab


def _prompt(name: str, tab: Tab, model: Model, needed: bool, examples: int) -> None:
    placeholder = "What should it sound like?" if needed else LIKE_IT
    label = "Prompt" if needed else "Prompt (optional)"
    prompt = tab.fields["prompt"] = gr.Textbox(
        label=label, placeholder=placeholder, lines=2, max_lines=6, elem_id=f"{name}-prompt"
    )
    gr.Examples([[text] for text in prompts_of(model)[:examples]], [prompt], label="Try", examples_per_page=examples)


def _generate(tab: Tab, model: Model, longest: float) -> None:
    _prompt("generate", tab, model, True, 20)
    tab.fields["duration"] = _length("generate", "Length, seconds", model, longest)
    tab.fields["loop"] = gr.Checkbox(label="Loop: its end meets its start", value=False)


def _speak(tab: Tab, voices: Mapping[str, Voice]) -> None:
    tab.fields["text"] = gr.Textbox(label="Text", placeholder="What is said, in English", lines=3, max_lines=12)
    tab.fields["prompt"] = gr.Dropdown(
        [(f"{voice.name}: {voice.description}", voice.description) for voice in voices.values()],
        label="Speaker",
        info="choose one, or describe another",
        value=SPEAKER,
        allow_custom_value=True,
    )
    tab.fields["speed"] = gr.Slider(1 / MAX_SPEED, MAX_SPEED, 1.0, step=0.05, label="Speed")


def _restyle(tab: Tab, model: Model, longest: float) -> None:
    _prompt("restyle", tab, model, True, 8)
    tab.fields["strength"] = gr.Slider(
        0.05,
        1.0,
        TASKS["restyle"].parameter("strength").default,
        step=0.05,
        label="Strength",
        info="low: near the recording; 1: nothing of it is left",
    )


def _inpaint(tab: Tab, model: Model, longest: float) -> None:
    tab.waveform = gr.HTML(
        waveform.NONE,
        js_on_load=(HERE / "range.js").read_text("utf-8"),
        apply_default_css=False,
        elem_id="range",
    )
    with gr.Row():
        tab.fields["start"] = optional_number("From, seconds", "start", "range-start")
        tab.fields["end"] = optional_number("To, seconds", "end", "range-end")
    with gr.Accordion("Only some frequencies", open=False), gr.Row():
        tab.fields["lowest"] = optional_number("From, Hz", "lowest")
        tab.fields["highest"] = optional_number("To, Hz", "highest")
    _prompt("inpaint", tab, model, not model.has_audiomae, 8)


def _extend(tab: Tab, model: Model, longest: float) -> None:
    tab.fields["duration"] = _length("extend", "New length, seconds", model, longest, 2 * model.default_duration)
    _prompt("extend", tab, model, not model.has_audiomae, 8)


def _vary(tab: Tab, model: Model, longest: float) -> None:
    tab.fields["duration"] = optional_number("Length, seconds", "as the recording")
    _prompt("vary", tab, model, False, 8)


def _length(name: str, label: str, model: Model, longest: float, value: float | None = None) -> gr.Slider:
    value = min(longest, model.default_duration if value is None else value)
    return gr.Slider(MIN_DURATION, longest, value, step=0.01, label=label, elem_id=f"{name}-duration")


def optional_number(label: str, empty: str, elem_id: str | None = None) -> gr.Textbox:
    """empty: what is said where there is none. Gradio's own field makes 0 of that."""
    return gr.Textbox(
        label=label,
        placeholder=empty,
        max_lines=1,
        min_width=120,
        elem_id=elem_id,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
    )


def prompts_of(model: Model) -> Sequence[str]:
    """Prompts that the model knows, or any."""
    known = model.pipeline.checkpoint.known_sounds
    return [sound.prompt for sound in known.sounds] if known else PROMPTS


def make_settings(service: Service) -> Components:
    """What all tabs share."""
    limits, fast = service.settings.limits, preset_values("fast")
    made: Components = {}
    with gr.Accordion("Settings", open=True):
        made["negative_prompt"] = gr.Textbox(label="Negative prompt", placeholder="What it should not sound like")
        with gr.Row(elem_id="seed-row"):
            made["seed"] = gr.Textbox(
                label="Seed",
                placeholder="new each time",
                max_lines=1,
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
                elem_id="seed",
                min_width=160,
                scale=3,
            )
            made["dice"] = gr.Button(
                "New seed", icon=HERE / "dice.svg", size="sm", elem_id="dice", min_width=120, scale=1
            )
        made["num_waveforms_per_prompt"] = gr.Slider(
            1,
            limits.candidates,
            1,
            step=1,
            label="Candidates",
            info="CLAP tells which fits the prompt best",
            elem_id="candidates",
        )
        made["preset"] = gr.Radio(
            list(PRESETS),
            value="fast",
            label="Preset",
            info="fine: exacter; draft: half the time; original: as the paper's code, slow",
        )
        with gr.Accordion("Advanced settings", open=False):
            made |= _advanced(limits.steps, fast)
    return made


def _advanced(steps: int, fast: Mapping[str, Any]) -> Components:
    made: Components = {}
    made["num_inference_steps"] = gr.Slider(
        1, steps, fast["num_inference_steps"], step=1, label="Steps", elem_id="steps"
    )
    made["guidance_scale"] = gr.Slider(
        0, 15, fast["guidance_scale"], step=0.1, label="Guidance scale", info="how closely to follow the prompt"
    )
    with gr.Row():
        made["sampler"] = gr.Dropdown(list(SAMPLERS), value=fast["sampler"], label="Sampler", min_width=120)
        made["spacing"] = gr.Dropdown(
            [("the sampler's own", ""), *SPACINGS], value="", label="Spacing of the steps", min_width=120
        )
    with gr.Row():
        made["eta"] = optional_number("Eta", "the sampler's own")
        made["reuse"] = gr.Slider(
            1,
            MAX_REUSE,
            1,
            step=1,
            label="Reuse",
            info="steps that share the coarse part",
            min_width=120,
        )
    with gr.Row():
        made["guided_from"] = gr.Number(0, label="Guided from", info="share of the steps", step=0.05, min_width=120)
        made["guided_to"] = gr.Number(1, label="Guided to", info="share of the steps", step=0.05, min_width=120)
    made["loudness"] = optional_number("Loudness, LUFS", "as it comes")
    return made
