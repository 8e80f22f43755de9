"""The candidates of a generation: CLAP scores each against its prompt, and the best of each prompt is kept, or all."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import numpy as np

from ppaudioldm.audio.clap_mel import CLAP_MAX_SAMPLES, CLAP_SAMPLE_RATE, clap_log_mel
from ppaudioldm.config import ClapAudioConfig
from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.provenance import Provenance

logger = logging.getLogger(__name__)

MARGIN = 0.5  # seconds beyond what CLAP reads, so that resampling has no edge there


class Candidates:
    """Collects the candidates of `prompts` in any order; each is (num_samples,) float32.

    seeds: of the candidates of each prompt, the same number for each. score(prompt, waveforms): how well waveforms
    (B, samples) fit the prompt with that index, (B,), higher is better; None to score nothing and keep the first.
    keep_all: keep every candidate, not only the best of each prompt. provenance: of each prompt, the seed of whose
    settings becomes that of the best. Only what is kept takes memory. A candidate that
    is not finite is never the best while there is another one.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        seeds: Sequence[Sequence[int]],
        num_samples: int,
        score: Callable[[int, np.ndarray], np.ndarray] | None = None,
        keep_all: bool = False,
        provenance: Sequence[Provenance] = (),
    ) -> None:
        self._prompts, self._seeds, self._score = prompts, seeds, score
        self._provenance = provenance
        shape = len(prompts), len(seeds[0])
        self._complete = np.zeros(shape, bool)
        self._finite = np.zeros(shape, bool)  # complete, and of finite samples
        self._scores = np.full(shape, -np.inf, np.float32)
        self._best = np.zeros(len(prompts), np.int64)  # index of the candidate
        self._waveforms = np.full((len(prompts), num_samples), np.nan, np.float32)
        self._all = np.empty((*shape, num_samples), np.float32) if keep_all else None

    def add(self, prompt: int, candidate: int, waveform: np.ndarray) -> None:
        """Add the waveform of the prompt and the candidate with these indices."""
        is_finite = bool(np.isfinite(waveform).all())
        # Stored before it is scored, so that it is not lost if scoring is stopped.
        if is_finite and not self._finite[prompt].any():
            self._best[prompt], self._waveforms[prompt] = candidate, waveform
        if self._all is not None:
            self._all[prompt, candidate] = waveform if is_finite else np.nan
        self._complete[prompt, candidate], self._finite[prompt, candidate] = True, is_finite
        if not is_finite:
            seed, text = self._seeds[prompt][candidate], self._prompts[prompt]
            logger.warning("the networks computed samples that are not finite for seed %d of %.60r", seed, text)
        elif self._score is not None:
            self._rank(prompt, candidate, waveform, float(self._score(prompt, waveform[None])[0]))

    def is_best(self, prompt: int, candidate: int) -> bool:
        """Whether the candidate is the best of its prompt so far."""
        return bool(self._best[prompt] == candidate)

    def finish(self, prompt: int, waveform: np.ndarray) -> None:
        """Replace the best of that prompt, a sketch, by `waveform` (num_samples,), its full synthesis, and score it."""
        self._waveforms[prompt] = waveform
        if self._score is not None and np.isfinite(waveform).all():
            score = float(self._score(prompt, waveform[None])[0])
            self._scores[prompt, self._best[prompt]] = score if math.isfinite(score) else -np.inf

    def _rank(self, prompt: int, candidate: int, waveform: np.ndarray, score: float) -> None:
        """Keep `waveform` if it is the best so far. A score that is not finite is none."""
        if score > self._scores[prompt, self._best[prompt]] and math.isfinite(score):
            self._best[prompt], self._waveforms[prompt] = candidate, waveform
        self._scores[prompt, candidate] = score if math.isfinite(score) else -np.inf

    def clip(self, sample_rate: int, seconds: dict[str, float]) -> Clip | None:
        """The best candidate of each prompt that has one; None if no prompt has.

        If all are complete, each prompt has one, which is NaN where none was finite. Where all are kept, each prompt
        gives as many as the one with the fewest has; those that were not finite are NaN.
        """
        whole = bool(self._complete.all())
        rows = np.flatnonzero(self._complete.any(1) if whole else self._finite.any(1))
        if not len(rows):
            return None
        count = int(self._complete[rows].sum(1).min())
        best = self._best[rows]
        scores = np.where(np.isfinite(self._scores), self._scores, np.nan)[rows]
        # Of what is finite; a run that is stopped may leave the last one without.
        is_scored = bool(np.isfinite(scores[np.arange(len(rows)), best])[self._finite[rows].any(1)].all())
        is_scored = is_scored and self._score is not None
        seeds = tuple(self._seeds[int(row)][int(i)] for row, i in zip(rows, best, strict=True))
        return Clip(
            self._waveforms if len(rows) == len(self._prompts) else self._waveforms[rows],
            sample_rate,
            tuple(self._prompts[int(row)] for row in rows),
            seeds,
            tuple(float(row[i]) for row, i in zip(scores, best, strict=True)) if is_scored else None,
            seconds,
            None if self._all is None else self._all[rows, :count],
            scores[:, :count] if self._all is not None and is_scored else None,
            tuple(self._provenance[int(row)].changed(seed=seed) for row, seed in zip(rows, seeds, strict=True))
            if self._provenance
            else (),
        )


def clap_scores(
    engine: Engine,
    text_embedding: np.ndarray,
    waveforms: np.ndarray,
    sample_rate: int,
    clap: ClapAudioConfig | None = None,
) -> np.ndarray:
    """Cosine similarity (B,), -1 to 1, of `waveforms` (B, samples) with a CLAP text embedding (512,).

    clap: the configuration of CLAP's audio branch.
    """
    # One at a time: a Swin transformer on many clips at once would be the largest use of memory of the run.
    embeddings = [clap_embedding(engine, waveform, sample_rate, clap) for waveform in waveforms]
    return np.stack(embeddings) @ text_embedding


def clap_embedding(
    engine: Engine, waveform: np.ndarray, sample_rate: int, clap: ClapAudioConfig | None = None
) -> np.ndarray:
    """CLAP's embedding (512,) of `waveform` (samples,), of length 1: of the first 10 s, at 48 kHz.

    clap: the configuration of its audio branch, which says how a shorter waveform fills the input.
    """
    import soxr

    beginning = waveform[: round((CLAP_MAX_SAMPLES / CLAP_SAMPLE_RATE + MARGIN) * sample_rate)]
    clip = soxr.resample(beginning, sample_rate, CLAP_SAMPLE_RATE)
    repeat = clap is not None and clap.short_input == "repeated"
    return engine.run_numpy("clap_audio", clap_log_mel(clip, repeat)[None])[0]
