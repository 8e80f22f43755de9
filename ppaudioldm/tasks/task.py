"""The definition of a task: what it needs, which parameters it takes, their limits, and the function that runs it.

Imports no NumPy, so that `--help` can use it; a task's own module is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any

from ppaudioldm.checkpoints import recording_names, speech_names
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import Options, check_texts, is_number

MAX_RANGES = 100

Range = tuple[float | None, float | None]  # None: from the very start, or to the very end


class Use(Enum):
    """Whether a task takes a prompt or a recording."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    UNUSED = "unused"


@dataclass(frozen=True)
class Parameter:
    """A parameter that belongs to one task, as a keyword of its function.

    kind: float, str (a text), bool, or `tuple`: any number of ranges (low, high), either of which may be None.
    above: an excluded minimum. label: on the page.
    """

    name: str
    kind: type
    default: Any
    help: str
    flag: str
    label: str
    metavar: str | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    unit: str = ""
    required: bool = False

    def checked(self, value: Any) -> Any:
        """`value` as the function takes it. Raises ValueError that names it and what is allowed."""
        if value is None and self.default is None and not self.required:
            return None
        if self.kind is str:
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{self.name} is {'missing' if value is None else repr(value)}, allowed: a text")
            return check_texts([value], self.name)[0]
        if self.kind is bool:
            return self._checked_flag(value)
        if self.kind is tuple:
            return self._checked_ranges(value)
        if not self._is_allowed(value):
            raise ValueError(f"{self.name} is {quoted(value)}, allowed: {self.allowed}")
        return value

    @property
    def allowed(self) -> str:
        """The range of a number, for messages and help."""
        unit = f" {self.unit}" if self.unit else ""
        low = f"above {self.above:g}" if self.above is not None else f"{self.minimum or 0:g}"
        if self.maximum is None:
            return f"{low if self.above is not None else f'{low} and more'}{unit}"
        return (
            f"{low}, at most {self.maximum:g}{unit}" if self.above is not None else f"{low} to {self.maximum:g}{unit}"
        )

    def _is_allowed(self, value: Any) -> bool:
        if not is_number(value):
            return False
        if self.above is not None and not value > self.above:
            return False
        low, high = self.minimum, self.maximum
        return (low is None or bool(value >= low)) and (high is None or bool(value <= high))

    def _checked_flag(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{self.name} is {quoted(value)}, allowed: true or false")
        return value

    def _checked_ranges(self, value: Any) -> tuple[Range, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"{self.name} is {quoted(value)}, allowed: a list of pairs of numbers")
        if len(value) > MAX_RANGES:
            raise ValueError(f"{self.name} has {len(value)} pairs, allowed: up to {MAX_RANGES}")
        return tuple(self._checked_range(pair) for pair in value)

    def _checked_range(self, pair: Any) -> Range:
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not is_pair or not all(number is None or is_number(number) for number in pair):
            raise ValueError(f"{self.flag.lstrip('-')} is {quoted(pair)}, allowed: two numbers")
        return pair[0], pair[1]


@dataclass(frozen=True)
class Task:
    """One thing that can be generated.

    name: of the command, and in requests. title: of its tab on the page; action: on the tab's button. summary: its line
    in `--help`. function: "module:name" of a function that takes a pipeline and keywords and returns a `Clip`.
    plan: "module:name" of a function (recording, duration, config or None, **parameters) that raises ValueError for
    what cannot be done with this recording, and returns the seconds of the result; without one the length is the
    option's.

    prompt, audio: whether it takes them. prompt_keyword: of the function. default_prompt: where there is none.
    takes_duration: False where the result is as long as the recording. duration_help: what the length is by default.
    default_duration: in seconds, where it depends on nothing. one_of: parameters, "prompt" or "audio", of which at
    least one is required. keeps_candidates: it can return all candidates, not only the best. batches: several requests
    with equal settings can run together. takes_schedule: it takes prompts over time. speaks: it needs a checkpoint that
    speaks; the others need one that does not. features: when features of the recording, of AudioMAE or CLAP, take the
    place of a prompt's: "always", "without prompt" or "never". edits: the result contains samples of the recording, at
    its rate and with its channels. raises_rate: to the checkpoint's rate. pieces_above_s: results longer than this are
    generated in pieces, each of which runs all networks; None for never. reads_beginning: the beginning of a longer
    recording is enough.
    """

    name: str
    title: str
    action: str
    summary: str
    function: str
    plan: str = ""
    prompt: Use = Use.REQUIRED
    prompt_keyword: str = "prompt"
    prompt_help: str = "what it should sound like"
    default_prompt: str | None = None
    audio: Use = Use.UNUSED
    parameters: tuple[Parameter, ...] = ()
    takes_duration: bool = True
    duration_help: str = ""
    default_duration: float | None = None
    one_of: tuple[str, ...] = ()
    keeps_candidates: bool = False
    batches: bool = False
    speaks: bool = False
    features: str = "never"
    takes_schedule: bool = False
    edits: bool = False
    raises_rate: bool = False
    pieces_above_s: float | None = None
    reads_beginning: bool = False

    @property
    def settings_left_out(self) -> tuple[str, ...]:
        """The fields of `Options` that it does not take."""
        without = {"duration": not self.takes_duration, "prompt_schedule": not self.takes_schedule}
        return (*(name for name, is_left_out in without.items() if is_left_out), *self._unfinished)

    @property
    def _unfinished(self) -> tuple[str, ...]:
        """Those of `generation.finishing`: an edited recording keeps its length, channels and level."""
        if self.edits:
            return ("trim", "at_once", "stereo", "normalize")
        return () if self.name == "generate" else ("at_once",)

    def check_options(self, options: Options) -> None:
        """Raise ValueError for settings of `generation.finishing` that this task does not take."""
        for name in self._unfinished:
            if getattr(options, name):
                raise ValueError(f"{name} is true, allowed for {self.name}: false")

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`."""
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def checked_parameters(
        self, prompt: str | None, has_audio: bool, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """All parameters, those that are absent by default. Raises ValueError for what the task cannot do."""
        parameters = parameters or {}
        if unknown := set(parameters) - {parameter.name for parameter in self.parameters}:
            raise ValueError(f"{min(unknown)} is not a parameter of {self.name}")
        if prompt is not None:
            check_texts([prompt], self.prompt_keyword)
        elif self.prompt is Use.REQUIRED:
            raise ValueError(f"{self.prompt_keyword} is missing, which {self.name} needs")
        if has_audio and self.audio is Use.UNUSED:
            raise ValueError(f"audio is not what {self.name} needs")
        if not has_audio and self.audio is Use.REQUIRED:
            raise ValueError(f"audio is missing, which {self.name} needs")
        checked = {p.name: p.checked(parameters.get(p.name, p.default)) for p in self.parameters}
        present = {**checked, "prompt": prompt, "audio": has_audio}
        if self.one_of and not any(present[name] for name in self.one_of):
            names = " and no ".join(self.one_of)
            raise ValueError(f"no {names}: {self.name} needs one of them")
        return checked

    def check_checkpoint(self, name: str, config: ModelConfig, prompt: str | None, has_audio: bool) -> None:
        """Raise ValueError for a checkpoint, called `name`, that cannot do the task."""
        if self.speaks and config.phoneme_encoder is None:
            raise ValueError(f"{name} does not speak, choose from {', '.join(speech_names())}")
        if not self.speaks and config.phoneme_encoder is not None:
            raise ValueError(f"{name} speaks a text: use the task speak")
        # Where features of the recording always take its place, a prompt would not help.
        goes_without = self.features == "always" or self.prompt is Use.REQUIRED
        if prompt is None and not goes_without and not (config.loa or config.unet.film_dim):
            raise ValueError(f"prompt is missing, which {name} needs")
        if config.recording_encoder is None and has_audio and self.needs_features(prompt):
            names = ", ".join(n for n in recording_names() if n not in speech_names())
            reason = "" if self.features == "always" else "prompt is missing, and "
            raise ValueError(f"{reason}{name} has no network that encodes a recording, choose from {names}")

    def needs_features(self, prompt: str | None) -> bool:
        """Whether features of the recording take the place of a prompt's, for this prompt."""
        return self.features == "always" or (self.features == "without prompt" and prompt is None)

    def keywords(self, prompt: str | None, audio: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Prompt, recording and parameters as keywords of the function."""
        keywords = {self.prompt_keyword: self.default_prompt if prompt is None else prompt, **parameters}
        if self.audio is not Use.UNUSED:
            keywords["audio"] = audio
        return keywords

    def resolved_function(self) -> Callable[..., Any]:
        """The function that runs the task."""
        return _imported(self.function)

    def planned_duration(
        self, recording: Any, duration: float | None, config: ModelConfig | None, **parameters: Any
    ) -> Any:
        """Seconds of the result, None for the checkpoint's default. Raises ValueError for what cannot be done."""
        if not self.plan:
            return self.default_duration if duration is None else duration
        return _imported(self.plan)(recording, duration, config, **parameters)


def _imported(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
