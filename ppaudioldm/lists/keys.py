"""The key of a line: by it, a later run of a list recognises that the line has its sound already.

A key is a hash of all that the sound depends on. Later versions have more settings: one that is not in KEYED is part of
a key only where it differs from its default, so that the keys that an earlier version wrote stay valid.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ppaudioldm.generation.options import Options
from ppaudioldm.lists.prompt_list import Line
from ppaudioldm.lists.write import OutputOptions

# In every key, in this order, whatever their values are: keys of existing manifests depend on it.
KEYED = (
    "negative_prompt",
    "duration",
    "num_inference_steps",
    "guidance_scale",
    "sampler",
    "eta",
    "spacing",
    "num_waveforms_per_prompt",
    "batch_size",
    "guidance_interval",
    "reuse",
)
KEYED_OUTPUT = ("loudness", "spectrogram", "all_candidates")  # tags: only where they are not the default
# The defaults in keys, as they were when every checkpoint had the same.
FORMER_DEFAULTS = {
    "guidance_scale": 3.5,
    "num_inference_steps": 10,
    "sampler": "dpm++",
    "num_waveforms_per_prompt": 1,
}
# The first version with lists.
FIRST_KEYED = KEYED[:9]
FIRST_DURATION = 10.0  # seconds, its default


class KeyMaker:
    """Makes the keys of the lines of one run. fixed: what all of them share besides `output`, as JSON takes it."""

    def __init__(self, fixed: Sequence[Any], output: OutputOptions) -> None:
        self._fixed = [*fixed, _values(output, KEYED_OUTPUT)]
        self._count: dict[str, int] = {}  # of lines with the same content so far

    def keys(self, line: Line, options: Options, seed: int | None) -> tuple[list[str], int]:
        """The keys of the next line, and how many lines before it are equal, which its keys depend on.

        The first key is today's, the others are those that earlier versions may have written.
        """
        # The batch size does not change the sound.
        values = [_values(options, KEYED) | {"batch_size": None}, *_of_first_version(options)]
        contents = [json.dumps([line.prompt, line.name, own, seed, *self._fixed]) for own in values]
        repeated = [self._count.get(content, 0) for content in contents]
        self._count |= {content: count + 1 for content, count in zip(contents, repeated, strict=True)}
        return [_hash(f"{count} {content}") for count, content in zip(repeated, contents, strict=True)], repeated[0]


def _values(settings: Any, keyed: Sequence[str]) -> dict[str, Any]:
    """The fields of `settings`, a dataclass: all that are `keyed`, and the others that differ from their default."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    values.pop("signer", None)  # it adds to a file, and changes no sound
    values |= {name: value for name, value in FORMER_DEFAULTS.items() if values.get(name, value) is None}
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    further = {name: values[name] for name in sorted(set(values) - set(keyed)) if values[name] != defaults[name]}
    return {name: values[name] for name in keyed} | further


def _of_first_version(options: Options) -> list[dict[str, Any]]:
    """The settings as a key of the first version has them, if they are among those that it had."""
    values = _values(options, FIRST_KEYED)
    if set(values) != set(FIRST_KEYED):
        return []
    duration = FIRST_DURATION if options.duration is None else options.duration
    return [values | {"batch_size": None, "duration": duration}]


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]
