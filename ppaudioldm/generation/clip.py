"""The result of a generation: a clip, or an exception that carries what was complete when it was stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ppaudioldm.audio.write import write_audio


@dataclass(frozen=True)
class Clip:
    """One waveform for each prompt.

    waveforms: (prompts, samples) float32 in [-1, 1], at `sample_rate` Hz. seeds: of each; the same seed and settings
    give the same waveform. scores: CLAP similarity of each with its prompt, -1 to 1, or None where CLAP was not asked.
    seconds: how long each stage took. candidates: all of them, if they were kept, those of a prompt in the order of
    their seeds: (prompts, candidates, samples). candidate_scores: (prompts, candidates), or None as `scores`. Where the
    networks computed samples that are not finite, a waveform is NaN, and so is its score; it is never the best.
    """

    waveforms: np.ndarray
    sample_rate: int
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[float, ...] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    candidates: np.ndarray | None = None
    candidate_scores: np.ndarray | None = None

    def save(self, path: str | Path) -> list[Path]:
        """Write the waveform to `path` (.wav, .flac, .ogg or .mp3); several become name_0.wav, name_1.wav, ...

        Each file appears complete or not at all. Returns the paths. Raises ValueError or OSError in one line.
        """
        path = Path(path)
        paths = [path]
        if len(self.waveforms) > 1:
            paths = [path.with_name(f"{path.stem}_{i}{path.suffix}") for i in range(len(self.waveforms))]
        return [write_audio(p, w, self.sample_rate) for p, w in zip(paths, self.waveforms, strict=True)]


class Cancelled(Exception):
    """A progress callback returned False. clip: the best of what was complete by then, or None."""

    def __init__(self, message: str, clip: Clip | None = None) -> None:
        super().__init__(message)
        self.clip = clip


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a generation. clip: the best of what was complete by then, or None."""

    def __init__(self, clip: Clip | None = None) -> None:
        super().__init__()
        self.clip = clip
