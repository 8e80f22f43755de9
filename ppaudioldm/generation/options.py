"""The settings of a generation: what each means, its limits, its default, and the presets. Imports no NumPy.

`Options` is their only definition. Every field carries a `Setting`, from which the command line, the columns of prompt
lists, the HTTP requests and the page are made, and by which its values are checked when an `Options` is made.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ppaudioldm.choices import DEFAULT_SAMPLER, SAMPLERS, SPACINGS, check_sampler_for, check_sampler_options
from ppaudioldm.config import DiffusionConfig, ModelConfig
from ppaudioldm.errors import quoted
from ppaudioldm.generation.prompt_schedule import Cue, PromptSchedule, check_within, checked_cues
from ppaudioldm.weights.lora_choice import parse_choices

MIN_DURATION = 0.3  # seconds
MAX_DURATION = 600.0
LONGEST_DEFAULT = 10.0
MAX_PROMPT = 100_000  # characters: the text encoders stop long before


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` steps of `stage` (load, encode, text, denoise, decode, vocoder, rank)."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], bool | None]  # False stops the run


def as_share(progress: ProgressCallback | None, index: int, count: int) -> ProgressCallback | None:
    """A callback for generation number `index`, from 0, of `count` alike: `progress` gets the steps of all of them."""
    if progress is None:
        return None
    return lambda at: progress(Progress(at.stage, index * at.total + at.done, count * at.total))


@dataclass(frozen=True)
class Setting:
    """One field of `Options`: how it is checked, and how it is offered to users.

    kind: type of a value, one of str, float, int, bool, tuple, Cue or list; `tuple` is an interval, two numbers from 0
    to 1; `Cue` is any number of prompts with their times, `list` of LoRA adapters. minimum, maximum: both allowed.
    choices: of a text. flags: on the command line. aliases: further names of its column in a list of prompts. unit: of
    a number. blank_is_none: a text without a letter in it is None.
    """

    help: str
    kind: type
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    metavar: str | None = None
    unit: str = ""
    blank_is_none: bool = False

    def checked(self, name: str, value: Any) -> Any:
        """`value` as a built-in type. Raises ValueError that names it and what is allowed."""
        if self.kind is str:
            return self._checked_text(name, value)
        if self.kind is tuple:
            return _checked_interval(name, value)
        if self.kind is Cue:
            return _checked_schedule(name, value)
        if self.kind is list:
            return parse_choices(name, value)
        if self.kind is bool:
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {quoted(value)}, allowed: true or false")
            return value
        is_kind = _is_whole(value) if self.kind is int else is_number(value)
        low, high = self.minimum, self.maximum
        if not is_kind or (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"{name} is {quoted(value)}, allowed: {self.allowed}")
        # NumPy's numbers become Python's; Python's stay as they are, since files hold keys made of them.
        return value if type(value) in (int, float) else self.kind(value)

    @property
    def allowed(self) -> str:
        """The range of a number, for messages and help."""
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}{unit}"
        return f"finite numbers, {self.minimum:g} and more{unit}" if self.minimum is not None else f"numbers{unit}"

    def _checked_text(self, name: str, value: Any) -> str:
        if self.choices and value not in self.choices:
            raise ValueError(f"{name} is {quoted(value)}, allowed: {', '.join(self.choices)}")
        return check_texts([value], name)[0]


def _setting(default: Any, help: str, kind: type, **properties: Any) -> Any:
    return dataclasses.field(default=default, metadata={"setting": Setting(help, kind, **properties)})


@dataclass(frozen=True)
class Options:
    """The settings of a generation, checked when they are made: ValueError names a value and what is allowed.

    `AudioLDM.generate` describes what they do. None: as the checkpoint or the sampler has it.
    """

    negative_prompt: str | None = _setting(
        None,
        "what it should not sound like",
        str,
        flags=("-x", "--negative-prompt"),
        metavar="TEXT",
        blank_is_none=True,
    )
    duration: float | None = _setting(
        None,
        "length of the clip",
        float,
        minimum=MIN_DURATION,
        maximum=MAX_DURATION,
        unit="seconds",
        flags=("-d", "--duration"),
        metavar="S",
    )
    num_inference_steps: int | None = _setting(
        None,
        "denoising steps; default: 10, or 1 for consistencytta, 4 for what is distilled",
        int,
        minimum=1,
        maximum=1000,
        flags=("--steps",),
        aliases=("steps",),
        metavar="N",
    )
    guidance_scale: float | None = _setting(
        None,
        "how closely to follow the prompt; default: 3.5, or 2.5 for AudioLDM 1, 4 for consistencytta, 1 for an adapter"
        " that is distilled",
        float,
        minimum=-100,
        maximum=100,
        flags=("-w", "--guidance-scale"),
        metavar="W",
    )
    sampler: str | None = _setting(
        None,
        "what turns noise into latents; default: dpm++, or consistency for consistencytta, which has no other, and lcm"
        " for what is distilled",
        str,
        choices=SAMPLERS,
        flags=("--sampler",),
    )
    eta: float | None = _setting(
        None,
        "of ddim: 0 draws no noise between steps, 1 as much as ddpm",
        float,
        minimum=0,
        flags=("--eta",),
        metavar="ETA",
    )
    spacing: str | None = _setting(
        None, "of the timesteps of dpm++; default: log-snr", str, choices=SPACINGS, flags=("--spacing",)
    )
    num_waveforms_per_prompt: int | None = _setting(
        None,
        "candidates to generate; the one that CLAP scores nearest to the prompt is kept; default: 1, for which a"
        " checkpoint may make several attempts",
        int,
        minimum=1,
        maximum=64,
        flags=("-n", "--candidates"),
        aliases=("candidates",),
        metavar="N",
    )
    batch_size: int = _setting(
        1, "candidates generated at once", int, minimum=1, maximum=64, flags=("--batch-size",), metavar="N"
    )
    guidance_interval: tuple[float, float] = _setting(
        (0.0, 1.0),
        "the share of the steps, from 0 to 1, that is guided",
        tuple,
        flags=("--guidance-interval",),
        metavar="A:B",
    )
    reuse: int = _setting(
        1,
        "cache interval of DeepCache: steps that share deep features of the UNet",
        int,
        minimum=1,
        maximum=10,
        flags=("--reuse",),
        metavar="N",
    )
    prompt_schedule: tuple[Cue, ...] = _setting(
        (),
        "the prompt that holds from so many seconds on; may be repeated",
        Cue,
        flags=("--at",),
        aliases=("at",),
        metavar="SECONDS:PROMPT",
    )
    lora: tuple[str, ...] = _setting(
        (),
        "a LoRA adapter to merge into the UNet, a folder of PEFT or a safetensors file; may be repeated",
        list,
        flags=("--lora",),
        metavar="PATH[:SCALE]",
    )
    variations: int = _setting(
        1,
        "sounds to generate, each with seeds of its own; all are kept",
        int,
        minimum=1,
        maximum=64,
        flags=("--variations",),
        metavar="N",
    )
    trim: bool = _setting(False, "cut off the silence at both ends, with a short fade", bool, flags=("--trim",))
    at_once: bool = _setting(
        False,
        "start at once: generate more than the duration, and keep that much from where the sound begins",
        bool,
        flags=("--at-once",),
    )
    stereo: bool = _setting(False, "two decorrelated channels, whose mean is the mono sound", bool, flags=("--stereo",))
    normalize: bool = _setting(False, "bring the peak to -1 dBFS", bool, flags=("--normalize",))

    @property
    def candidates(self) -> int:
        """Of each prompt: `num_waveforms_per_prompt`, by default 1, of which a checkpoint may make several attempts."""
        return 1 if self.num_waveforms_per_prompt is None else self.num_waveforms_per_prompt

    def __post_init__(self) -> None:
        for name, setting in settings().items():
            value = getattr(self, name)
            if setting.blank_is_none and isinstance(value, str) and not value.strip():
                value = None
                object.__setattr__(self, name, None)
            if value is not None or type(self).__dataclass_fields__[name].default is not None:
                object.__setattr__(self, name, setting.checked(name, value))
        check_sampler_options(self.sampler or DEFAULT_SAMPLER, self.eta, self.spacing)
        if self.duration is not None:
            check_within(self.prompt_schedule, self.duration)

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> Options:
        """The settings called `preset`, with those of `overrides` that are not None. Raises ValueError."""
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {quoted(preset)}, choose from {', '.join(PRESETS)}")
        return PRESETS[preset].changed(**overrides)

    def changed(self, **overrides: Any) -> Options:
        """These settings, with those of `overrides` that are not None. Raises ValueError, or TypeError for a name."""
        if unknown := set(overrides) - set(settings()):
            raise TypeError(f"unknown setting {quoted(min(unknown))}, choose from {', '.join(settings())}")
        changes = {name: value for name, value in overrides.items() if value is not None}
        own = self.sampler or DEFAULT_SAMPLER
        if changes.get("sampler", own) != own:
            changes = {"eta": None, "spacing": None, **changes}  # these belong to the sampler that is replaced
        return replace(self, **changes)


def settings() -> dict[str, Setting]:
    """Name -> setting of every field of `Options`, in order."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(Options)}


