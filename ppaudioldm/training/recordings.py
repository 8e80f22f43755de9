"""A dataset of the user's own recordings with captions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.excerpt import count_samples, read_excerpt
from ppaudioldm.audio.formats import MEDIA_EXTENSIONS
from ppaudioldm.audio.read import sound_file
from ppaudioldm.errors import CheckpointError, naming, one_line, shown
from ppaudioldm.storage.documents import json_value
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.training.dataset import CaptionedClip, seeded_rng

LISTS = ("metadata.jsonl", "metadata.csv")  # in a folder, as Hugging Face's audio folders have them
AUDIO = (".wav", ".flac", ".ogg", ".mp3", *MEDIA_EXTENSIONS)
FILE_COLUMNS = ("file", "file_name", "audio", "path")
CAPTION_COLUMNS = ("caption", "text")
LIST_BYTES_LIMIT = 256 << 20
CAPTION_BYTES_LIMIT = 1 << 20
SAMPLE_RATE = 16000  # Hz, of the clips; other recordings are resampled
HELD_OUT_EVERY = 20  # one recording in so many is held out
MAX_SECONDS = 600.0  # of a recording that are used


@dataclass(frozen=True)
class Recordings:
    """Random crops of random recordings; recordings shorter than `duration` are padded with silence."""

    entries: tuple[tuple[str, str], ...]  # path, caption
    duration: float  # seconds
    kept: tuple[tuple[str, str], ...] = ()  # held out from training
    seed: int = 0

    def __call__(self, number: int) -> CaptionedClip:
        """Raises CheckpointError that names the recording if it cannot be read or holds values that are not finite."""
        generator = seeded_rng(self.seed, number)
        path, caption = self.entries[int(generator.integers(len(self.entries)))]
        samples = round(self.duration * SAMPLE_RATE)
        with naming(path):
            length = count_samples(path, SAMPLE_RATE, MAX_SECONDS)
            start = int(generator.integers(0, max(0, length - samples) + 1))
            piece = read_excerpt(path, SAMPLE_RATE, start, min(samples, length - start))
        return CaptionedClip(np.pad(piece, (0, samples - len(piece))), caption)

    def held_out(self) -> Recordings:
        """The held-out recordings; with fewer than HELD_OUT_EVERY, the same ones that are trained on."""
        return replace(self, entries=self.kept or self.entries)


def read_recordings(path: str | Path, duration: float) -> Recordings:
    """The recordings of a list (.csv or .jsonl with columns `file` and `caption`) or of a folder.

    A folder holds metadata.jsonl or metadata.csv, or beside each recording a NAME.txt with its caption. Paths in a list
    are relative to it. Raises CheckpointError that names the first entry that cannot be used, and their number.
    """
    path = Path(path)
    with naming(path):
        listed = list(_entries(path))
        if not listed:
            raise ValueError(
                f"no recordings with captions, expected a list, {' or '.join(LISTS)}, or a .txt beside each"
            )
        problems = [(where, problem) for where, file, caption in listed if (problem := _problem(file, caption))]
        if problems:
            where, problem = problems[0]
            more = f" ({len(problems)} of {len(listed)} entries cannot be used)" if len(problems) > 1 else ""
            raise ValueError(f"{where}: {problem}{more}")
    entries = tuple((str(file), caption.strip()) for _, file, caption in listed)
    if len(entries) < HELD_OUT_EVERY:
        return Recordings(entries, duration)
    trained = tuple(entry for index, entry in enumerate(entries) if index % HELD_OUT_EVERY)
    return Recordings(trained, duration, entries[::HELD_OUT_EVERY])


def _entries(path: Path) -> Iterator[tuple[str, Path, str]]:
    """For each entry its line or file, its recording and its caption."""
    if path.is_dir():
        for name in LISTS:
            if (path / name).is_file():
                yield from _entries(path / name)
                return
        for file in sorted(path.iterdir()):
            beside = file.with_suffix(".txt")
            if file.suffix.lower() in AUDIO and beside.is_file():
                yield beside.name, file, read_bounded(beside, CAPTION_BYTES_LIMIT).decode()
        return
    text = read_bounded(path, LIST_BYTES_LIMIT).decode("utf-8-sig")
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield (where := f"line {number}"), *_columns(_json(line, where), path.parent, where)
    elif path.suffix == ".csv":
        for where, row in _rows(text):
            yield where, *_columns(row, path.parent, where)
    else:
        raise ValueError("expected a folder, a .csv or a .jsonl list")


def _rows(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each row of a CSV its line, and its values by column."""
    # Line breaks as they are, for a quoted value may hold some; strict: an open quote would take all that follows.
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield f"line {reader.line_num}", row
    except csv.Error as error:
        raise ValueError(f"line {reader.reader.line_num}: not CSV: {one_line(error)}") from error


def _json(line: str, where: str) -> Any:
    try:
        return json_value(line)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON") from error


def _columns(row: Any, folder: Path, where: str) -> tuple[Path, str]:
    values = []
    for names in (FILE_COLUMNS, CAPTION_COLUMNS):
        value = next((row[name] for name in names if name in row), None) if isinstance(row, dict) else None
        if not isinstance(value, str):
            raise ValueError(f"{where}: no column {names[0]!r}")
        values.append(value)
    return folder / values[0], values[1]


def _problem(file: Path, caption: str) -> str:
    """The problem with an entry, "" if it can be used."""
    if not caption.strip():
        return "the caption is empty"
    if not file.is_file():
        return f"no such file: {shown(str(file))}"
    try:
        with sound_file(file):
            return ""
    except (ValueError, OSError, CheckpointError) as error:
        return f"{shown(str(file))}: {error}"
