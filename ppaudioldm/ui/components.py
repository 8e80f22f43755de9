"""Gradio's components of a field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from ppaudioldm.generation.prompt_schedule import Cue
from ppaudioldm.ui.field import Field

Components = dict[str, Any]  # of Gradio, by name; which events each has is known where it is created
ENDS = {"Hz": ("lowest", "highest")}  # unit of a range -> what an empty start and an empty end mean
CUES = "4: it brakes\n6: silence, birds"
NO_SUGGESTIONS = gr.InputHTMLAttributes(autocomplete="off")  # of the browser, from what was typed before


def add_field(field: Field, prefix: str = "", empty: str = "default", lines: int = 1) -> Components:
    """The components of `field`, in the block that is open.

    prefix: of their ids on the page. empty: what an empty number means. lines: of a text, at first.
    """
    ids = [f"{prefix}{name}" for name in field.components]
    if field.kind is tuple:
        return _range(field, ids)
    return {field.name: _component(field, ids[0], empty, lines)}


def _component(field: Field, elem_id: str, empty: str, lines: int) -> Any:
    label, info = field.titles[0], field.info or None
    if field.choices:
        default: list[Any] = [("—", "")] if field.default is None else []
        choices, value = [*default, *field.choices], field.default or ""
        return gr.Dropdown(choices, value=value, label=label, info=info, elem_id=elem_id, min_width=120)
    if field.kind is bool:
        return gr.Checkbox(field.default, label=label, info=info, elem_id=elem_id)
    if field.kind is Cue:
        return gr.Textbox(label=label, info=info, placeholder=CUES, lines=2, max_lines=12, elem_id=elem_id)
    if field.kind in (str, list):
        most = 12 if lines > 1 else 3
        return gr.Textbox(label=label, placeholder=info, lines=lines, max_lines=most, elem_id=elem_id)
    if field.is_slider:
        low, high = field.limits
        return gr.Slider(
            low, high, field.default, step=field.step, label=label, info=info, elem_id=elem_id, min_width=120
        )
    return optional_number(label, empty, elem_id, info)


def at_most(field: Field, limit: float | None) -> Field:
    """`field`, a slider, within the limit of the server, which may be None."""
    if limit is None:
        return field
    highest = min(limit, field.limits[1])
    return replace(field, maximum=highest, default=min(highest, field.default))


def optional_number(label: str, empty: str, elem_id: str, info: str | None = None) -> gr.Textbox:
    """A number that may be empty, which Gradio's own component reads as 0. empty: what that means."""
    return gr.Textbox(
        label=label,
        placeholder=empty,
        info=info,
        max_lines=1,
        min_width=120,
        elem_id=elem_id,
        html_attributes=NO_SUGGESTIONS,
    )


def _range(field: Field, ids: list[str]) -> Components:
    """Two components side by side: optional numbers, or the ends of an interval between 0 and 1."""
    with gr.Row():
        if field.is_list:
            empty = ENDS.get(field.unit, ("start", "end"))
            pair: list[Any] = [optional_number(*of) for of in zip(field.titles, empty, ids, strict=True)]
        else:
            pair = [
                gr.Number(value, label=label, info=field.info, step=0.05, min_width=120, elem_id=elem_id)
                for label, value, elem_id in zip(field.titles, field.default, ids, strict=True)
            ]
    return dict(zip(field.components, pair, strict=True))
