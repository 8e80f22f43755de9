"""A request from the values of the page's fields, and the values that repeat a request. Knows no Gradio."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.generation.options import LONGEST_DEFAULT, PRESETS, Options
from ppaudioldm.generation.prompt_schedule import split_first
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import Service
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Task, Use
from ppaudioldm.ui.field import (
    LOUDNESS,
    SCHEDULE,
    SHOWN_DEFAULTS,
    TAGS_FIELD,
    Field,
    Form,
    duration_field,
    parameter_fields,
    setting_fields,
)

# Settings that belong to what is generated, and stay when a preset is chosen.
NOT_PRESET = ("negative_prompt", "lora", "variations", "trim", "at_once", "stereo", "normalize")
NEW_SEEDS = 2**32  # a new seed is below: short enough to read aloud


def shown_diffusion(service: Service) -> DiffusionConfig:
    """That of the checkpoint whose defaults the page shows: the first of the server."""
    return service.models.all[0].pipeline.config.diffusion


def preset_values(name: str, diffusion: DiffusionConfig = DiffusionConfig()) -> dict[str, Any]:  # noqa: B008
    """What the preset `name` sets, by component: all settings but NOT_PRESET. diffusion: whose defaults are shown."""
    fields = {key: field for key, field in setting_fields(diffusion).items() if key not in NOT_PRESET}
    return _written(fields, PRESETS[name])


def preset_of(values: Form, diffusion: DiffusionConfig = DiffusionConfig()) -> str | None:  # noqa: B008
    """The preset that sets these `values`, if one does."""
    for name in PRESETS:
        if all(values.get(key) == value for key, value in preset_values(name, diffusion).items()):
            return name
    return None


def _written(fields: Mapping[str, Field], options: Options) -> dict[str, Any]:
    """What the components of `fields` hold for `options`."""
    values: dict[str, Any] = {}
    for name, field in fields.items():
        value = getattr(options, name)
        values |= field.write(field.default if value is None and name in SHOWN_DEFAULTS else value)
    return values


def new_seed() -> int:
    return secrets.randbelow(NEW_SEEDS)


def request_of(task: Task, form: Form, service: Service) -> Request:
    """The request that the button of the task's tab stands for, but for the recording.

    form: the values of the tab's components and of the settings. Raises ValueError, in one line, for a value that is
    not allowed, ModelNotFound where no model of the server does the task.
    """
    model = service.models.of(task.name)
    length = duration_field(task, model.default_duration)
    fields = setting_fields(shown_diffusion(service))
    settings = {name: field.read(form) for name, field in fields.items()}
    for name in SHOWN_DEFAULTS:
        if settings[name] == fields[name].default:
            settings[name] = None
    prompt, schedule = _prompt(form) or task.default_prompt, SCHEDULE.read(form) if task.takes_schedule else ()
    prompt, schedule = split_first(prompt, schedule)
    if prompt is None and task.prompt is Use.REQUIRED:
        raise ValueError("the prompt is empty: say what it should sound like")
    seconds = length.read(form) if length else None
    options = Options.from_preset("fast", duration=seconds, prompt_schedule=schedule, **settings)
    return Request(
        model=model.name,
        task=task.name,
        prompt=prompt,
        options=options,
        seed=_seed(form.get("seed")),
        parameters=_parameters(task, form),
        loudness=LOUDNESS.read(form),
        tags=TAGS_FIELD.read(form) or "all",
        keep_candidates=task.keeps_candidates and options.candidates > 1 and options.variations == 1,
        with_scores=model.pipeline.config.ranks,
    )


def form_of(request: Request, diffusion: DiffusionConfig = DiffusionConfig()) -> dict[str, Any]:  # noqa: B008
    """The values of all components that give `request` again: the inverse of `request_of`."""
    task, options = TASKS[request.task], request.options
    values = {"prompt": request.prompt or "", "seed": str(request.seed)}
    values |= LOUDNESS.write(request.loudness) | TAGS_FIELD.write(request.tags)
    values |= _written(setting_fields(diffusion), options)
    for name, field in parameter_fields(task).items():
        values |= field.write(request.parameters.get(name, field.default))
    if task.takes_schedule:
        values |= SCHEDULE.write(options.prompt_schedule)
    if length := duration_field(task, LONGEST_DEFAULT):
        values |= length.write(length.default if options.duration is None else options.duration)
    return values


def _parameters(task: Task, form: Form) -> dict[str, Any]:
    values = {}
    for name, field in parameter_fields(task).items():
        value = field.read(form)
        if value is not None:
            values[name] = value
        elif field.required:
            raise ValueError(f"the {field.label.lower()} is empty")
    return values


def _prompt(form: Form) -> str | None:
    return str(form.get("prompt") or "").strip() or None


def _seed(value: Any) -> int:
    """The field holds a text, since a number of a page is exact only up to 2**53."""
    text = str("" if value is None else value).strip()
    if not text:
        return new_seed()
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_SEED):
        raise ValueError(f"the seed is {text[:40]!r}, allowed: nothing, or a whole number from 0 to {MAX_SEED}")
    return int(text)
