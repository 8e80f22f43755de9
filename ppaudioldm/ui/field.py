"""The fields of the page: one for every setting of `Options` and every parameter of a task. Knows no Gradio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ppaudioldm.choices import TAGS
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.generation.options import Options, settings
from ppaudioldm.generation.prompt_schedule import Cue, cues_as_text, parsed_cues
from ppaudioldm.tasks.task import Parameter, Task, Use
from ppaudioldm.weights.lora_choice import SEPARATOR, parse_choices

# Settings that the page does not offer, and why.
LEFT_OUT = {"batch_size": "the server decides how many clips are generated at once"}
# Labels and explanations of settings, where those of the command line would not do.
LABELS = {
    "negative_prompt": ("Negative prompt", "What it should not sound like."),
    "num_waveforms_per_prompt": ("Candidates", "Sounds to generate; CLAP says which fits the prompt best."),
    "num_inference_steps": ("Steps", "Denoising steps. More take longer, and may sound better."),
    "guidance_scale": (
        "Guidance scale",
        "How closely to follow the prompt. 1 is no guidance. Empty: as the checkpoint was published, mostly 3.5.",
    ),
    "sampler": ("Sampler", "dpm++ needs the fewest steps."),
    "spacing": ("Timestep spacing", "For dpm++ only."),
    "eta": ("Eta", "For ddim only: 0 adds no noise between steps, 1 as much as ddpm."),
    "reuse": ("Cache interval", "Steps that share deep UNet features (DeepCache). 1 is exact, more is faster."),
    "variations": ("Variations", "Sounds to keep, each with a seed of its own."),
    "trim": ("Trim", "Cut off the silence at both ends."),
    "at_once": ("Start at once", "Of a longer sound, the length from where it begins."),
    "stereo": ("Stereo", "Two channels whose mean is the mono sound."),
    "normalize": ("Normalize", "Bring the peak to -1 dBFS."),
    "guidance_interval": ("Guidance", "As a share of the steps, 0 to 1."),
    "lora": ("LoRA adapters", 'Names with a scale each, such as "bells:0.8; rain". Empty: none.'),
}
# Likewise of parameters.
EXPLANATIONS = {"cutoff": "Frequencies above it are generated. Empty: where the spectrum of the recording ends."}
Form = Mapping[str, Any]  # component -> its value


@dataclass(frozen=True)
class Field:
    """A value that a user can choose, in one component of the form, or in two for the ends of a range.

    name: of the setting or parameter. kind: float, int, str, bool, `tuple` for a range, `Cue` for prompts over time,
    one a line, or `list` for LoRA adapters, which are one text. default: None where an empty field has a meaning.
    minimum, maximum: of a slider. is_list: the value is a tuple of ranges (low, high), of which the form holds one, or
    none; without it, it is one interval between 0 and 1.
    """

    name: str
    kind: type
    default: Any
    label: str
    info: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    required: bool = False
    is_list: bool = False

    @property
    def components(self) -> tuple[str, ...]:
        """The names of its components."""
        return (f"{self.name}_from", f"{self.name}_to") if self.kind is tuple else (self.name,)

    @property
    def titles(self) -> tuple[str, ...]:
        """The labels of its components."""
        unit = f", {self.unit}" if self.unit else ""
        if self.kind is tuple:
            return f"{self.label} from{unit}", f"{self.label} to{unit}"
        return (f"{self.label}{unit}",)

    @property
    def is_slider(self) -> bool:
        """Whether it is a number between two limits that is never empty."""
        is_number = self.kind in (int, float)
        return is_number and None not in (self.default, self.minimum, self.maximum)

    @property
    def step(self) -> float:
        """Of the slider: a power of ten, of which the range has a hundred or more."""
        low, high = self.limits
        return 1 if self.kind is int else 10.0 ** math.floor(math.log10((high - low) / 100))

    @property
    def limits(self) -> tuple[float, float]:
        """Minimum and maximum of a number that has both."""
        assert self.minimum is not None and self.maximum is not None
        return self.minimum, self.maximum

    def read(self, form: Form) -> Any:
        """The value that `form` holds; None where it is empty. Raises ValueError for what is not a number."""
        if self.kind is str:
            return str(form.get(self.name) or "").strip() or None
        if self.kind is Cue:
            return tuple(parsed_cues(str(form.get(self.name) or "")))
        if self.kind is list:
            return parse_choices(self.name, str(form.get(self.name) or ""))
        if self.kind is bool:
            return bool(form.get(self.name))
        if self.kind is tuple:
            low, high = (read_number(form, name) for name in self.components)
            if self.is_list:
                return () if low is None and high is None else ((low, high),)
            return (0.0 if low is None else low), (1.0 if high is None else high)
        value = read_number(form, self.name)
        if self.kind is not int or value is None:
            return value
        if value != int(value):
            raise ValueError(f"{self.name} is {value:g}, allowed: a whole number")
        return int(value)

    def write(self, value: Any) -> dict[str, Any]:
        """What its components hold for `value`: the inverse of `read`. Of several ranges, the first."""
        if self.kind is tuple:
            low, high = value if not self.is_list else value[0] if value else (None, None)
            ends = (as_text(low), as_text(high)) if self.is_list else (low, high)
            return dict(zip(self.components, ends, strict=True))
        if self.kind is str:
            return {self.name: value or ""}
        if self.kind is Cue:
            return {self.name: cues_as_text(value)}
        if self.kind is list:
            return {self.name: f"{SEPARATOR} ".join(value)}
        return {self.name: value if self.kind is bool or self.is_slider else as_text(value)}


SCHEDULE = Field(
    "prompt_schedule", Cue, (), "Prompts over time", "A line for each: seconds, colon, the prompt that follows then."
)
LOUDNESS = Field("loudness", float, None, "Loudness", "Such as -16. Empty: as it was generated.", unit="LUFS")

TAGS_FIELD = Field(
    "tags",
    str,
    "all",
    "Tags in files",
    "all: that it is AI-generated, and the settings that make it again. marking: without the settings.",
    choices=TAGS,
)


# Settings whose default is a checkpoint's, and which the page shows with it.
OF_CHECKPOINT = ("num_inference_steps", "sampler")
CANDIDATES = "num_waveforms_per_prompt"  # shown as 1, for which a checkpoint may make several attempts
# What stays as it is shown is None in a request: the default of whichever checkpoint does the task.
SHOWN_DEFAULTS = (*OF_CHECKPOINT, CANDIDATES)


def setting_fields(diffusion: DiffusionConfig = DiffusionConfig()) -> dict[str, Field]:  # noqa: B008 - it is frozen
    """Name -> field of the settings that all tasks share. diffusion: of the checkpoint whose defaults are shown."""
    defaults = {field.name: field.default for field in fields(Options)}
    defaults |= {name: getattr(diffusion, name) for name in OF_CHECKPOINT} | {CANDIDATES: 1}
    found = {}
    for name, setting in settings().items():
        if name in ("duration", SCHEDULE.name) or name in LEFT_OUT:  # these are on the tabs of the tasks
            continue
        label, info = LABELS.get(name, (_label(name), setting.help))
        low, high = setting.minimum, setting.maximum
        found[name] = Field(
            name, setting.kind, defaults[name], label, info, low, high, choices=setting.choices, unit=setting.unit
        )
    return found


def parameter_fields(task: Task) -> dict[str, Field]:
    """Name -> field of the parameters of `task`."""
    return {parameter.name: _parameter_field(parameter) for parameter in task.parameters}


def _parameter_field(parameter: Parameter) -> Field:
    field = Field(
        parameter.name,
        parameter.kind,
        parameter.default,
        parameter.label,
        EXPLANATIONS.get(parameter.name) or sentence(parameter.help),
        parameter.minimum,
        parameter.maximum,
        unit=parameter.unit,
        required=parameter.required,
        is_list=parameter.kind is tuple,
    )
    if parameter.above is not None and parameter.maximum is not None:
        field = replace(field, minimum=parameter.above)
        return replace(field, minimum=parameter.above + field.step)  # the limit itself is not allowed
    return field


def duration_field(task: Task, default_s: float) -> Field | None:
    """The length of the result; None where it follows from the recording or the text.

    It is optional where the recording's length is the default. default_s: seconds of a clip by default.
    """
    if not task.takes_duration or task.speaks:
        return None
    setting = settings()["duration"]
    if task.default_duration is not None:
        default_s = task.default_duration
    elif task.audio is not Use.UNUSED:
        return Field("duration", float, None, "Length", unit=setting.unit)
    return Field("duration", float, default_s, "Length", "", setting.minimum, setting.maximum, unit=setting.unit)


def read_number(form: Form, name: str) -> float | None:
    """The number in the component `name`; None where it is empty. Raises ValueError for anything else."""
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


def sentence(text: str) -> str:
    """`text` with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
