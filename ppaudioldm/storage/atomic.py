"""Atomic writing: files and folders that appear complete or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an unused path beside `path` where the block writes a file or folder; rename that to `path` at the end.

    When the block raises anything, what it wrote is removed and what stood at `path` before stays. An existing folder
    is replaced as a whole. Nothing is synced to the disk. Raises FileNotFoundError if the block wrote nothing.
    """
    path = Path(path)
    temporary = beside(path)
    try:
        yield temporary
        _replace(temporary, path, temporary.with_stem(f"{temporary.stem}-old"))
    except BaseException:
        _remove(temporary)
        raise


def beside(path: Path) -> Path:
    """A hidden path in the folder of `path` at which nothing exists."""
    # The suffix stays at the end: some libraries choose a format by it. Names may have 255 bytes, not characters.
    suffix = path.suffix if len(path.suffix) <= 20 else ""
    return path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{suffix}")


def _replace(temporary: Path, path: Path, aside: Path) -> None:
    """Rename `temporary` to `path`; an existing folder is kept at `aside` until that has succeeded."""
    # A folder cannot be renamed onto one that holds files.
    if not (path.is_dir() and temporary.is_dir()):
        os.replace(temporary, path)
        return
    os.replace(path, aside)
    try:
        os.replace(temporary, path)
    except BaseException:
        os.replace(aside, path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
