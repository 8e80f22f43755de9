"""Clips as the diffusion is trained on them, encoded once and kept on disk."""

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
BLOCK = 1 << 20  # bytes written at once
STATISTICS_CLIPS = 64  # from which the latents' mean and deviation are measured


@dataclass(frozen=True)
class Layout:
    """What is kept of a clip. loa: its shape, or () where there is no AudioMAE yet."""

    latents: tuple[int, ...]
    loa: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        loa = [("loa", np.float16, self.loa)] if self.loa else []
        caption = ("caption", f"S{CAPTION_BYTES}")
        return np.dtype([("is_there", np.uint8), ("latents", np.float16, self.latents), *loa, caption])


class EncodedClips:
    """Rows of `Layout` by the number of a clip, each computed when it is first asked for.

    encode(numbers) gives the fields of these clips but `is_there`. The file is named after `source`, which says what
    its values depend on, and grows with `count`. One process writes at a time; it may be killed at any moment. Raises
    CheckpointError if there is no room for all.
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
        """The rows of `numbers`, a structured array."""
        missing = sorted({int(n) for n in numbers if not self._rows["is_there"][n]})
        if missing:
            for name, values in self._encode(missing).items():
                self._rows[name][missing] = values
            self._rows["is_there"][missing] = 1
        return np.array(self._rows[np.asarray(numbers)])

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each latent channel, to three digits, so that they are the same on every machine."""
        numbers = range(min(STATISTICS_CLIPS, len(self)))
        latents = np.concatenate([self[[n]]["latents"] for n in numbers]).astype(np.float64)
        return latents.mean((0, 2, 3)).round(3), latents.std((0, 2, 3)).round(3)


def _reserve(file: BinaryIO, size: int) -> None:
    """Make `file` `size` bytes long at least, on the disk: a mapped file that finds it full later ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    missing = size - os.fstat(file.fileno()).st_size
    for start in range(0, missing, BLOCK):
        file.write(bytes(min(BLOCK, missing - start)))


def captions_of(rows: np.ndarray) -> list[str]:
    return [bytes(caption).decode("utf-8", "ignore") for caption in rows["caption"]]


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """Changes when any of `arrays` does."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
