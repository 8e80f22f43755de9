"""JSON objects of files that are not trusted."""

from __future__ import annotations

import json
from typing import Any


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object that `text` is.

    Raises ValueError where it is not JSON, is another kind of value, or is nested deeper than Python can read.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("expected a JSON object")
    return values
