"""A cache on disk of what the joint stage is trained on: latents, LOA tokens, caption and phonemes of each clip."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ppaudioldm.errors import naming

CAPTION_BYTES = 400
PRESENT = "is_there"  # the field that is not 0 in encoded rows; its name is part of the file format
BLOCK_BYTES = 1 << 20  # written at once
ENCODED_AT_ONCE = 64  # clips, which bounds the memory
LEAST_DEVIATION = 0.001  # of a channel that is the same everywhere
STATISTICS_CLIPS = 64  # from which mean and standard deviation of the latents are measured


@dataclass(frozen=True)
class Layout:
    """Shapes of the fields of a row. loa: () without AudioMAE. phonemes: the number of ids, 0 without any.

    phoneme_times: start and end of each id in seconds; not finite where they are not known.
    """

    latents: tuple[int, ...]
    loa: tuple[int, ...] = ()
    phonemes: int = 0

    @property
    def dtype(self) -> np.dtype:
        loa = [("loa", np.float16, self.loa)] if self.loa else []
        caption = ("caption", f"S{CAPTION_BYTES}")
        ids = ("phonemes", np.uint8, (self.phonemes,))
        times = ("phoneme_times", np.float16, (self.phonemes, 2))
        phonemes = [ids, times] if self.phonemes else []
        return np.dtype([(PRESENT, np.uint8), ("latents", np.float16, self.latents), *loa, caption, *phonemes])


class EncodedClips:
    """Rows of `Layout` by the number of a clip, each computed when it is first read.

    There is room for `count` clips. Clip number `count` takes the row of clip 0, and so on: of clips that are replaced
    over time, the file has the newest. encode(numbers) returns the fields of these clips, without PRESENT. The file is
    named by a hash of `source`, on which its values depend, and grows with `count`. One process writes at a time; it
    may be killed at any moment. Raises CheckpointError if the disk has no room for all rows.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        layout: Layout,
        source: Mapping[str, Any],
        encode: Callable[[Sequence[int]], Mapping[str, Any]],
    ) -> None:
        facts = json.dumps({**source, "layout": str(layout.dtype)}, sort_keys=True)
        path = folder / f"encoded-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.bin"
        folder.mkdir(parents=True, exist_ok=True)
        with naming(path), open(path, "ab") as file:
            _reserve(file, count * layout.dtype.itemsize)
        self._rows = np.memmap(path, layout.dtype, "r+", shape=(count,))
        self._encode = encode

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, numbers: Sequence[int]) -> np.ndarray:
        """The rows of the clips `numbers`, a structured array; no two may share a row."""
        self.add(numbers)
        return np.array(self._rows[np.asarray(numbers) % len(self)])

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those of the clips `numbers` that are not in the file, in order."""
        present = self._rows[PRESENT]
        return sorted({int(n) for n in numbers if present[n % len(self)] != self._mark(n)})

    def add(self, numbers: Iterable[int]) -> None:
        """Encode those of the clips `numbers` that are missing."""
        missing = self.missing(numbers)
        for start in range(0, len(missing), ENCODED_AT_ONCE):
            added = missing[start : start + ENCODED_AT_ONCE]
            rows = [n % len(self) for n in added]
            self._rows[PRESENT][rows] = 0
            for name, values in self._encode(added).items():
                self._rows[name][rows] = values
            self._rows[PRESENT][rows] = [self._mark(n) for n in added]

    def _mark(self, number: int) -> int:
        """The value of PRESENT in the row of this clip: how often the row has been used, from 1 to 255 and again."""
        return 1 + number // len(self) % 255

    def statistics(self, field: str = "latents") -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel of a field, rounded to three digits: the same on every machine.

        field: "latents" (clips, channels, T, bands) or "loa" (clips, tokens, channels).
        """
        indices = range(min(STATISTICS_CLIPS, len(self)))
        values = np.concatenate([self[[n]][field] for n in indices]).astype(np.float64)
        others = (0, 2, 3) if field == "latents" else (0, 1)
        return values.mean(others).round(3), np.maximum(values.std(others), LEAST_DEVIATION).round(3)


def _reserve(file: BinaryIO, size: int) -> None:
    """Allocate at least `size` bytes of disk to `file`: writing to a mapped file on a full disk ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    missing = size - os.fstat(file.fileno()).st_size
    for start in range(0, missing, BLOCK_BYTES):
        file.write(bytes(min(BLOCK_BYTES, missing - start)))


def decode_captions(rows: np.ndarray) -> list[str]:
    """The captions of `rows` of EncodedClips."""
    return [bytes(caption).decode("utf-8", "ignore") for caption in rows["caption"]]


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A hash of the names and values of `arrays`."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Window:
    """The clips that a batch is drawn from: the newest `size` of those so far.

    uses: how often each is drawn on average before it leaves the window; 0: always the first `size` clips.
    """

    size: int
    uses: float = 0.0

    FIRST = 8  # training begins with a share of 1 / FIRST of the clips

    def at(self, drawn: int) -> range:
        """The clips from which to draw after `drawn` draws."""
        if not self.uses:
            return range(self.size)
        end = max(1, self.size // self.FIRST) + int(drawn / self.uses)
        return range(max(0, end - self.size), end)
