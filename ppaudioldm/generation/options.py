"""The settings of a generation: presets, limits and their checks. Imports no framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

MIN_DURATION = 0.3  # seconds
MAX_DURATION = 600.0
LONGEST_DEFAULT = 10.0
MAX_STEPS = 1000
MAX_CANDIDATES = 64
MAX_BATCH_SIZE = 64
MAX_REUSE = 10
MAX_PROMPT = 100_000  # characters: the text encoders stop long before


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` steps of `stage` (load, text, denoise, decode, vocoder, rank)."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], bool | None]  # False stops the run


def as_part(progress: ProgressCallback | None, part: int, parts: int) -> ProgressCallback | None:
    """`progress` for generation number `part`, from 0, of `parts` alike: it is told of their steps together."""
    if progress is None:
        return None
    return lambda at: progress(Progress(at.stage, part * at.total + at.done, parts * at.total))


@dataclass(frozen=True)
class Options:
    """Settings of a generation, as `AudioLDM.generate` describes them."""

    negative_prompt: str | None = None
    duration: float | None = None  # seconds; None: as `default_duration` says
    num_inference_steps: int = 10
    guidance_scale: float = 3.5
    sampler: str = "dpm++"
    eta: float | None = None
    spacing: str | None = None
    num_waveforms_per_prompt: int = 1
    batch_size: int = 1
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    reuse: int = 1

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> Options:
        """The settings called `preset`, with those of `overrides` that are not None. Raises ValueError."""
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}, choose from {', '.join(PRESETS)}")
        options = PRESETS[preset]
        given = {name: value for name, value in overrides.items() if value is not None}
        if given.get("sampler", options.sampler) != options.sampler:
            options = replace(options, eta=None, spacing=None)  # the preset's belong to its own sampler
        options = replace(options, **given)
        options._check()
        return options

    def _check(self) -> None:
        if self.duration is not None and not (
            _is_number(self.duration) and MIN_DURATION <= self.duration <= MAX_DURATION
        ):
            raise ValueError(f"duration is {self.duration!r}, allowed: {MIN_DURATION} to {MAX_DURATION:g} seconds")
        if not _is_number(self.guidance_scale) or not abs(self.guidance_scale) <= 100:
            raise ValueError(f"guidance_scale is {self.guidance_scale!r}, allowed: -100 to 100")
        for name, limit in (
            ("num_inference_steps", MAX_STEPS),
            ("num_waveforms_per_prompt", MAX_CANDIDATES),
            ("batch_size", MAX_BATCH_SIZE),
            ("reuse", MAX_REUSE),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
                raise ValueError(f"{name} is {value!r}, allowed: 1 to {limit}")
        if not _is_interval(self.guidance_interval):
            raise ValueError(
                f"guidance_interval is {self.guidance_interval!r}, allowed: a start and an end, 0 <= start < end <= 1"
            )
        if self.negative_prompt is not None:
            self.check_prompts([self.negative_prompt], "negative_prompt")

    def check_prompts(self, prompts: Sequence[str], name: str = "prompt") -> list[str]:
        """`prompts` if each is a text with something in it. Raises ValueError."""
        if not isinstance(prompts, Sequence):
            raise ValueError(f"{name} is {prompts!r}, allowed: a text, or a list of texts")
        if not prompts:
            raise ValueError(f"{name} is an empty list, allowed: one text or more")
        for prompt in prompts:
            if not isinstance(prompt, str) or not prompt.strip():
                raise ValueError(f"{name} is {prompt!r}, allowed: a text that is not empty")
            if len(prompt) > MAX_PROMPT:
                raise ValueError(f"{name} has {len(prompt)} characters, allowed: up to {MAX_PROMPT}")
            if any("\ud800" <= character <= "\udfff" for character in prompt):  # of bytes that are no UTF-8
                raise ValueError(f"{name} is {prompt[:60]!r}, allowed: text of whole characters")
        return list(prompts)


def default_duration(clip_seconds: float) -> float:
    """Seconds of a clip if nobody says: as long as those the checkpoint was trained on, up to 10."""
    return min(LONGEST_DEFAULT, clip_seconds)


# "fast" is the fastest that makes what is asked for as often as any: docs/tiny.md has the measurements.
PRESETS = {
    "fast": Options(),
    "fine": Options(num_inference_steps=25),
    "draft": Options(reuse=3),
    "original": Options(num_inference_steps=200, sampler="ddim", eta=1.0, num_waveforms_per_prompt=3),
}


def _is_interval(value: object) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(map(_is_number, value))
        and 0 <= value[0] < value[1] <= 1
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
