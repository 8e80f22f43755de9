import pytest

from ppaudioldm.errors import MOST_CHARACTERS, CheckpointError, one_line, quoted


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a  b\nc\td", r"a  b c\td"),
        ("\x1b[2Jx\0\u202ey", r"\x1b[2Jx\x00\u202ey"),
        ("\ud800", r"\ud800"),
        ("雨 🔔", "雨 🔔"),
        (ValueError(), "ValueError"),
        ("x" * 5000, "x" * (MOST_CHARACTERS - 3) + "..."),
    ],
)
def test_a_message_is_one_line_of_characters_that_do_not_control_a_terminal(message, shown):
    assert one_line(message) == shown
    assert str(CheckpointError(*([message] if isinstance(message, str) else []))) in (shown, "str")


@pytest.mark.parametrize("value", ["x" * 10**6, [["y" * 50]] * 10**6, 10**1000, {"a": {"b": ["c" * 500] * 50}}])
def test_a_long_value_is_shown_shortened(value):
    assert len(quoted(value)) < 700 and "..." in quoted(value)


def test_a_short_value_is_shown_as_it_is():
    assert [quoted(x) for x in ("a'b", 0.1, [1, 2], None, ("a",))] == ['"a\'b"', "0.1", "[1, 2]", "None", "('a',)"]
