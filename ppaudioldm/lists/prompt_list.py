"""Reading lists of prompts: lines of text, CSV or JSON lines. A bad line does not affect the others."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ppaudioldm.generation.options import check_texts
from ppaudioldm.lists.columns import columns

MAX_LINE = 1 << 20  # bytes; a prompt may have 100,000 characters
MAX_LIST = 1 << 28  # bytes that are kept of all lines
MAX_LINES = 1_000_000
JSON_EXTENSIONS = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Line:
    """One sound to generate. number: of its line in the list, from 1. settings: keywords of `AudioLDM.generate`."""

    number: int
    prompt: str
    name: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PromptList:
    """`lines` in order. bad: line number -> what is wrong with it. unused: columns that mean nothing here."""

    lines: list[Line]
    bad: dict[int, str]
    unused: tuple[str, ...] = ()


def read_list(path: str | os.PathLike[str]) -> PromptList:
    """The list `path`: .csv with a header, .jsonl, or else a prompt a line, which may end in "|" and a file name.

    The columns and keys are `prompt`, `name` and those of `columns`, empty where the default is to be used; empty lines
    are skipped. The encoding is UTF-8.
    Raises ValueError for a file that is not a list or too long, OSError for one that cannot be read.
    """
    path = Path(path)
    if not stat.S_ISREG(os.stat(path).st_mode) and not path.is_dir():
        raise ValueError(f"{path} is a device or pipe, expected a list of prompts")
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path} is UTF-16, expected UTF-8")
        file.seek(0)
        return _parsed(path, file)


def _parsed(path: Path, file: BinaryIO) -> PromptList:
    parse: Callable[[str], dict[str, Any]] | None = _text
    if path.suffix.lower() in JSON_EXTENSIONS:
        parse = _json
    elif path.suffix.lower() == ".csv":
        parse = None  # until there is a header
    lines: list[Line] = []
    bad: dict[int, str] = {}
    unused: dict[str, None] = {}
    kept = 0
    for number, raw in _lines(file):
        kept += len(raw or b"")
        if number > MAX_LINES or kept > MAX_LIST:
            raise ValueError(f"{path} is too long, allowed: {MAX_LINES} lines, {MAX_LIST >> 20} MB")
        try:
            text = _decoded(raw, first=number == 1)
            if not text.strip():
                continue
            if parse is None:
                parse = _csv(path, text)
                continue
            line, others = _line(number, parse(text))
            unused |= dict.fromkeys(others)
            lines.append(line)
        except ValueError as error:
            if parse is None:
                raise ValueError(f"{path}, line {number}: {error}") from error
            bad[number] = str(error)
    if not lines and not bad:
        raise ValueError(f"{path} holds no prompts")
    return PromptList(lines, bad, tuple(unused))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Number and content of each line, None for one that is too long."""
    number = 0
    while raw := file.readline(MAX_LINE):
        number += 1
        is_whole = raw.endswith(b"\n") or len(raw) < MAX_LINE
        while not is_whole:
            rest = file.readline(MAX_LINE)
            is_whole = rest.endswith(b"\n") or not rest
        yield number, raw if raw.endswith(b"\n") or len(raw) < MAX_LINE else None


def _decoded(raw: bytes | None, first: bool) -> str:
    if raw is None:
        raise ValueError(f"longer than {MAX_LINE >> 20} MB")
    if b"\0" in raw:
        raise ValueError("holds a NUL byte")
    try:
        return raw.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error


# ---- Forms of a line: its values by column


def _text(line: str) -> dict[str, Any]:
    prompt, bar, name = line.rpartition("|")
    return {"prompt": prompt, "name": name} if bar else {"prompt": line}


def _json(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{line[:40]!r} is not a JSON object")
    return values


def _csv(path: Path, header: str) -> Callable[[str], dict[str, Any]]:
    """A parser of the rows below `header`. Values must not contain line breaks."""
    delimiter = max(",;\t", key=header.count)
    columns = [column.strip().lower() for column in _row(header, delimiter)]
    if "prompt" not in columns:
        raise ValueError(f"no column is called prompt, only {', '.join(columns)[:200]}")

    def parse(line: str) -> dict[str, Any]:
        row = _row(line, delimiter)
        if len(row) > len(columns):
            raise ValueError(f"{len(row)} values for {len(columns)} columns: quote a value that holds {delimiter!r}")
        return {column: value for column, value in zip(columns, row, strict=False) if value.strip()}

    return parse


def _row(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


# ---- Values


def _line(number: int, values: dict[str, Any]) -> tuple[Line, list[str]]:
    """The line with these values, and the columns that mean nothing here."""
    known = columns()
    settings, others = {}, []
    for column, value in values.items():
        if column in known and value is not None:
            keyword, parse = known[column]
            settings[keyword] = parse(column, value)
        elif column not in ("prompt", "name") and column not in known:
            others.append(column)
    (prompt,) = check_texts([values.get("prompt", "")])
    name = values.get("name")
    return Line(number, prompt.strip(), None if name in (None, "") else str(name), settings), others
