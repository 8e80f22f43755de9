"""Writing the files of a clip: the sound, at a loudness if requested, its spectrogram, and all its candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.loudness import at_loudness, check_loudness
from ppaudioldm.audio.spectrogram import write_spectrogram
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.clip import Clip


@dataclass(frozen=True)
class OutputOptions:
    """Which files are written for a sound, and at which level.

    loudness: LUFS to bring every sound to, see `audio.loudness`; None leaves it as it is. spectrogram: name.png beside
    name.wav. all_candidates: besides name.wav, the best, every candidate as name_1.wav, name_2.wav, ...
    """

    loudness: float | None = None
    spectrogram: bool = False
    all_candidates: bool = False

    def check(self) -> None:
        """Raise ValueError for a loudness out of range."""
        if self.loudness is not None:
            check_loudness(self.loudness)

    def files(self, path: Path, candidates: int) -> list[Path]:
        """All files that `write_clip` writes for the sound `path`, itself first."""
        pictures = [path.with_suffix(".png")] if self.spectrogram else []
        count = candidates if self.all_candidates else 0
        return [path, *pictures, *(_candidate_path(path, i) for i in range(count))]


def write_clip(
    path: Path,
    clip: Clip,
    output: OutputOptions,
    first_seed: int,
    index: int = 0,
    place: Callable[[Path], Path] = lambda path: path,
) -> dict[str, Any]:
    """Write the sound number `index` of `clip` as `path`, with its further files; returns a report for JSON.

    first_seed: of its first candidate. place: maps the path of a file to where it is written for now. Each file appears
    complete or not at all. A candidate that is not finite is neither written nor in the report.
    Raises ValueError or OutputError as `Clip.save` does.
    """

    def write(target: Path, waveform: np.ndarray) -> np.ndarray:
        if output.loudness is not None:
            waveform = at_loudness(waveform, clip.sample_rate, output.loudness)
        replace(clip, waveforms=waveform[None]).save(place(target))
        return waveform

    written = write(path, clip.waveforms[index])
    report: dict[str, Any] = {
        "file": str(path),
        "prompt": clip.prompts[index],
        "seed": clip.seeds[index],
        "score": clip.scores[index] if clip.scores else None,
        "sample_rate": clip.sample_rate,
        "samples": len(written),
    }
    if output.spectrogram:
        picture = path.with_suffix(".png")
        write_spectrogram(place(picture), written, clip.sample_rate)
        report["spectrogram"] = str(picture)
    if output.all_candidates and clip.candidates is not None:
        report["candidates"] = []
        scores = None if clip.candidate_scores is None else clip.candidate_scores[index]
        for i, seed in enumerate(item_seeds(first_seed, len(clip.candidates[index]))):
            if not np.isfinite(clip.candidates[index, i]).all():
                continue
            target = _candidate_path(path, i)
            write(target, clip.candidates[index, i])
            score = None if scores is None else float(scores[i])
            report["candidates"].append({"file": str(target), "seed": seed, "score": score})
    return report


def _candidate_path(path: Path, candidate: int) -> Path:
    return path.with_name(f"{path.stem}_{candidate + 1}{path.suffix}")
