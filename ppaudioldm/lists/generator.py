"""Generating the items of a list with a pipeline: their files, and their records for the manifest."""

from __future__ import annotations

import dataclasses
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppaudioldm.generation.options import Progress
from ppaudioldm.lists.plan import Item
from ppaudioldm.lists.write import OutputOptions, write_clip

if TYPE_CHECKING:
    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.pipeline import AudioLDM

logger = logging.getLogger(__name__)


class ItemGenerator:
    """Generates items and writes their files. checkpoint: its name, for the manifest.

    place: maps the name of a file to where it is written for now.
    """

    def __init__(
        self,
        pipeline: AudioLDM,
        place: Callable[[str], Path],
        checkpoint: str,
        output: OutputOptions,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._place = place
        self._checkpoint = checkpoint
        self._output = output
        self._progress = progress

    def outcomes(self, items: Sequence[Item]) -> Iterator[tuple[Item, dict[str, Any] | str]]:
        """Generate `items`, of equal options, in one batch, and if that fails, each alone; yields each when written.

        Yields an item with its record for the manifest, or with why it could not be generated.
        """
        from ppaudioldm.generation.clip import Cancelled

        seeds = [secrets.randbelow(2**32) if item.seed is None else item.seed for item in items]
        try:
            clip = self._pipeline.generate(
                [item.line.prompt for item in items],
                seed=seeds,
                keep_candidates=self._output.all_candidates,
                with_scores=self._pipeline.config.ranks,
                progress=self._progress,
                options=items[0].options,
            )
        except (Cancelled, OSError):
            raise
        except Exception as error:  # whatever it is, the other lines of a long list must not be lost
            if len(items) == 1:
                logger.debug("line %d", items[0].line.number, exc_info=True)
                yield items[0], f"{type(error).__name__}: {error}"
                return
            for item in items:
                yield from self.outcomes([item])
            return
        for index, (item, seed) in enumerate(zip(items, seeds, strict=True)):
            if np.isfinite(clip.waveforms[index]).all():
                yield item, self._write(item, clip, index, seed)
            else:
                yield item, "the networks computed samples that are not finite"

    def _write(self, item: Item, clip: Clip, index: int, seed: int) -> dict[str, Any]:
        """Write the files; returns the record."""
        written = write_clip(Path(item.file), clip, self._output, seed, index, lambda path: self._place(path.name))
        files = [written["file"], *([written["spectrogram"]] if self._output.spectrogram else [])]
        files += [candidate["file"] for candidate in written.get("candidates", ())]
        settings = dataclasses.asdict(self._pipeline.with_defaults(item.options))
        if item.options.duration is None:
            seconds = written["samples"] / written["sample_rate"]
            settings["duration"] = self._pipeline.default_duration if item.options.trim else seconds
        record = {
            "line": item.line.number,
            "key": item.key,
            **{name: value for name, value in written.items() if name not in ("spectrogram", "candidates")},
            "files": files,
            "checkpoint": self._checkpoint,
            "settings": settings,
        }
        if "candidates" in written:
            record["candidates"] = written["candidates"]
        if self._output.loudness is not None:
            record["loudness"] = self._output.loudness
        return record
