from __future__ import annotations

import pytest

from ppaudioldm.storage.documents import json_object, json_value, toml_table

DEEP = "[" * 100_000


def test_values():
    assert json_value("[1, null]") == [1, None]
    assert json_object(b'{"a": {}}') == {"a": {}}
    assert toml_table("[a]\nb = 1") == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (json_value, "{", "line 1 column 2"),
        (json_value, b"\xff", "utf-8"),
        (json_value, DEEP, "nested too deeply"),
        (json_object, '{"a":' * 100_000, "nested too deeply"),
        (json_object, "[]", "expected a JSON object"),
        (json_object, "null", "expected a JSON object"),
        (toml_table, "a", "end of document"),
        (toml_table, f"a = {DEEP}", "nested"),
    ],
)
def test_what_cannot_be_read(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)
