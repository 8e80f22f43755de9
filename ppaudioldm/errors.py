"""Errors about files: one line that names the file and what is wrong with it."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

MOST_CHARACTERS = 2000  # of a message

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


class CheckpointError(ValueError):
    """A checkpoint cannot be used: one line that names the file and what is wrong with it."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(message: object) -> str:
    """`message` in one line of printable characters: names from files may hold line breaks, or control a terminal."""
    text = " ".join(str(message).splitlines()) or type(message).__name__
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def quoted(value: object) -> str:
    """`value` as `repr` shows it, shortened where it is long: a text of megabytes may stand where a name belongs."""
    return _SHORT.repr(value)


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Turn a ValueError, TypeError or OSError of the block into a CheckpointError that names the file `path`."""
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def shown(value: object) -> str:
    """A name from a file, for an error message: quoted, escaped, and shortened to about 100 characters."""
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return repr(value if len(value) <= 100 else value[:97] + "...")
