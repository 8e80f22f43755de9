"""Writing the files of a clip: the sound, at a loudness if requested, its spectrogram, and all its candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.loudness import at_loudness, check_loudness
from ppaudioldm.audio.spectrogram import write_spectrogram
from ppaudioldm.audio.tagging.content_credentials import Signer, check_container
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.clip import Clip


@dataclass(frozen=True)
class OutputOptions:
    """Which files are written for a sound, at which level, and with which tags.

    loudness: LUFS to bring every sound to, see `audio.loudness`; None leaves it as it is. spectrogram: name.png beside
    name.wav. all_candidates: besides name.wav, the best, every candidate as name_1.wav, name_2.wav, ... tags: one of
    `choices.TAGS`. signer: adds Content Credentials.
    """

    loudness: float | None = None
    spectrogram: bool = False
    all_candidates: bool = False
    tags: str = "all"
    signer: Signer | None = None

    def check(self) -> None:
        """Raise ValueError for a loudness out of range."""
        if self.loudness is not None:
            check_loudness(self.loudness)

    def check_format(self, path: Path) -> None:
        """Raise ValueError for a file whose format does not hold all of it."""
        if self.signer is not None:
            check_container(path)

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

    def write(target: Path, waveform: np.ndarray, seed: int | None = None) -> np.ndarray:
        provenance = clip.provenance_of(index)
        if seed is not None:
            provenance = provenance.changed(seed=seed)
        if output.loudness is not None:
            waveform = at_loudness(waveform, clip.sample_rate, output.loudness)
            provenance = provenance.changed(loudness=output.loudness)
        one = replace(clip, waveforms=waveform[None], lengths=None, provenance=(provenance,))
        one.save(place(target), output.tags, output.signer)
        return waveform

    written = write(path, clip.waveform(index))
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
            write(target, clip.candidate(index, i), seed)
            score = None if scores is None else float(scores[i])
            report["candidates"].append({"file": str(target), "seed": seed, "score": score})
    return report


def _candidate_path(path: Path, candidate: int) -> Path:
    return path.with_name(f"{path.stem}_{candidate + 1}{path.suffix}")
