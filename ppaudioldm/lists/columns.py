"""The columns of a list of prompts: those of every setting, the preset and the seed. Imports no NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import Setting, settings
from ppaudioldm.generation.prompt_schedule import Cue, parsed_cue, parsed_cues

TRUE, FALSE = ("yes", "true", "1", "x"), ("no", "false", "0")  # in tables; case does not count
LEFT_OUT = ("batch_size",)  # of the settings: it belongs to a run, not to a sound

Parse = Callable[[str, Any], Any]  # (column, value of a CSV or JSON line) -> value of the keyword


def columns() -> dict[str, tuple[str, Parse]]:
    """Column -> keyword of `AudioLDM.generate`, and how its value is read."""
    found: dict[str, tuple[str, Parse]] = {"seed": ("seed", _whole), "preset": ("preset", _text)}
    for name, setting in settings().items():
        if name not in LEFT_OUT:
            for column in (*setting.aliases, name):
                found[column] = (name, _parser_of(setting))
    return found


def column_names() -> list[str]:
    """The columns that `--help` lists: the shortest name of each."""
    named = {keyword: column for column, (keyword, _) in reversed(list(columns().items()))}
    return ["prompt", "name", *reversed(list(named.values()))]


def _parser_of(setting: Setting) -> Parse:
    kinds: dict[Any, Parse] = {
        str: _text,
        float: _number,
        int: _whole,
        bool: _flag,
        tuple: _interval,
        Cue: _cues,
        list: _texts,
    }
    return kinds[setting.kind]


def _text(column: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{column} is {quoted(value)}, expected a text")
    return value


def _texts(column: str, value: Any) -> str | list[str]:
    """One text, which may hold several with ";" between them, or a JSON list of texts."""
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    return _text(column, value)


def _flag(column: str, value: Any) -> bool:
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text not in TRUE + FALSE:
        raise ValueError(f"{column} is {_shortened(value)}, expected yes or no")
    return text in TRUE


def _number(column: str, value: Any) -> float:
    try:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{column} is {_shortened(value)}, expected a number")


def _whole(column: str, value: Any) -> int:
    try:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return int(value) if not isinstance(value, float) and _is_digits(value) else _exact(float(value))
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{column} is {_shortened(value)}, expected a whole number")


def _is_digits(value: str | int) -> bool:
    return isinstance(value, int) or "." not in value


def _exact(value: float) -> int:
    """2.0 as 2. Raises ValueError for 2.5."""
    if value != int(value):
        raise ValueError
    return int(value)


def _interval(column: str, value: Any) -> tuple[float, float]:
    """START:END, or a JSON list of two numbers."""
    pair = value.split(":") if isinstance(value, str) else value
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"{column} is {_shortened(value)}, expected START:END")
    return _number(column, pair[0]), _number(column, pair[1])


def _cues(column: str, value: Any) -> list[Any]:
    """SECONDS:PROMPT, several with a "|" or a line break between them, or a JSON list of these or of pairs."""
    try:
        if isinstance(value, list):
            return [parsed_cue(item) if isinstance(item, str) else item for item in value]
        return list(parsed_cues(_text(column, value)))
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
