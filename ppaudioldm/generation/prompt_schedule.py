"""Prompts over time: the prompts that follow the first one, each with the time from which on it holds. No NumPy.

A clip with a schedule is denoised in sections, one for each prompt: `diffusion.sections`.
"""

from __future__ import annotations

import itertools
import math
import numbers
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ppaudioldm.errors import quoted

NAME = "prompt_schedule"  # of the setting
MOST_PROMPTS = 32  # after the first one
SHORTEST_S = 0.3  # seconds that each prompt holds
_ROUNDING_S = 1e-6  # of differences of seconds
ALLOWED = "SECONDS:PROMPT, such as 4:birds"

_CUE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*:(?!\s*\d+\s*:)(.*)", re.DOTALL)  # 1:30:rain may mean 90 seconds, or not
_BETWEEN = re.compile(r"[|\n](?=\s*\d+(?:\.\d+)?\s*:)")


class Cue(NamedTuple):
    """A prompt that holds from `seconds` after the start of the clip on, until the next one."""

    seconds: float
    prompt: str


PromptSchedule = tuple[Cue, ...]


def parsed_cue(text: str) -> Cue:
    """The cue that is written as SECONDS:PROMPT. Raises ValueError."""
    match = _CUE.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is not a prompt with its time, allowed: {ALLOWED}")
    return Cue(float(match[1]), match[2].strip())


def parsed_cues(text: str) -> list[Cue]:
    """The cues of a text that has each on a line of its own, or a "|" between them. Raises ValueError."""
    return [parsed_cue(part) for part in _BETWEEN.split(text) if part.strip()]


def cues_as_text(schedule: PromptSchedule) -> str:
    """One cue a line: the inverse of `parsed_cues`."""
    return "\n".join(f"{cue.seconds:.10g}: {' '.join(cue.prompt.split())}" for cue in schedule)


def checked_cues(values: Any) -> PromptSchedule:
    """`values` as a schedule, if it is pairs of seconds and a text in ascending order. Raises ValueError.

    The texts themselves are not checked.
    """
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError(f"{NAME} is {quoted(values)}, allowed: a list of pairs of seconds and a prompt")
    if len(values) > MOST_PROMPTS:
        raise ValueError(f"{NAME} has {len(values)} prompts, allowed: up to {MOST_PROMPTS}")
    schedule = tuple(_checked_cue(value) for value in values)
    for earlier, later in itertools.pairwise(schedule):
        if later.seconds - earlier.seconds < SHORTEST_S - _ROUNDING_S:
            raise ValueError(
                f"{NAME} has {quoted(later.prompt)} at {later.seconds:g} seconds, after {earlier.seconds:g}, "
                f"allowed: {SHORTEST_S:g} seconds later or more"
            )
    return schedule


def _checked_cue(value: Any) -> Cue:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{NAME} has {quoted(value)}, allowed: pairs of seconds and a prompt")
    seconds, prompt = value
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{NAME} has {quoted(prompt)} at {quoted(seconds)}, allowed: seconds from the start")
    return Cue(float(seconds), prompt.strip() if isinstance(prompt, str) else prompt)


def check_within(schedule: PromptSchedule, duration: float) -> None:
    """Raise ValueError for a prompt that would hold for less than SHORTEST_S of a clip of `duration` seconds."""
    for cue in schedule[-1:]:
        if duration - cue.seconds < SHORTEST_S - _ROUNDING_S:
            raise ValueError(
                f"{NAME} has {quoted(cue.prompt)} at {cue.seconds:g} seconds, "
                f"allowed: up to {max(0.0, duration - SHORTEST_S):g} in a clip of {duration:g} seconds"
            )


def split_first(prompt: str | None, schedule: PromptSchedule) -> tuple[str | None, PromptSchedule]:
    """The first prompt, which holds from the start, and the cues after it.

    Without `prompt` it is that of the first cue, whatever its time is. Raises ValueError for two at the start.
    """
    if prompt is None:
        return (schedule[0].prompt, schedule[1:]) if schedule else (prompt, schedule)
    if schedule and schedule[0].seconds < SHORTEST_S:
        raise ValueError(
            f"{NAME} has {quoted(schedule[0].prompt)} at {schedule[0].seconds:g} seconds, but the prompt holds from "
            f"the start, allowed: {SHORTEST_S:g} seconds or more, or no other prompt"
        )
    return prompt, schedule


def changes(prompt: str, schedule: PromptSchedule) -> PromptSchedule:
    """The cues of `schedule` with another prompt than the one that holds before: `prompt`, or that of the last cue."""
    before = [prompt.strip(), *(cue.prompt for cue in schedule)]
    return tuple(cue for cue, earlier in zip(schedule, before, strict=False) if cue.prompt != earlier)
