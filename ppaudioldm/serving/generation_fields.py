"""The fields of a request to `/v1/generations`, derived from the settings of `Options` and the registry of tasks."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from ppaudioldm.audio.loudness import MAX_LOUDNESS, MIN_LOUDNESS
from ppaudioldm.choices import TAGS
from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.generation.options import PRESETS, Setting, settings
from ppaudioldm.generation.prompt_schedule import ALLOWED, MOST_PROMPTS, Cue, parsed_cue, parsed_cues, split_first
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.responses import new_seed
from ppaudioldm.serving.service import Service
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import MAX_RANGES, Parameter, Task
from ppaudioldm.weights.lora_choice import MOST_ADAPTERS

LEFT_OUT = ("batch_size",)  # settings that the server chooses: they make no difference to a sound
DOCSTRING = "A run of a task. Absent fields are as on the command line; those that the task does not use are ignored."


def _pair(value: Any) -> Any:
    """START:END, or JSON, as two numbers: a form holds texts only."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    with contextlib.suppress(ValueError):
        parsed = json.loads(value)
        if isinstance(parsed, list):
            return tuple(parsed)
    with contextlib.suppress(ValueError):
        start, end = value.split(":")
        return tuple(float(number) if number.strip() else None for number in (start, end))
    return value


def _list(value: Any) -> Any:
    """The list that a form holds as one text of JSON."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0].startswith("[["):
        with contextlib.suppress(ValueError):
            return json.loads(value[0])
    return value


def _cue(value: Any) -> Any:
    """SECONDS:PROMPT as a pair."""
    return tuple(parsed_cue(value)) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _cues(value: Any) -> Any:
    """The list of a form that holds several, or all of them, in one text."""
    value = _list(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return parsed_cues(value[0])
    return value


Number = Annotated[float, Field(allow_inf_nan=False)]
Range = Annotated[tuple[Number | None, Number | None], BeforeValidator(_pair)]
Interval = Annotated[tuple[Number, Number], BeforeValidator(_pair)]
Ranges = Annotated[list[Range], Field(max_length=MAX_RANGES), BeforeValidator(_list)]
CuePair = Annotated[tuple[Number, str], BeforeValidator(_cue)]
Cues = Annotated[list[CuePair], Field(max_length=MOST_PROMPTS), BeforeValidator(_cues)]

Adapters = Annotated[list[str], Field(max_length=MOST_ADAPTERS)] | str

Fields = dict[str, Any]  # name -> (type, default with description and limits), as `create_model` takes them


def request_model() -> type[BaseModel]:
    """The model of a request's fields: of every task and its parameters, and of every setting but LEFT_OUT."""
    fields: Fields = {
        "task": (Literal[tuple(TASKS)], "generate"),
        "model": _optional(str, "one of /v1/models; by default the first that can run the task"),
        "prompt": _optional(str, f"what it should sound like{_other_prompts()}"),
        **_parameter_fields(),
        **{name: _setting_field(setting) for name, setting in settings().items() if name not in LEFT_OUT},
        "preset": _optional(Literal[tuple(PRESETS)], "settings that other fields override; by default fast"),
        "seed": _optional(int, "generates the same sound again", ge=0, le=MAX_SEED),
        "loudness": _optional(float, "LUFS that every sound is brought to", ge=MIN_LOUDNESS, le=MAX_LOUDNESS),
        "tags": (
            Literal[TAGS],
            Field("all", description="in files: all, marking (that it is generated, without the settings), or none"),
        ),
        "keep_candidates": (bool, Field(False, description="keep all candidates, not only the best")),
        "with_scores": (bool, Field(False, description="let CLAP score the only candidate, too")),
    }
    return create_model("GenerationRequest", __config__=ConfigDict(extra="forbid"), __doc__=DOCSTRING, **fields)


def list_fields() -> frozenset[str]:
    """The names of the fields that a form may repeat."""
    parameters = {parameter.name for task in TASKS.values() for parameter in task.parameters if _is_list(parameter)}
    return frozenset(parameters | {name for name, setting in settings().items() if setting.kind in (Cue, list)})


def request_from(body: BaseModel, service: Service) -> Request:
    """The request that the fields of `body`, a `request_model()`, describe. Raises ValueError."""
    values = {name: getattr(body, name) for name in type(body).model_fields}
    task = TASKS[values["task"]]
    names = [name for name in settings() if name not in LEFT_OUT]
    options = service.options(values["preset"], **{name: values[name] for name in names})
    prompt, schedule = split_first(values["prompt"], options.prompt_schedule)
    return Request(
        model=values["model"] or "",
        task=task.name,
        prompt=prompt,
        options=replace(options, prompt_schedule=schedule),
        seed=new_seed(values["seed"]),
        parameters={parameter.name: values[parameter.name] for parameter in task.parameters},
        loudness=values["loudness"],
        tags=values["tags"],
        keep_candidates=values["keep_candidates"],
        with_scores=values["with_scores"],
    )


def answer_from(request: Request) -> dict[str, Any]:
    """`request` as JSON under the names of the fields; "options" holds all settings."""
    values = request.to_dict()
    return {**values.pop("parameters"), **values, "duration": request.options.duration}


def _optional(kind: Any, description: str, **limits: Any) -> tuple[Any, Any]:
    return kind | None, Field(None, description=description, **limits)


def _other_prompts() -> str:
    return "".join(
        f"; of {task.name}: {task.prompt_help}" for task in TASKS.values() if task.prompt_keyword != "prompt"
    )


def _setting_field(setting: Setting) -> tuple[Any, Any]:
    unit = f", in {setting.unit}" if setting.unit else ""
    if setting.choices:
        return _optional(Literal[setting.choices], setting.help)
    if setting.kind is tuple:
        return _optional(Interval, setting.help)
    if setting.kind is Cue:
        return _optional(Cues, f"{setting.help}; {ALLOWED}, or [seconds, prompt]")
    if setting.kind is list:
        return _optional(Adapters, f"{setting.help}; on a server NAME[:SCALE], of the adapters in /v1/models")
    limits = {"ge": setting.minimum, "le": setting.maximum} if setting.kind in (int, float) else {}
    return _optional(setting.kind, setting.help + unit, **limits)


def _parameter_fields() -> Fields:
    """The parameters of all tasks; the first task that has a parameter of a name defines it."""
    fields: Fields = {}
    for task in TASKS.values():
        for parameter in task.parameters:
            fields.setdefault(parameter.name, _parameter_field(parameter, task))
    return fields


def _parameter_field(parameter: Parameter, task: Task) -> tuple[Any, Any]:
    description = f"of {task.name}: {parameter.help}"
    if _is_list(parameter):
        return Ranges, Field(list(parameter.default), description=f"{description}; START:END, or [start, end]")
    limits: dict[str, Any] = {}
    if parameter.kind is float:
        limits = {"gt": parameter.above, "ge": parameter.minimum, "le": parameter.maximum}
    if parameter.default is None:  # also for a required one: only its own task requires it
        return _optional(parameter.kind, description, **limits)
    return parameter.kind, Field(parameter.default, description=description, **limits)


def _is_list(parameter: Parameter) -> bool:
    return parameter.kind is tuple
