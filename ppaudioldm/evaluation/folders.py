"""Folders of sound files, laid out as for fadtk, frechet-audio-distance and audioldm_eval: one file a clip."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ppaudioldm.audio.formats import MEDIA_EXTENSIONS
from ppaudioldm.audio.read import read_audio
from ppaudioldm.lists.prompt_list import read_list

EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aif", ".aiff", *MEDIA_EXTENSIONS)
SAMPLE_RATE = 16000  # Hz, at which sounds are compared
MAX_SECONDS = 30.0  # of a file that are evaluated


def sound_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The sound files directly in `folder`, sorted by name. Raises ValueError or OSError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))
    if not files:
        raise ValueError(f"{folder} holds no sound files: {', '.join(EXTENSIONS)}")
    return files


def read_clip(path: Path) -> np.ndarray:
    """The start of `path`, (samples,) float32, mono at SAMPLE_RATE. Raises ValueError or OSError that names it."""
    with naming_clip(path):
        return read_audio(path, SAMPLE_RATE, max_seconds=MAX_SECONDS)[0]


def read_channels(path: Path) -> tuple[np.ndarray, int]:
    """The start of `path` as it is: (samples, channels) float32, and the rate in Hz. Raises as `read_clip`."""
    with naming_clip(path):
        return read_audio(path, mono=False, max_seconds=MAX_SECONDS)


@contextlib.contextmanager
def naming_clip(path: Path) -> Iterator[None]:
    """Have a ValueError of the block name the file `path`."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error


def pairs_by_name(files: Sequence[Path], others: Sequence[Path]) -> list[tuple[int, int]]:
    """Index pairs of `files` and `others` with the same name, not counting the extension."""
    indices = {path.stem: index for index, path in enumerate(others)}
    return [(index, indices[path.stem]) for index, path in enumerate(files) if path.stem in indices]


def prompts_of(path: str | os.PathLike[str], files: Sequence[Path]) -> list[str]:
    """The prompt of each of `files`, from a list with the columns prompt and name, as `generate --list` takes it.

    A name is that of the file, with or without extension. Raises ValueError or OSError for a list with a bad line, or
    without one of the files.
    """
    listed = read_list(path)
    if listed.bad:
        number, message = next(iter(listed.bad.items()))
        raise ValueError(f"{path}, line {number}: {message}")
    prompt_of: Mapping[str, str] = {line.name: line.prompt for line in listed.lines if line.name}
    prompts = []
    for file in files:
        prompt = prompt_of.get(file.name, prompt_of.get(file.stem))
        if prompt is None:
            raise ValueError(f"{path} has no line with the name {file.name}")
        prompts.append(prompt)
    return prompts