def take_options(keywords: dict[str, Any]) -> Options:
    """The `Options` that `keywords` of a task describe; what belongs to them is removed from `keywords`.

    "options" or "preset" is the starting point, by default the preset "fast"; single settings override it. Raises
    ValueError for prompts over time, which these tasks do not take.
    """
    options, preset = keywords.pop("options", None), keywords.pop("preset", None)
    overrides = {name: keywords.pop(name) for name in settings() if name in keywords}
    options = merged_options(options, preset, overrides)
    refuse_schedule(options)
    return options


def refuse_schedule(options: Options) -> None:
    """Raise ValueError for prompts over time."""
    if options.prompt_schedule:
        raise ValueError("prompt_schedule is set, but only the task generate takes prompts over time")


def refuse_duration(keywords: Mapping[str, Any], task: str) -> None:
    """Raise ValueError for a `duration` among the keywords of a task whose result is as long as its recording."""
    if keywords.get("duration") is not None:
        raise ValueError(f"duration is {quoted(keywords['duration'])}, but {task} keeps the length of the recording")


def merged_options(options: Options | None, preset: str | None, overrides: Mapping[str, Any]) -> Options:
    """`options`, or the preset, with `overrides` that are not None. Raises ValueError where both are given."""
    if options is None:
        return Options.from_preset("fast" if preset is None else preset, **overrides)
    if preset is not None:
        raise ValueError("options and preset are both given, allowed: one of them")
    if not isinstance(options, Options):
        raise ValueError(f"options is a {type(options).__name__}, allowed: Options")
    return options.changed(**overrides)


