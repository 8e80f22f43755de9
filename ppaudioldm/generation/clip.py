"""The result of a generation: a clip, or an exception that carries what was complete when it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ppaudioldm.audio.tagging.content_credentials import Signer
from ppaudioldm.audio.write import write_audio
from ppaudioldm.generation.provenance import Provenance

Waveforms = Sequence[np.ndarray]  # each (samples,) or (samples, channels)


@dataclass(frozen=True)
class Clip:
    """One waveform for each prompt.

    waveforms: (prompts, samples) float32 in [-1, 1], at `sample_rate` Hz. seeds: of each; the same seed and settings
    give the same waveform. scores: CLAP similarity of each with its prompt, -1 to 1, or None where CLAP was not asked.
    seconds: how long each stage took. candidates: all of them, if they were kept, those of a prompt in the order of
    their seeds: (prompts, candidates, samples). candidate_scores: (prompts, candidates), or None as `scores`. Where the
    networks computed samples that are not finite, a waveform is NaN, and so is its score; it is never the best.
    provenance: how each was generated, for the tags of its file. In stereo the arrays have a further axis at their end,
    of 2 channels: (prompts, samples, 2). lengths, candidate_lengths: of trimmed waveforms that differ in their numbers
    of samples, which are zero behind; None where all have as many.
    """

    waveforms: np.ndarray
    sample_rate: int
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[float, ...] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    candidates: np.ndarray | None = None
    candidate_scores: np.ndarray | None = None
    provenance: tuple[Provenance, ...] = ()
    lengths: tuple[int, ...] | None = None
    candidate_lengths: tuple[tuple[int, ...], ...] | None = None

    def waveform(self, index: int = 0) -> np.ndarray:
        """Waveform number `index`, (samples,), or (samples, 2) in stereo, without zeros behind a trimmed one."""
        waveform: np.ndarray = self.waveforms[index]
        return waveform if self.lengths is None else waveform[: self.lengths[index]]

    def candidate(self, index: int, candidate: int) -> np.ndarray:
        """One of the `candidates` of waveform number `index`, likewise."""
        assert self.candidates is not None
        waveform: np.ndarray = self.candidates[index, candidate]
        return waveform if self.candidate_lengths is None else waveform[: self.candidate_lengths[index][candidate]]

    def provenance_of(self, index: int) -> Provenance:
        """How waveform number `index` was generated."""
        return self.provenance[index] if self.provenance else Provenance()

    def save(self, path: str | Path, tags: str = "all", signer: Signer | None = None) -> list[Path]:
        """Write the waveform to `path` (.wav, .flac, .ogg or .mp3); several become name_0.wav, name_1.wav, ...

        tags: "all": that it is generated, by which model, and the settings that make it again; "marking": without the
        settings; or "none". signer: adds Content Credentials. Each file appears complete or not at all. Returns the
        paths. Raises ValueError or OSError in one line.
        """
        path = Path(path)
        paths = [path]
        if len(self.waveforms) > 1:
            paths = [path.with_name(f"{path.stem}_{i}{path.suffix}") for i in range(len(self.waveforms))]
        return [
            write_audio(one, self.waveform(i), self.sample_rate, None, made.tags(tags), made.signing(signer))
            for i, one in enumerate(paths)
            for made in [self.provenance_of(i)]
        ]


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
