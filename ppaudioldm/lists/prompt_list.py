"""Reading lists of prompts: lines of text, tables or JSON. A bad line does not affect the others."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ppaudioldm.errors import one_line
from ppaudioldm.generation.options import check_texts
from ppaudioldm.generation.prompt_schedule import checked_cues, split_first
from ppaudioldm.lists.columns import columns
from ppaudioldm.storage.regular import is_device_or_pipe

MAX_LINE = 1 << 20  # bytes; a prompt may have 100,000 characters
MAX_LIST = 1 << 28  # bytes that are kept of all lines
MAX_LINES = 1_000_000
MAX_BREAKS = 1000  # line breaks in a quoted value
MAX_OPEN_QUOTES = 100  # rows whose end is looked for in vain
JSON_LINES = (".jsonl", ".ndjson")
LISTS = (".txt", ".csv", ".tsv", ".json", *JSON_LINES)
# What people keep lists in, too; any other extension is read as text.
NOT_LISTS = (
    ".xlsx",
    ".xls",
    ".ods",
    ".numbers",
    ".yaml",
    ".yml",
    ".toml",
    ".xml",
    ".html",
    ".parquet",
    ".docx",
    ".pdf",
)


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
    """The list `path`: .csv or .tsv with a header, .json, .jsonl, or else a prompt a line: `prompt` or `prompt|name`.

    The columns and keys are `prompt`, `name` and those of `columns`, empty where the default is to be used; empty lines
    are skipped. A .json file is an array of objects or prompts. The encoding is UTF-8.
    Raises ValueError for a file that is not a list or too long, OSError for one that cannot be read.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension in NOT_LISTS:
        raise ValueError(f"{path} is a {extension} file, allowed: {', '.join(LISTS)}")
    if is_device_or_pipe(path):
        raise ValueError(f"{path} is a device or pipe, expected a list of prompts")
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path} is UTF-16, expected UTF-8")
        file.seek(0)
        lines = _Lines(path, file)
        if extension == ".json":
            return _collected(path, _json_array(path, file))
        if extension in (".csv", ".tsv"):
            return _collected(path, _table(path, lines, "\t" if extension == ".tsv" else None))
        return _collected(path, _one_a_line(lines, _json if extension in JSON_LINES else _text))


Record = tuple[int, "dict[str, Any] | ValueError"]  # number of its line, and its values by column or what is wrong


def _collected(path: Path, records: Iterator[Record]) -> PromptList:
    lines: list[Line] = []
    bad: dict[int, str] = {}
    unused: dict[str, None] = {}
    for number, values in records:
        try:
            if isinstance(values, ValueError):
                raise values
            line, others = _line(number, values)
            unused |= dict.fromkeys(others)
            lines.append(line)
        except ValueError as error:
            bad[number] = str(error)
    if not lines and not bad:
        raise ValueError(f"{path} holds no prompts")
    return PromptList(lines, bad, tuple(unused))