def check_texts(texts: Sequence[str], name: str = "prompt") -> list[str]:
    """`texts` if each is a text with something in it. Raises ValueError."""
    if not isinstance(texts, Sequence):
        raise ValueError(f"{name} is {quoted(texts)}, allowed: a text, or a list of texts")
    if not texts:
        raise ValueError(f"{name} is an empty list, allowed: one text or more")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} is {quoted(text)}, allowed: a text that is not empty")
        if len(text) > MAX_PROMPT:
            raise ValueError(f"{name} has {len(text)} characters, allowed: up to {MAX_PROMPT}")
        if any("\ud800" <= character <= "\udfff" for character in text):  # of bytes that are not UTF-8
            raise ValueError(f"{name} is {quoted(text[:60])}, allowed: text of whole characters")
    return list(texts)


def check_level(options: Options, loudness: float | None) -> None:
    """Raise ValueError where a loudness in LUFS and a peak are both asked for."""
    if options.normalize and loudness is not None:
        raise ValueError(f"loudness is {loudness:g} and normalize is true, allowed: one of them")


def default_duration(clip_seconds: float) -> float:
    """Seconds of a clip by default: as long as those that the checkpoint was trained on, up to 10."""
    return min(LONGEST_DEFAULT, clip_seconds)


def guidance_scale_of(options: Options, diffusion: DiffusionConfig) -> float:
    """The guidance scale of `options`, or that which the checkpoint was published with."""
    return diffusion.guidance_scale if options.guidance_scale is None else options.guidance_scale


def with_defaults(options: Options, diffusion: DiffusionConfig) -> Options:
    """`options` with the guidance scale, the steps and the sampler of the checkpoint where they have none.

    The number of candidates stays None where the checkpoint makes several attempts by default, else it becomes 1.
    Raises ValueError for an option that its sampler does not have.
    """
    steps, sampler = options.num_inference_steps, options.sampler
    return replace(
        options,
        guidance_scale=guidance_scale_of(options, diffusion),
        num_inference_steps=diffusion.num_inference_steps if steps is None else steps,
        sampler=diffusion.sampler if sampler is None else sampler,
        num_waveforms_per_prompt=options.candidates if diffusion.best_of == 1 else options.num_waveforms_per_prompt,
    )


def no_ranking(candidates: int) -> ValueError:
    """The error for that many candidates of a prompt, or a score of the only one, where there is no CLAP."""
    return ValueError(f"num_waveforms_per_prompt is {candidates}, allowed: 1, unscored, as there is no CLAP to rank")


def check_fit(options: Options, config: ModelConfig) -> None:
    """Raise ValueError for a setting that a checkpoint of `config` cannot be generated with."""
    check_sampler_for(config.diffusion.sampler, options.sampler or config.diffusion.sampler)
    if config.unet.guidance_dim is None:
        return
    if options.negative_prompt is not None:
        raise ValueError(
            f"negative_prompt is {quoted(options.negative_prompt)}, but this checkpoint has no unconditional half for"
            " one: its guidance scale is an input of the UNet"
        )
    if options.guidance_interval != (0.0, 1.0):
        raise ValueError(f"guidance_interval is {options.guidance_interval}, allowed for this checkpoint: (0, 1)")
    if options.reuse > 1:
        raise ValueError(f"reuse is {options.reuse}, allowed for this checkpoint: 1")


def is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Integral)


def _checked_interval(name: str, value: Any) -> tuple[float, float]:
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_number, value))
    if not is_pair or not 0 <= value[0] < value[1] <= 1:
        raise ValueError(f"{name} is {quoted(value)}, allowed: a start and an end, 0 <= start < end <= 1")
    return value[0], value[1]


def _checked_schedule(name: str, value: Any) -> PromptSchedule:
    schedule = checked_cues(value)
    if schedule:
        check_texts([cue.prompt for cue in schedule], name)
    return schedule


# "fast" has the fewest steps that are recognised as often as any number of them: docs/tiny.md has the measurements.
PRESETS = {
    "fast": Options(),
    "fine": Options(num_inference_steps=25),
    "draft": Options(reuse=3),
    "original": Options(num_inference_steps=200, sampler="ddim", eta=1.0, num_waveforms_per_prompt=3),
}
