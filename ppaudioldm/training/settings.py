"""Settings of a training stage: frozen dataclasses, read from TOML, checked by pydantic."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from ppaudioldm.config import short
from ppaudioldm.errors import naming, shown
from ppaudioldm.storage.documents import json_value, toml_table
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.training.viewers import check_viewers

FILE_BYTES_LIMIT = 1 << 20
LARGEST = 10**9  # for numbers that have no limit of their own
PRECISIONS = ("auto", "f32", "bf16")
LEFT = "left"  # name of the seconds until a run ends, among the values of its progress
NONE = "none"  # in TOML, which has no null, where a setting may be None

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class RunConfig:
    """How long and how a stage runs: what may change from one run to the next that resumes it."""

    steps: int = 1000
    minutes: float = 0.0  # stop after so many, with the state saved; 0: only `steps` count
    # Of training in all, however often it was stopped; the learning rate decays to its end in this time, if `steps` do
    # not take it there earlier. 0: no limit. With a limit, a resumed run has other learning rates than one in one go.
    total_minutes: float = 0.0
    log_every: int = 20  # steps
    evaluate_every: int = 500  # steps; samples are written then too
    save_minutes: float = (
        2.0  # at least, between two saved states; more where saving would take over a tenth of the time
    )
    precision: str = "auto"  # of PRECISIONS: "auto" takes bf16 where the device is faster with it
    compile: tuple[str, ...] = ()  # networks to compile, with PyTorch: a minute each, then a GPU is faster
    workers: int = 0  # processes that prepare batches; 0: the training process prepares them itself
    viewers: tuple[str, ...] = ()  # "tensorboard", "visualdl": also write what they show, into folders of that name
    accumulate: int = 1  # batches whose gradients a step averages: a larger batch in the memory of one
    recompute: bool = False  # activations again in the backward pass: a fraction of the memory, a third more time

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {shown(self.precision)}, allowed: {', '.join(PRECISIONS)}")
        check_viewers(self.viewers)
        check_range(self, 1, LARGEST, "steps", "log_every", "evaluate_every", "accumulate")
        check_range(self, 0, 1_000_000, "minutes", "total_minutes", "save_minutes", "workers")


def check_range(settings: Any, least: float, most: float, *names: str) -> None:
    """Raise ValueError for the first of the numbers called `names` that is not from `least` to `most`."""
    for name in names:
        if not least <= getattr(settings, name) <= most:  # so that NaN fails
            raise ValueError(f"{name} is {getattr(settings, name)}, allowed: {least:,} to {most:,}")


def read_settings(path: str | Path, defaults: Settings) -> Settings:
    """`defaults` with the values of a TOML file (or JSON, if its name ends with .json).

    Raises CheckpointError that names the file and the first bad value.
    """
    with naming(path):
        text = read_bounded(path, FILE_BYTES_LIMIT).decode()
        is_json = Path(path).suffix == ".json"
        values = json_value(text) if is_json else _with_nulls(toml_table(text), type(defaults))
        return with_overrides(defaults, values)


def with_overrides(settings: Settings, values: Any) -> Settings:
    """`settings` with `values`, nested as they are. Raises ValueError that names the first bad one and what is allowed.

    values: as JSON gives them. A value of the wrong type is not converted, except integers to floats.
    """
    from pydantic import ValidationError

    settings_class: Any = type(settings)
    if isinstance(values, dict):
        values = _merged(as_values(settings), values)
    try:
        text = json.dumps({"settings": values}, default=_refuse)
        # From JSON even though it costs a detour: pydantic's strict mode takes lists for tuples from nothing else.
        return _validator(settings_class).model_validate_json(text).settings
    except ValidationError as error:
        raise ValueError(_first_line(error, settings_class)) from error


@functools.cache
def _validator(settings_class: Any) -> Any:
    """A model with one field, `settings`, for its configuration holds for all dataclasses inside."""
    from pydantic import ConfigDict, create_model

    field: Any = (settings_class, ...)
    return create_model("Validator", __config__=ConfigDict(extra="forbid", strict=True), settings=field)


def _first_line(error: Any, settings_class: type) -> str:
    """The first problem of a pydantic ValidationError in one line."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(key) for key in problem["loc"])
    if problem["type"] == "unexpected_keyword_argument":
        outer, _, name = place.rpartition(".")
        allowed = [f.name for f in fields(_class_at(settings_class, problem["loc"][1:-1]))]
        return f"{outer}: unknown setting {shown(name)}, allowed: {', '.join(allowed)}"
    if problem["type"] == "value_error":  # raised by a __post_init__, which knows the names inside
        return f"{place}: {problem['ctx']['error']}"
    message = problem["msg"].replace("Input should be", "expected").replace("a valid array", "a list")
    return f"{place}: {message}, got {short(problem['input'])}"


def _class_at(kind: Any, names: tuple[Any, ...]) -> Any:
    """The dataclass of the settings inside `kind` under `names`, one after the other."""
    for name in names:
        kind = get_type_hints(kind)[name]
        kind = next(inner for inner in (kind, *get_args(kind)) if is_dataclass(inner))  # X of X | None
    return kind


def _refuse(value: Any) -> Any:
    raise ValueError(f"settings: {value} is a {type(value).__name__}, allowed: text, numbers, true, false and lists")


def _merged(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `others`, nested as they are."""
    result = dict(values)
    for name, value in others.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = _merged(result[name], value) if both else value
    return result


def to_toml(settings: Any) -> str:
    """All of `settings` as a TOML document, which `read_settings` reads back to the same."""
    import tomli_w

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: named(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [named(inner) for inner in value]
        return NONE if value is None else value

    return tomli_w.dumps(named(as_values(settings)))


def _with_nulls(value: Any, kind: Any) -> Any:
    """`value` of the type `kind`, with None for NONE wherever the type allows None."""
    arguments = get_args(kind)
    if value == NONE and type(None) in arguments:
        return None
    if isinstance(value, list) and arguments:
        return [_with_nulls(item, arguments[0]) for item in value]
    dataclasses = [inner for inner in (kind, *arguments) if is_dataclass(inner)]
    if isinstance(value, dict) and dataclasses:
        hints = get_type_hints(dataclasses[0])
        return {name: _with_nulls(item, hints.get(name)) for name, item in value.items()}
    return value


def differences(before: Any, after: Any, where: str = "", *, common: bool = False) -> list[str]:
    """The settings that differ, as "name is 2, was 1"; both as `as_values` gives them.

    common: only among those that both have, for what an older version of this program wrote.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        names = before.keys() & after.keys() if common else before.keys() | after.keys()
        for name in sorted(names):
            inner = f"{where}.{name}" if where else name
            lines += differences(before.get(name), after.get(name), inner, common=common)
        return lines
    return [] if before == after else [f"{where} is {_shortened(after)}, was {_shortened(before)}"]


def as_values(settings: Any) -> Any:
    """`settings` as JSON would give it back: dicts, lists, text, numbers, None."""
    return json.loads(json.dumps(asdict(settings)))


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
