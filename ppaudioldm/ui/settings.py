"""The settings that all tasks share, below the tabs: a component for every field of `Options` that the page offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr

from ppaudioldm.config import DiffusionConfig
from ppaudioldm.generation.options import PRESETS
from ppaudioldm.serving.settings import Limits
from ppaudioldm.ui.components import NO_SUGGESTIONS, Components, add_field, at_most
from ppaudioldm.ui.field import LOUDNESS, TAGS_FIELD, Field, setting_fields

HERE = Path(__file__).parent
FINISHING = ("trim", "at_once", "stereo", "normalize")  # one beside the other
FIRST = (
    "negative_prompt",
    "num_waveforms_per_prompt",
    "variations",
    *FINISHING,
)  # in sight; all others are in "Advanced settings"
# Which of those stand side by side. One that is named nowhere has a row of its own below.
ROWS = (("num_inference_steps",), ("guidance_scale",), ("sampler", "spacing"), ("eta",), ("reuse",))
PRESET_HELP = "fast: 10 steps. fine: 25 steps. draft: half the time, less exact. original: as published, slow."


def add_settings(limits: Limits, diffusion: DiffusionConfig, adapters: Sequence[str] = ()) -> Components:
    """Their components, with the seed, the button for a new one, the preset, the loudness and the tags of files.

    "like" is the button that takes the settings of a sound file. diffusion: of the checkpoint whose defaults are shown.
    adapters: the names of the server's LoRA adapters.
    """
    highest = {
        "num_inference_steps": limits.steps,
        "num_waveforms_per_prompt": limits.candidates,
        "variations": limits.candidates,
    }
    fields = {name: at_most(field, highest.get(name)) for name, field in setting_fields(diffusion).items()}
    known = f"This server has {', '.join(adapters)}." if adapters else "This server has none."
    fields["lora"] = replace(fields["lora"], info=f"{fields['lora'].info} {known}")
    with gr.Accordion("Settings", open=True):
        like = gr.UploadButton("Take the settings of a sound file", file_types=["audio"], size="sm", elem_id="like")
        components = {"like": like, **add_field(fields["negative_prompt"])}
        components |= _seed()
        with gr.Row():
            components |= add_field(fields["num_waveforms_per_prompt"]) | add_field(fields["variations"])
        with gr.Row():
            for name in FINISHING:
                components |= add_field(fields[name])
        components["preset"] = gr.Radio(list(PRESETS), value="fast", label="Preset", info=PRESET_HELP, elem_id="preset")
        with gr.Accordion("Advanced settings", open=False, elem_id="advanced"):
            for row in _rows(fields):
                with gr.Row():
                    for field in row:
                        components |= add_field(field)
            components |= add_field(LOUDNESS, empty="unchanged") | add_field(TAGS_FIELD)
    return components


def _rows(fields: dict[str, Field]) -> list[list[Field]]:
    named = {name for row in ROWS for name in row} | set(FIRST)
    rows = [[fields[name] for name in row] for row in ROWS]
    return rows + [[field] for name, field in fields.items() if name not in named]


def _seed() -> Components:
    with gr.Row(elem_id="seed-row"):
        seed = gr.Textbox(
            label="Seed",
            placeholder="a new one each time",
            max_lines=1,
            html_attributes=NO_SUGGESTIONS,
            elem_id="seed",
            min_width=160,
            scale=3,
        )
        dice = gr.Button("New seed", icon=HERE / "dice.svg", size="sm", elem_id="dice", min_width=120, scale=1)
    return {"seed": seed, "dice": dice}