class _Lines:
    """The lines of a file as (number, text), where text is a ValueError for a bad one; lines can be put back."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._number = self._size = 0
        self.open_quotes = 0  # rows so far whose quote had no end
        self._waiting: deque[tuple[int, str | ValueError]] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, str | ValueError]:
        if self._waiting:
            return self._waiting.popleft()
        raw = self._read()
        self._number += 1
        self._size += len(raw or b"")
        if self._number > MAX_LINES or self._size > MAX_LIST:
            raise ValueError(f"{self._path} is too long, allowed: {MAX_LINES} lines, {MAX_LIST >> 20} MB")
        try:
            return self._number, _decoded(raw, first=self._number == 1)
        except ValueError as error:
            return self._number, error

    def put_back(self, lines: list[tuple[int, str | ValueError]]) -> None:
        self._waiting.extendleft(reversed(lines))

    def _read(self) -> bytes | None:
        """The next line, None for one that is too long."""
        raw = self._file.readline(MAX_LINE)
        if not raw:
            raise StopIteration
        is_whole = raw.endswith(b"\n") or len(raw) < MAX_LINE
        while not is_whole:
            rest = self._file.readline(MAX_LINE)
            is_whole = rest.endswith(b"\n") or not rest
        return raw if raw.endswith(b"\n") or len(raw) < MAX_LINE else None


def _decoded(raw: bytes | None, first: bool) -> str:
    if raw is None:
        raise ValueError(f"longer than {MAX_LINE >> 20} MB")
    if b"\0" in raw:
        raise ValueError("holds a NUL byte")
    try:
        return raw.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error


# ---- A record a line


def _one_a_line(lines: _Lines, parse: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    for number, text in lines:
        if isinstance(text, ValueError):
            yield number, text
        elif text.strip():
            try:
                yield number, parse(text)
            except ValueError as error:
                yield number, error


def _text(line: str) -> dict[str, Any]:
    prompt, bar, name = line.rpartition("|")
    return {"prompt": prompt, "name": name} if bar else {"prompt": line}


def _json(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    return _json_object(values, line[:40])


def _json_object(values: Any, shown: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{shown!r} is not a JSON object")
    return values


def _json_array(path: Path, file: BinaryIO) -> Iterator[Record]:
    """Numbered from 1; a text is a prompt."""
    content = file.read(MAX_LIST + 1)
    if len(content) > MAX_LIST:
        raise ValueError(f"{path} is too long, allowed: {MAX_LIST >> 20} MB")
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, list):
        raise ValueError(f"{path} is not a JSON array, expected objects or prompts")
    if len(values) > MAX_LINES:
        raise ValueError(f"{path} is too long, allowed: {MAX_LINES} items")
    for number, value in enumerate(values, 1):
        try:
            yield number, {"prompt": value} if isinstance(value, str) else _json_object(value, str(value)[:40])
        except ValueError as error:
            yield number, error


# ---- Tables


def _table(path: Path, lines: _Lines, delimiter: str | None) -> Iterator[Record]:
    """The rows below a header; a quoted value may contain line breaks. delimiter: None to find it in the header."""
    columns: list[str] = []
    for number, text in lines:
        try:
            if isinstance(text, ValueError):
                raise text
            if not text.strip():
                continue
            if not columns:
                delimiter = delimiter or max(",;\t", key=text.count)
                columns = _header(text, delimiter)
                continue
            assert delimiter is not None
            row = _row(text, delimiter, lines)
            if len(row) > len(columns):
                message = f"{len(row)} values for {len(columns)} columns: quote a value that holds {delimiter!r}"
                raise ValueError(message)
            yield number, dict(zip(columns, row, strict=False))
        except ValueError as error:
            if not columns:
                raise ValueError(f"{path}, line {number}: {error}") from error
            yield number, error


def _header(text: str, delimiter: str) -> list[str]:
    columns = [column.strip().lower() for column in _parsed_row([text], delimiter)]
    if "prompt" not in columns:
        raise ValueError(f"no column is called prompt, only {one_line(', '.join(columns)[:200])}")
    return columns


def _row(text: str, delimiter: str, lines: _Lines) -> list[str]:
    """The values of the row that begins with the line `text`, and continues on the next ones while a quote is open.

    Raises ValueError for what is not CSV; the lines behind the first are then read as rows of their own.
    """
    following: list[tuple[int, str | ValueError]] = []

    def continued() -> Iterator[str]:
        yield f"{text}\n"
        size = len(text)
        # Bounded, so that a list full of open quotes is not read again and again.
        while len(following) < MAX_BREAKS and lines.open_quotes < MAX_OPEN_QUOTES:
            line = next(lines, None)
            if line is None:
                return
            following.append(line)
            size += len(line[1]) if isinstance(line[1], str) else MAX_LINE
            if isinstance(line[1], ValueError) or size > MAX_LINE:
                return
            yield f"{line[1]}\n"

    try:
        return _parsed_row(continued(), delimiter)
    except ValueError:
        lines.open_quotes += bool(following)
        lines.put_back(following)
        raise


def _parsed_row(lines: Iterable[str], delimiter: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"not CSV: {one_line(error)}") from error


# ---- Values


def _line(number: int, values: dict[str, Any]) -> tuple[Line, list[str]]:
    """The line with these values, and the columns that mean nothing here."""
    known = columns()
    settings, others = {}, []
    for column, value in values.items():
        if _is_blank(value):
            continue
        if column in known:
            keyword, parse = known[column]
            settings[keyword] = parse(column, value)
        elif column not in ("prompt", "name"):
            others.append(column)
    prompt = values.get("prompt", "")
    if _is_blank(prompt) and settings.get("prompt_schedule"):
        prompt, settings["prompt_schedule"] = split_first(None, checked_cues(settings["prompt_schedule"]))
    (prompt,) = check_texts([prompt])
    name = values.get("name")
    return Line(number, prompt.strip(), None if _is_blank(name) else str(name), settings), others


def _is_blank(value: Any) -> bool:
    """Whether a value is absent: empty in a table, null or an empty text in JSON."""
    return value is None or (isinstance(value, str) and not value.strip())
