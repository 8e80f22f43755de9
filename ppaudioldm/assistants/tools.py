"""The tools of assistants: their arguments, derived from those of `/v1/generations`, and the request of a call.

Knows nothing of the protocol. A wrong value is refused in the line that the command line has for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ppaudioldm.audio.loudness import check_loudness
from ppaudioldm.choices import AUDIO_FORMATS
from ppaudioldm.diffusion.noise import check_seed
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import Options, check_texts, is_number, settings
from ppaudioldm.serving.generation_fields import request_from, request_model
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.responses import validation_message
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Task, Use

Schema = dict[str, Any]

LEFT_OUT = ("keep_candidates",)  # of the fields of a request, and why: a call writes one sound, the best
AUDIO, CONTENT = "audio", "audio_base64"  # the arguments that hold a recording
OWN: dict[str, Schema] = {  # arguments that are no fields of a request
    AUDIO: {"type": "string", "description": "the recording: the name or address of a sound of the output folder"},
    CONTENT: {"type": "string", "description": "the recording itself, in place of audio: base64 of a sound file"},
    "name": {"type": "string", "description": "of the new file, without extension; by default after the prompt"},
    "format": {"type": "string", "enum": list(AUDIO_FORMATS), "description": "of the new file; default: wav"},
}
WRITES = "Writes a new file into the output folder and returns its name."


@dataclass(frozen=True)
class Tool:
    """A tool. tasks: those that it runs; none for `list_checkpoints`. own: names in OWN of its further arguments."""

    name: str
    title: str
    description: str
    tasks: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def takes_audio(self) -> bool:
        return AUDIO in self.own

    @property
    def default_task(self) -> str | None:
        """The task of a call that names none; None if it has to."""
        return None if self.takes_audio else self.tasks[0]


@dataclass(frozen=True)
class Call:
    """What a call asks for. audio: name of a sound of the output folder. content: base64 of a recording."""

    request: Request
    format: str
    name: str | None
    audio: str | None
    content: str | None


def all_tools() -> dict[str, Tool]:
    """The tools by name, with the tasks that exist now."""
    spoken = tuple(name for name, task in TASKS.items() if task.speaks)
    without_audio = tuple(n for n, task in TASKS.items() if not task.speaks and task.audio is not Use.REQUIRED)
    with_audio = tuple(name for name, task in TASKS.items() if not task.speaks and task.audio is not Use.UNUSED)
    tools = (
        Tool(
            "generate_sound",
            "Generate a sound",
            f"Generate a sound effect or music from a prompt in English. {WRITES}",
            without_audio,
            ("name", "format"),
        ),
        Tool("speak", "Speak a text", f"Speak a text in English. {WRITES}", spoken, ("name", "format")),
        Tool(
            "edit_sound",
            "Edit a sound",
            f"Make a new sound of a recording, which stays as it is. {WRITES}",
            with_audio,
            (AUDIO, CONTENT, "name", "format"),
        ),
        Tool(
            "list_checkpoints",
            "List the checkpoints",
            "The checkpoints of this server: what each can do, which sounds it knows, the licence of its weights.",
        ),
    )
    return {tool.name: tool for tool in tools}


def input_schema(tool: Tool, voices: Mapping[str, Voice]) -> Schema:
    """The JSON Schema of the arguments of `tool`."""
    if not tool.tasks:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    fields = request_model().model_json_schema()["properties"]
    properties = {_argument(tool, name): _plain(fields[name]) for name in _field_names(tool)}
    tasks = [TASKS[name] for name in tool.tasks]
    if len(tasks) > 1:
        help = "; ".join(f"{task.name}: {task.summary}" for task in tasks)
        default = f"; default: {tool.default_task}" if tool.default_task else ""
        properties["task"] = {"type": "string", "enum": list(tool.tasks), "description": help + default}
    if tasks[0].speaks:
        speaker = properties[_argument(tool, "prompt")]
        speaker["description"] = f"{tasks[0].prompt_help}: a description, or one of {', '.join(voices)}"
    else:
        properties["prompt"]["description"] = tasks[0].prompt_help
    properties["model"]["description"] = "a checkpoint that list_checkpoints names; by default the first that can do it"
    properties |= {name: OWN[name] for name in tool.own}
    return {
        "type": "object",
        "properties": properties,
        "required": _required(tool),
        "additionalProperties": False,
    }


def call_of(tool: Tool, arguments: Mapping[str, Any], service: Service, voices: Mapping[str, Voice]) -> Call:
    """What a call of `tool` asks for. Raises ValueError, in one line, for an argument that is not allowed."""
    known = [*(_argument(tool, name) for name in _field_names(tool)), *tool.own]
    if unknown := sorted(set(arguments) - set(known)):
        raise ValueError(f"unknown argument {quoted(unknown[0])} of {tool.name}, choose from {', '.join(known)}")
    values = {name: value for name, value in arguments.items() if value is not None}
    own = {name: _checked_own(name, values.pop(name)) for name in tool.own if name in values}
    if AUDIO in own and CONTENT in own:
        raise ValueError(f"{AUDIO} and {CONTENT} are both given, allowed: one of them")
    task = _task(tool, values.pop("task", tool.default_task))
    fields = {"prompt" if name == task.prompt_keyword else name: value for name, value in values.items()}
    if task.speaks and isinstance(fields.get("prompt"), str) and fields["prompt"] in voices:
        fields["prompt"] = voices[fields["prompt"]].description
    request = request_from(_validated(fields, task), service)
    return Call(request, own.get("format", "wav"), own.get("name"), own.get(AUDIO), own.get(CONTENT))


def _field_names(tool: Tool) -> list[str]:
    """The fields of a request that are arguments of `tool`, those of its tasks first."""
    tasks = [TASKS[name] for name in tool.tasks]
    of_tasks = {parameter.name for task in tasks for parameter in task.parameters}
    of_others = {parameter.name for task in TASKS.values() for parameter in task.parameters} - of_tasks
    if not tasks:
        return []
    not_taken = set.intersection(*(set(task.settings_left_out) for task in tasks))
    left_out = {*LEFT_OUT, *of_others, *not_taken, *(["task"] if len(tasks) == 1 else [])}
    return [name for name in request_model().model_fields if name not in left_out]


def _argument(tool: Tool, field: str) -> str:
    """What `tool` calls a field of a request: "speak" says who speaks in place of the prompt."""
    return TASKS[tool.tasks[0]].prompt_keyword if field == "prompt" else field


def _required(tool: Tool) -> list[str]:
    if tool.takes_audio:
        return ["task"]
    tasks = [TASKS[name] for name in tool.tasks]
    if tasks[0].speaks:
        return [parameter.name for parameter in tasks[0].parameters if parameter.required]
    return ["prompt"]


def _plain(schema: Schema) -> Schema:
    """`schema` of an optional field without null, which is the same as leaving it out.

    Of a value that may have several forms, such as a list or one text, the first is offered.
    """
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    plain = {**options[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    return {key: value for key, value in plain.items() if key != "title" and (key, value) != ("default", None)}


def _task(tool: Tool, name: Any) -> Task:
    if name not in tool.tasks:
        value = "missing" if name is None else quoted(name)
        raise ValueError(f"task is {value}, allowed: {', '.join(tool.tasks)}")
    return TASKS[name]


def _checked_own(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {quoted(value)}, allowed: a text that is not empty")
    choices = OWN[name].get("enum")
    if choices and value not in choices:
        raise ValueError(f"{name} is {quoted(value)}, allowed: {', '.join(choices)}")
    return value


def _validated(fields: Mapping[str, Any], task: Task) -> BaseModel:
    """The fields as those of `/v1/generations`. Raises ValueError."""
    try:
        return request_model().model_validate_json(json.dumps({**fields, "task": task.name}), strict=True)
    except ValidationError as error:
        problems = error.errors()
        name = str(problems[0]["loc"][0])
        if name in fields:
            _check(task, name, fields[name])
        raise ValueError(validation_message(problems)) from None


def _check(task: Task, name: str, value: Any) -> None:
    """Raise the ValueError that the command line shows for this value of a field, if it has a line for it."""
    parameters = {parameter.name: parameter for parameter in task.parameters}
    if name in settings():
        settings()[name].checked(name, value)
    elif name in parameters:
        parameters[name].checked(value)
    elif name == "prompt":
        check_texts([value], task.prompt_keyword)
    elif name == "seed":
        check_seed(value)
    elif name == "loudness" and is_number(value):
        check_loudness(value)
    elif name == "preset" and isinstance(value, str):
        Options.from_preset(value)
