"""An option of the server: its names on the command line, in the environment and in a file, and its allowed values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE_PREFIX = "PPAUDIOLDM_"
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Option:
    """How a user sets one field of `serving.settings`.

    key: in the configuration file, and with VARIABLE_PREFIX in the environment. kind: of a value; `tuple` is a list of
    texts. help: of its flag; "" if it has none, or if `commands.arguments` adds the flag. units: of a number, unit ->
    factor. above: an excluded minimum. minimum, maximum: both allowed. own_flag, own_metavar: where they do not follow
    from the key and the kind.
    """

    key: str
    kind: type
    help: str = ""
    own_flag: str = ""
    own_metavar: str = ""
    units: Mapping[str, int] | None = None
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """On the command line."""
        return self.own_flag or "--" + self.key.replace("_", "-")

    @property
    def metavar(self) -> str | None:
        """Of the value, in help."""
        if self.own_metavar or self.units is None:
            return self.own_metavar or {int: "N", float: "S", Path: "FILE"}.get(self.kind)
        return "TIME" if self.units is SECONDS else "SIZE"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return VARIABLE_PREFIX + self.key.upper()

    def parsed(self, value: Any) -> Any:
        """`value`, a text or of the right type, as the field holds it. Raises ValueError."""
        parsed = self._converted(value)
        if not (self.holds(parsed) if self.kind in (int, float) else not self.choices or parsed in self.choices):
            raise ValueError(self.message(self.key, value))
        return parsed

    def holds(self, number: float) -> bool:
        """Whether `number` is in the range."""
        if not math.isfinite(number) or (self.above is not None and not number > self.above):
            return False
        low, high = self.minimum, self.maximum
        return (low is None or number >= low) and (high is None or number <= high)

    def message(self, name: str, value: Any) -> str:
        """The error message for `value`; name: of its flag, variable, key or field."""
        return f"{name} is {value!r}, allowed: {self.allowed}"

    @property
    def allowed(self) -> str:
        """The allowed values, for messages."""
        if self.choices:
            return ", ".join(self.choices)
        if self.kind not in (int, float):
            return {bool: "true, false", Path: "a path", tuple: "a list of texts"}.get(self.kind, "a text")
        if self.above is not None:
            limits = f"more than {self.above:g}"
        else:
            limits = f"{self.minimum or 0:g} {'and more' if self.maximum is None else f'to {self.maximum:g}'}"
        if self.units is SECONDS:
            return f"{limits} seconds, such as 90, 90s, 12h or 7d"
        if self.units is BYTES:
            return f"{limits} bytes, such as 500MB or 2GB"
        return f"{limits}, a whole number" if self.kind is int else limits

    def as_text(self, value: Any) -> str:
        """A number with its largest whole unit, for help."""
        for unit, factor in reversed(list((self.units or {}).items())):
            if unit and value % factor == 0:
                return f"{value / factor:g}{unit.upper() if self.units is BYTES else unit}"
        return f"{value:g}" if isinstance(value, float) else f"{value}"

    def _converted(self, value: Any) -> Any:
        if self.kind in (int, float):
            return self._number(value)
        if self.kind is bool:
            text = str(value).lower()
            if text not in TRUE + FALSE:
                raise ValueError(self.message(self.key, value))
            return text in TRUE
        if self.kind is tuple:
            texts = value.split(",") if isinstance(value, str) else value
            if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
                raise ValueError(self.message(self.key, value))
            return tuple(text.strip() for text in texts if text.strip())
        if not isinstance(value, (str, self.kind)) or not str(value):
            raise ValueError(self.message(self.key, value))
        return self.kind(value)

    def _number(self, value: Any) -> float:
        text = str(value).strip().lower()
        match = re.fullmatch(r"([-+]?[0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?) ?([a-z]*)", text)
        if isinstance(value, bool) or match is None or match[2] not in (self.units or {"": 1}):
            raise ValueError(self.message(self.key, value))
        number = float(match[1]) * (self.units or {"": 1})[match[2]]
        if self.kind is float:
            return number
        if not number.is_integer() and self.units is None:
            raise ValueError(self.message(self.key, value))
        return int(number)
