"""The settings in the tags of a sound file, from which it can be made again.

Anyone can write tags: each value is checked as if a user had typed it, and nothing that one names is opened.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppaudioldm.audio.formats import PathLike
from ppaudioldm.audio.loudness import check_loudness
from ppaudioldm.audio.tagging.files import SOURCE_TYPE, read_tags
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.choices import ENGINES, PRECISIONS, VOCODERS
from ppaudioldm.diffusion.noise import check_seed
from ppaudioldm.errors import one_line, quoted
from ppaudioldm.generation.options import Options, check_texts, is_number, settings
from ppaudioldm.generation.provenance import FORMAT_VERSION, MOST_NAME, SETTINGS
from ppaudioldm.storage.documents import json_value
from ppaudioldm.tasks.registry import task_of
from ppaudioldm.tasks.task import Task
from ppaudioldm.weights.lora_choice import LoraChoice

OPENED_WITH: dict[str, tuple[Any, ...]] = {
    "engine": ENGINES,
    "precision": PRECISIONS,
    "ema": (True, False),
    "vocoder": VOCODERS,
}
FIELDS = {
    "version",
    "task",
    "prompt",
    "seed",
    "options",
    "parameters",
    "recording",
    "checkpoint",
    "loudness",
    *OPENED_WITH,
}


@dataclass(frozen=True)
class StoredSettings:
    """What a sound was generated with.

    prompt: of "speak" the speaker. parameters: of the task. has_recording: there was one, which is not stored.
    checkpoint: its name, a published one's or the last part of a path. opened_with: further keywords of
    `AudioLDM.from_pretrained`. loudness: LUFS that the sound was brought to.
    """

    task: Task
    prompt: str | None
    seed: int
    options: Options
    parameters: Mapping[str, Any]
    has_recording: bool
    checkpoint: str
    opened_with: Mapping[str, Any]
    loudness: float | None

    @property
    def is_published(self) -> bool:
        """Whether the checkpoint has the name of a published one."""
        return self.checkpoint in CHECKPOINTS

    def fields(self) -> dict[str, Any]:
        """The fields of a request to a server for the same sound, as JSON takes them, without those that are None."""
        values = {
            "task": self.task.name,
            "model": self.checkpoint,
            "prompt": self.prompt,
            "seed": self.seed,
            **self.parameters,
            **dataclasses.asdict(self.options),
            "loudness": self.loudness,
        }
        del values["batch_size"]  # it makes no difference to a sound
        return {name: value for name, value in values.items() if value is not None}


def read_settings(path: PathLike) -> StoredSettings:
    """`settings_in` the tags of the file `path`. Raises OSError for one that cannot be opened, too."""
    return settings_in(read_tags(path), str(path))


def settings_in(tags: Mapping[str, str], name: str) -> StoredSettings:
    """The settings in the `tags` of the file `name`. Raises ValueError, in one line, for none or impossible ones."""
    if (text := tags.get(SETTINGS)) is None:
        raise ValueError(f"{name} has no settings in its tags, from which it could be made again")
    try:
        return parsed(text)
    except ValueError as error:
        raise ValueError(f"the settings in the tags of {name} cannot be used: {one_line(error)}") from None


def parsed(text: str) -> StoredSettings:
    """The settings that `text`, a tag, holds. Raises ValueError."""
    try:
        values = json_value(text)
    except ValueError:
        raise ValueError("they are not JSON") from None
    if not isinstance(values, dict):
        raise ValueError(f"they are {quoted(values)}, not an object")
    version = values.get("version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(f"their version is {quoted(version)}, known: up to {FORMAT_VERSION}")
    if unknown := set(values) - FIELDS:
        raise ValueError(f"{quoted(min(unknown))} is unknown to this version")
    return _checked(values)


def _checked(values: dict[str, Any]) -> StoredSettings:
    task = task_of(str(values.get("task", "generate")))
    prompt, has_recording = values.get("prompt"), values.get("recording", False)
    if prompt is not None:
        check_texts([prompt], task.prompt_keyword)
    if not isinstance(has_recording, bool):
        raise ValueError(f"recording is {quoted(has_recording)}, allowed: true or false")
    return StoredSettings(
        task,
        prompt,
        check_seed(values.get("seed", -1)),
        _options(_object(values, "options")),
        task.checked_parameters(prompt, has_recording, _object(values, "parameters")),
        has_recording,
        checked_checkpoint(values.get("checkpoint")),
        {name: _choice(name, values[name], known) for name, known in OPENED_WITH.items() if name in values},
        _loudness(values.get("loudness")),
    )


def checked_checkpoint(name: Any) -> str:
    """`name` if it is that of a published checkpoint, or a plain one. Raises ValueError for a path."""
    if isinstance(name, str) and name in CHECKPOINTS:
        return name
    if not is_plain_name(name):
        raise ValueError(f"checkpoint is {quoted(name)}, allowed: a name, and no path")
    return str(name)


def is_plain_name(name: Any) -> bool:
    """Whether `name` is a text that is no path."""
    is_short = isinstance(name, str) and name.isprintable() and 0 < len(name) <= MOST_NAME
    return is_short and re.search(r"[/\\:~]|^\.", name) is None


def _options(values: dict[str, Any]) -> Options:
    if unknown := set(values) - set(settings()):
        raise ValueError(f"the setting {quoted(min(unknown))} is unknown to this version")
    options = Options(**values)
    for choice in map(LoraChoice.parse, options.lora):
        if not is_plain_name(choice.adapter):
            raise ValueError(f"lora is {quoted(choice.adapter)}, allowed: a name, and no path")
    return options


def _object(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {quoted(found)}, allowed: an object")
    return found


def _choice(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in known):
        raise ValueError(f"{name} is {quoted(value)}, allowed: {', '.join(map(str, known))}")
    return value


def _loudness(value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        raise ValueError(f"loudness is {quoted(value)}, allowed: a number")
    check_loudness(value)
    return float(value)


def about(tags: Mapping[str, str]) -> dict[str, Any]:
    """What the tags of a file say, as JSON takes it.

    marked: whether they say that it is generated. tags: all but the settings. settings: `StoredSettings.fields`; None
    where there are none, or none that can be used: then "problem" says why. recording: whether it was made from one.
    opened_with: how the checkpoint was opened.
    """
    stored, problem = None, None
    if SETTINGS in tags:
        try:
            stored = settings_in(tags, "the file")
        except ValueError as error:
            problem = str(error)
    return {
        "marked": SOURCE_TYPE in tags,
        "tags": {name: value for name, value in tags.items() if name != SETTINGS},
        "settings": stored and stored.fields(),
        "recording": bool(stored and stored.has_recording),
        "opened_with": dict(stored.opened_with) if stored else {},
        "problem": problem,
    }
