"""The values of the page's fields as a request, and back: no Gradio, so that it can be tested alone."""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Mapping
from typing import Any

from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.generation.options import PRESETS, Options
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import Service
from ppaudioldm.tasks.registry import SPEAKER, TASKS

# A tab each, and what its button says.
TABS = {
    "generate": ("Sound", "Generate"),
    "speak": ("Speech", "Speak"),
    "restyle": ("Restyle", "Restyle"),
    "inpaint": ("Inpaint", "Inpaint"),
    "extend": ("Extend", "Extend"),
    "vary": ("Vary", "Vary"),
}
ALL_CANDIDATES = ("generate", "vary")  # the tasks that can give all of them; the others give the best
PRESET_FIELDS = (
    "num_inference_steps",
    "guidance_scale",
    "sampler",
    "spacing",
    "eta",
    "reuse",
    "num_waveforms_per_prompt",
)
NEW_SEEDS = 2**32  # a new seed is below: short enough to be told

Form = Mapping[str, Any]


def preset_values(name: str) -> dict[str, Any]:
    """What the preset `name` sets, by field."""
    values = {field: getattr(PRESETS[name], field) for field in PRESET_FIELDS}
    return values | {"spacing": values["spacing"] or "", "eta": as_text(values["eta"])}


def preset_of(values: Form) -> str | None:
    """The preset that sets these `values`, if one does."""
    found = (name for name in PRESETS if all(values.get(key) == value for key, value in preset_values(name).items()))
    return next(found, None)


def new_seed() -> int:
    return secrets.randbelow(NEW_SEEDS)


def request_of(tab: str, form: Form, service: Service) -> Request:
    """What the button of `tab` asks for; `form` holds the values of its fields and of those that all tabs share.

    The recording is not in it. Raises ValueError, in one line, for a value that cannot be, ModelNotFound where no model
    can run the task.
    """
    task = "loop" if tab == "generate" and form.get("loop") else tab
    model = service.models.of(task)
    duration = _number(form, "duration")
    settings = {name: _number(form, name) for name in ("guidance_scale", "eta")}
    whole = {name: _whole(form, name) for name in ("num_inference_steps", "num_waveforms_per_prompt", "reuse")}
    interval = (_number(form, "guided_from"), _number(form, "guided_to"))
    options = Options.from_preset(
        "fast",
        negative_prompt=_text(form, "negative_prompt"),
        duration=duration,
        sampler=form.get("sampler"),
        spacing=form.get("spacing") or None,
        guidance_interval=(interval[0] or 0.0, 1.0 if interval[1] is None else interval[1]),
        **settings,
        **whole,
    )
    values = {
        "text": _text(form, "text"),
        "speed": _number(form, "speed"),
        "strength": _number(form, "strength"),
        "ranges": _pairs(form, "range", "start", "end"),
        "frequencies": _pairs(form, "frequencies", "lowest", "highest"),
    }
    names = [parameter.name for parameter in TASKS[task].parameters]
    return Request(
        model=model.name,
        task=task,
        prompt=_prompt(tab, form),
        options=options,
        seed=_seed(form.get("seed")),
        parameters={name: values[name] for name in names if values.get(name) is not None},
        loudness=_number(form, "loudness"),
        keep_candidates=task in ALL_CANDIDATES and options.num_waveforms_per_prompt > 1,
        with_scores=True,
    )


def form_of(request: Request) -> dict[str, Any]:
    """The values of the fields from which `request_of` makes `request` again."""
    options, parameters = dataclasses.asdict(request.options), request.parameters
    guided = options.pop("guidance_interval")
    del options["batch_size"]
    start, end = next(iter(parameters.get("ranges", ())), (None, None))
    lowest, highest = next(iter(parameters.get("frequencies", ())), (None, None))
    return {
        **options,
        "negative_prompt": request.options.negative_prompt or "",
        "duration": _duration(request),
        "eta": as_text(request.options.eta),
        "guided_from": guided[0],
        "guided_to": guided[1],
        "spacing": request.options.spacing or "",
        "prompt": request.prompt or "",
        "loop": request.task == "loop",
        "seed": str(request.seed),
        "text": parameters.get("text") or "",
        "speed": parameters.get("speed", TASKS["speak"].parameter("speed").default),
        "strength": parameters.get("strength", TASKS["restyle"].parameter("strength").default),
        "start": as_text(start),
        "end": as_text(end),
        "lowest": as_text(lowest),
        "highest": as_text(highest),
        "loudness": as_text(request.loudness),
    }


def _duration(request: Request) -> Any:
    """As its field holds it: a slider of all tabs but Vary, whose length is optional."""
    return as_text(request.options.duration) if request.task == "vary" else request.options.duration


def tab_of(task: str) -> str:
    """The tab that asks for `task`; "" for one that has none."""
    return "generate" if task == "loop" else task if task in TABS else ""


def range_of(form: Form) -> tuple[float | None, float | None]:
    """Seconds, of which None is the beginning, or the end. Raises ValueError for what is no number."""
    return _number(form, "start"), _number(form, "end")


def _prompt(tab: str, form: Form) -> str | None:
    """Empty is a mistake where a prompt is needed, and none where the recording does instead."""
    prompt = _text(form, "prompt")
    if tab == "speak":
        return prompt or SPEAKER
    if prompt is None and tab in ("generate", "restyle"):
        raise ValueError("the prompt is empty: say what it should sound like")
    return prompt


def _text(form: Form, name: str) -> str | None:
    return str(form.get(name) or "").strip() or None


def _number(form: Form, name: str) -> float | None:
    """None for an empty field."""
    value = str("" if form.get(name) is None else form[name]).strip()
    try:
        number = float(value) if value else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{name} is {value[:40]!r}, allowed: a number")
    return number


def as_text(number: float | None) -> str:
    """What the field of an optional number holds."""
    return "" if number is None else f"{number:.10g}"


def _whole(form: Form, name: str) -> int | None:
    value = _number(form, name)
    if value is not None and value != int(value):
        raise ValueError(f"{name} is {value:g}, allowed: a whole number")
    return None if value is None else int(value)


def _seed(value: Any) -> int:
    """Kept as a text in its field: a number of a page is exact up to 2**53 alone."""
    text = str("" if value is None else value).strip()
    if not text:
        return new_seed()
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_SEED):
        raise ValueError(f"the seed is {text[:40]!r}, allowed: nothing, or a whole number from 0 to {MAX_SEED}")
    return int(text)


def _pairs(form: Form, name: str, first: str, second: str) -> tuple[tuple[float | None, float | None], ...]:
    low, high = _number(form, first), _number(form, second)
    return () if low is None and high is None else ((low, high),)
