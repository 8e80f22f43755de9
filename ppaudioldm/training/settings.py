"""Settings of a training stage: frozen dataclasses, read from JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ppaudioldm.config import ModelConfig, is_whole, short
from ppaudioldm.errors import naming, shown

FILE_LIMIT = 1 << 20  # bytes of JSON
PRECISIONS = ("auto", "f32", "bf16")

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class RunConfig:
    """How long and how a stage runs: what may change from one run to the next that resumes it."""

    steps: int = 1000
    minutes: float = 0.0  # stop after so many, with a checkpoint; 0: only `steps` count
    log_every: int = 20  # steps
    evaluate_every: int = 500  # steps; samples are written then too
    save_minutes: float = 2.0
    precision: str = "auto"  # "bf16" computes in half precision, "f32" does not, "auto": where the device is faster so
    workers: int = 0  # processes that prepare batches; 0: the training itself does

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {shown(self.precision)}, allowed: {', '.join(PRECISIONS)}")
        check_positive(self, "steps", "log_every", "evaluate_every")
        for name in ("minutes", "save_minutes", "workers"):
            if not 0 <= getattr(self, name) < 1e6:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")


def check_positive(settings: Any, *names: str) -> None:
    """Raise ValueError for the first of the whole numbers called `names` that is below 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}, at least 1 is needed")


def read_settings(path: str | Path, defaults: Settings) -> Settings:
    """`defaults` with the values of a JSON file. Raises CheckpointError that names the file and the first bad value."""
    with naming(path):
        path = Path(path)
        if path.stat().st_size > FILE_LIMIT:
            raise ValueError("too large for settings")
        try:
            values = json.loads(path.read_text("utf-8"))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        return changed(defaults, values)


def changed(settings: Settings, values: Any, where: str = "settings") -> Settings:
    """`settings` with `values`, nested as they are. Raises ValueError that names the first unknown or ill-typed one."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected an object, got {short(values)}")
    names = [f.name for f in fields(settings)]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise ValueError(f"{where}: unknown setting {shown(name)}, allowed: {names}")
    found = {name: _changed(getattr(settings, name), value, f"{where}.{name}") for name, value in values.items()}
    return replace(settings, **found)  # type: ignore[type-var]


def _changed(default: Any, value: Any, where: str) -> Any:
    if isinstance(default, ModelConfig) and isinstance(value, dict):  # whose networks may be there or not
        return ModelConfig.from_dict(_overlaid(as_values(default), value), where)
    if is_dataclass(default):
        return changed(default, value, where)
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{where}: expected true or false, got {short(value)}")
    if isinstance(default, float):
        if isinstance(value, float) or is_whole(value):
            return float(value)
        raise ValueError(f"{where}: expected a number, got {short(value)}")
    if isinstance(default, tuple):
        if isinstance(value, list):
            return tuple(value)
        raise ValueError(f"{where}: expected a list, got {short(value)}")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise ValueError(f"{where}: expected a string, got {short(value)}")
    if is_whole(value) or (default is None and value is None):
        return value
    raise ValueError(f"{where}: expected an integer, got {short(value)}")


def _overlaid(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """`values` with `others`, nested as they are."""
    found = dict(values)
    for name, value in others.items():
        both = isinstance(value, dict) and isinstance(found.get(name), dict)
        found[name] = _overlaid(found[name], value) if both else value
    return found


def differences(before: Any, after: Any, where: str = "", *, common: bool = False) -> list[str]:
    """The settings that differ, as "name is 2, was 1"; both as `as_values` gives them.

    common: only among those that both have, for what an older version of this program wrote.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        names = before.keys() & after.keys() if common else before.keys() | after.keys()
        for name in sorted(names):
            inner = f"{where}.{name}" if where else name
            found += differences(before.get(name), after.get(name), inner, common=common)
        return found
    return [] if before == after else [f"{where} is {short_value(after)}, was {short_value(before)}"]


def as_values(settings: Any) -> Any:
    """`settings` as JSON would give it back."""
    return json.loads(json.dumps(asdict(settings)))


def short_value(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
