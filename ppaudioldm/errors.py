"""Errors about files: one line that names the file and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class CheckpointError(ValueError):
    """A checkpoint cannot be used: one line that names the file and what is wrong with it."""

    def __str__(self) -> str:
        # File names and keys are untrusted: one with a line break must not spread the message over two lines.
        return " ".join(super().__str__().split())


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
