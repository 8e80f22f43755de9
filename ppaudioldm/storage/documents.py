"""Reads JSON and TOML of files that are not trusted: what cannot be read, or is nested too deeply, is a ValueError."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def json_value(text: str | bytes) -> Any:
    """The value that `text`, JSON, is."""
    return _parsed(json.loads, text)


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object that `text`, JSON, is; another kind of value is a ValueError."""
    values = json_value(text)
    if not isinstance(values, dict):
        raise ValueError("expected a JSON object")
    return values


def toml_table(text: str) -> dict[str, Any]:
    """The table that `text`, a TOML document, is."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # of the extras that read TOML
    return _parsed(tomllib.loads, text)


def _parsed(parse: Callable[[Any], Any], text: str | bytes) -> Any:
    try:
        return parse(text)
    except RecursionError as error:  # deeper than Python can read
        raise ValueError("nested too deeply") from error
