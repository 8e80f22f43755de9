"""A cache on disk of what the joint stage is trained on: latents, LOA tokens and caption of each clip."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ppaudioldm.errors import naming

CAPTION_BYTES = 400
PRESENT = "is_there"  # the field that is 1 in encoded rows; its name is part of the file format
BLOCK_BYTES = 1 << 20  # written at once
STATISTICS_CLIPS = 64  # from which mean and standard deviation of the latents are measured


@dataclass(frozen=True)
class Layout:
    """Shapes of the fields of a row. loa: () without AudioMAE."""

    latents: tuple[int, ...]
    loa: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        loa = [("loa", np.float16, self.loa)] if self.loa else []
        caption = ("caption", f"S{CAPTION_BYTES}")
        return np.dtype([(PRESENT, np.uint8), ("latents", np.float16, self.latents), *loa, caption])


class EncodedClips:
    """Rows of `Layout` by the index of a clip, each computed when it is first read.

    encode(indices) returns the fields of these clips, without PRESENT. The file is named by a hash of `source`, on
    which its values depend, and grows with `count`. One process writes at a time; it may be killed at any moment.
    Raises CheckpointError if the disk has no room for all rows.
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

    def __getitem__(self, indices: Sequence[int]) -> np.ndarray:
        """The rows of `indices`, a structured array."""
        missing = sorted({int(n) for n in indices if not self._rows[PRESENT][n]})
        if missing:
            for name, values in self._encode(missing).items():
                self._rows[name][missing] = values
            self._rows[PRESENT][missing] = 1
        return np.array(self._rows[np.asarray(indices)])

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each latent channel, rounded to three digits: the same on every machine."""
        indices = range(min(STATISTICS_CLIPS, len(self)))
        latents = np.concatenate([self[[n]]["latents"] for n in indices]).astype(np.float64)
        return latents.mean((0, 2, 3)).round(3), latents.std((0, 2, 3)).round(3)


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
