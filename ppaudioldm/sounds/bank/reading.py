"""Reading the bank of recorded sounds: what its index says of each recording, and the samples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.storage.documents import json_object

SAMPLE_RATE = 16_000
INDEX = "index.json"
FORMAT = 1
LICENCES = ("CC0-1.0", "Public domain", "MIT", "CC-BY-3.0", "CC-BY-4.0")
SPLITS = ("train", "test")
_LONGEST_FILE_S = 900  # a kind's file; the longest has about two minutes


@dataclass(frozen=True)
class Recording:
    """A recorded sound or note.

    title, author, address: as its source names the original; address may be empty. pitch_hz: the measured pitch of a
    note, or None. onset_s: where its attack begins. loopable: a stretch of a steady sound, which may begin anywhere.
    split: "test" for a recording that is held out of training.
    """

    name: str
    kind: str
    source: str
    licence: str
    author: str
    title: str
    address: str
    duration_s: float
    pitch_hz: float | None
    onset_s: float
    loopable: bool
    split: str


class Bank:
    """The recordings of a folder with an index, by kind; samples are decoded a kind at a time and kept.

    Every kind has one file, and in it the recordings of the kind one after the other.
    """

    def __init__(self, folder: Path, recordings: dict[Recording, tuple[int, int]]) -> None:
        """recordings: where each one's samples begin and end in the file of its kind."""
        self.folder = folder
        self._places = recordings
        self._by_kind: dict[str, list[Recording]] = {}
        for recording in recordings:
            self._by_kind.setdefault(recording.kind, []).append(recording)
        self._decoded: dict[str, np.ndarray] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._by_kind)

    def recordings(self, kind: str, split: str | None = None) -> tuple[Recording, ...]:
        """The recordings of `kind`, those of the split "train" or "test", or all. Raises ValueError for other names."""
        if kind not in self._by_kind:
            raise ValueError(f"the bank has no recordings of {kind!r}; it has {', '.join(self.kinds)}")
        if split not in (None, *SPLITS):
            raise ValueError(f"split is {split!r}, not one of {', '.join(SPLITS)}")
        return tuple(one for one in self._by_kind[kind] if split in (None, one.split))

    def samples(self, recording: Recording) -> np.ndarray:
        """(samples,) float32 in [-1, 1] at 16 kHz, mono; read-only, because callers share it."""
        start, end = self._places[recording]
        return self._file(recording.kind)[start:end]

    def _file(self, kind: str) -> np.ndarray:
        if kind not in self._decoded:
            samples = _decode(self.folder / f"{kind}.ogg")
            longest = max(end for one, (_, end) in self._places.items() if one.kind == kind)
            if len(samples) < longest:
                raise ValueError(f"{self.folder / kind}.ogg has {len(samples)} samples, its index needs {longest}")
            self._decoded[kind] = samples
        return self._decoded[kind]


def default_folder() -> Path:
    """`assets/bank` of the checkout that this file is in."""
    return Path(__file__).parents[3] / "assets" / "bank"


def open_bank(folder: str | os.PathLike | None = None) -> Bank:
    """The bank in `folder`; without one that of PPAUDIOLDM_BANK, or else `assets/bank` of the checkout.

    Raises ValueError where there is none, or its index is damaged.
    """
    path = Path(folder or os.environ.get("PPAUDIOLDM_BANK") or default_folder())
    try:
        text = (path / INDEX).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"{path}: no bank of recorded sounds ({error.strerror}); the repository has one in assets/bank, "
            "PPAUDIOLDM_BANK names another, and `python -m ppaudioldm.sounds.bank` makes one"
        ) from error
    try:
        index = json_object(text)
        if index["format"] != FORMAT:
            raise ValueError(f"its format is {index['format']!r}, not {FORMAT}")
        recordings = dict(_entry(one) for one in index["recordings"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / INDEX}: not the index of a bank: {type(error).__name__}: {error}") from error
    return Bank(path, recordings)


def _entry(entry: dict[str, Any]) -> tuple[Recording, tuple[int, int]]:
    """A recording of the index, and where its samples are. Raises ValueError, KeyError or TypeError."""
    fields = dict(entry)
    start, length = fields.pop("start"), fields.pop("length")
    recording = Recording(duration_s=length / SAMPLE_RATE, **fields)
    # The kind is part of a file's name.
    if not recording.kind.isidentifier():
        raise ValueError(f"{recording.kind!r} is not the name of a kind")
    if recording.licence not in LICENCES or recording.split not in SPLITS:
        raise ValueError(f"{recording.name!r} has licence {recording.licence!r} and split {recording.split!r}")
    if not (isinstance(start, int) and isinstance(length, int) and start >= 0 and length > 0):
        raise ValueError(f"{recording.name!r} begins at sample {start!r} and has {length!r}")
    return recording, (start, start + length)


def _decode(path: Path) -> np.ndarray:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE, 1) or file.frames > _LONGEST_FILE_S * SAMPLE_RATE:
                raise ValueError(
                    f"{path}: {file.frames} samples at {file.samplerate} Hz in {file.channels} channels, not at most "
                    f"{_LONGEST_FILE_S} s at {SAMPLE_RATE} Hz in one"
                )
            samples = file.read(dtype="float32")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path}: cannot be decoded: {error}") from error
    samples = np.clip(samples, -1, 1)
    samples.flags.writeable = False
    return samples
