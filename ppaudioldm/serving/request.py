"""A request: a task with its prompt, recording, settings and parameters, which a server runs as a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppaudioldm.audio.loudness import check_loudness
from ppaudioldm.choices import TAGS
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import Options, check_level, refuse_schedule, settings
from ppaudioldm.serving.settings import Limits
from ppaudioldm.tasks.registry import task_of
from ppaudioldm.tasks.task import Task

FORMAT_VERSION = 2  # of the dictionaries that `to_dict` returns
_FIRST_FORMAT = 1  # without a version number: all parameters beside the other fields, and a second duration
_TAKES_OPTIONS_DURATION = ("generate", "speak")  # of the first format; the other tasks took the second one


class UnknownFormat(ValueError):
    """A stored request has a format of a later version."""


@dataclass(frozen=True)
class Request:
    """One run of a task.

    model: the name of an opened checkpoint; "" is the first that can run the task. task: a name in the registry.
    prompt: what it should sound like; of "speak" the speaker. options: their duration None is the task's default.
    parameters: of the task, by name; absent ones have their defaults. loudness: LUFS that every sound is brought to.
    keep_candidates: the result holds all candidates, where the task keeps them. with_scores: CLAP scores the only
    candidate of a prompt, too. audio: the file with the recording. tags: of the files, one of `choices.TAGS`.
    """

    model: str = ""
    task: str = "generate"
    prompt: str | None = None
    options: Options = field(default_factory=Options)
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    loudness: float | None = None
    keep_candidates: bool = False
    with_scores: bool = False
    audio: Path | None = None
    tags: str = "all"

    def checked(self, limits: Limits) -> Request:
        """The request with its prompt and all parameters of its task.

        Raises ValueError for one that no checkpoint can run, or that is beyond `limits`.
        """
        task = task_of(self.task)
        parameters = task.checked_parameters(self.prompt, self.audio is not None, self.parameters)
        if not task.takes_schedule:
            refuse_schedule(self.options)
        prompt = task.default_prompt if self.prompt is None else self.prompt
        request = dataclasses.replace(self, prompt=prompt, parameters=parameters)
        request._check_limits(limits)
        item_seeds(self.seed, self.options.candidates * self.options.variations)
        if self.keep_candidates and self.options.variations > 1:
            raise ValueError("keep_candidates is true and variations are several, allowed: one of them")
        task.check_options(self.options)
        check_level(self.options, self.loudness)
        if self.loudness is not None:
            check_loudness(self.loudness)
        if self.tags not in TAGS:
            raise ValueError(f"tags is {quoted(self.tags)}, allowed: {', '.join(TAGS)}")
        return request

    def _check_limits(self, limits: Limits) -> None:
        options = self.options
        for name, value, most in (
            ("duration", options.duration or 0.0, limits.duration_s),
            ("num_inference_steps", options.num_inference_steps or 0, limits.steps),
            ("num_waveforms_per_prompt", options.candidates, limits.candidates),
        ):
            if value > most:
                raise ValueError(f"{name} is {value:g}, allowed on this server: up to {most:g}")
        most = max(1, limits.candidates // options.candidates)
        if options.variations > most:
            raise ValueError(
                f"variations is {options.variations}, allowed on this server with {options.candidates} "
                f"candidates: up to {most}"
            )
        for name, text in self._texts():
            if len(text) > limits.text_characters:
                raise ValueError(
                    f"{name} has {len(text)} characters, allowed on this server: up to {limits.text_characters}"
                )

    def _texts(self) -> Iterator[tuple[str, str]]:
        """Name and value of every text that a client writes."""
        of_options = {name: getattr(self.options, name) for name, setting in settings().items() if not setting.choices}
        for name, value in {"prompt": self.prompt, **self.parameters, **of_options}.items():
            if isinstance(value, str):
                yield name, value
        for cue in self.options.prompt_schedule:
            yield "prompt_schedule", cue.prompt

    def batch_key(self) -> Hashable:
        """Equal for requests that can run as one batch; None for a request that runs alone."""
        if not task_of(self.task).batches:
            return None
        parameters = tuple(sorted(self.parameters.items()))
        return self.model, self.task, self.options, parameters, self.keep_candidates, self.with_scores

    def to_dict(self) -> dict[str, Any]:
        """For JSON. The recording is only named as present or absent."""
        return dataclasses.asdict(self) | {"audio": self.audio is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], version: int = FORMAT_VERSION) -> Request:
        """The inverse of `to_dict`, without the recording.

        version: of the format. Raises UnknownFormat for a later one; ValueError, TypeError, KeyError for wrong values.
        """
        if version > FORMAT_VERSION:
            raise UnknownFormat(f"its format has version {version}, known are versions up to {FORMAT_VERSION}")
        task = task_of(values["task"])
        values = _from_first_format(values, task) if version == _FIRST_FORMAT else dict(values)
        known = {parameter.name: parameter for parameter in task.parameters}
        parameters = {name: known[name].checked(value) for name, value in values["parameters"].items()}
        return cls(**{**values, "parameters": parameters, "options": Options(**values["options"]), "audio": None})


def _from_first_format(values: Mapping[str, Any], task: Task) -> dict[str, Any]:
    options = dict(values["options"])
    if task.name not in _TAKES_OPTIONS_DURATION:
        options["duration"] = values["duration"]
    parameters = {parameter.name: values[parameter.name] for parameter in task.parameters}
    names = {item.name for item in dataclasses.fields(Request)} - {"options", "parameters", "tags"}
    return {"options": options, "parameters": parameters} | {name: values[name] for name in names}
