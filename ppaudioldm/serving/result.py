"""Running requests on a pipeline, one alone or several as a batch, and their results: the sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppaudioldm.audio.loudness import at_loudness
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import ProgressCallback
from ppaudioldm.generation.provenance import Provenance
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.request import Request
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.registry import TASKS


@dataclass(frozen=True)
class Sound:
    """One sound.

    waveform: (samples,) or (samples, channels), full scale is 1. sample_rate: Hz. score: CLAP's similarity with the
    prompt, None where it was not computed. subtype: the sample format in which `write_audio` loses nothing. tags: of
    its files, see `write_audio`.
    """

    waveform: np.ndarray
    sample_rate: int
    seed: int
    score: float | None = None
    subtype: str = "float"
    tags: Mapping[str, str] | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.waveform) / self.sample_rate


@dataclass(frozen=True)
class Result:
    """The result of a request.

    sound: the best, or the first of several variations. variations: the others. candidates: all, where requested.
    seconds: of each stage.
    """

    sound: Sound
    candidates: tuple[Sound, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    variations: tuple[Sound, ...] = ()

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """All of them."""
        return (self.sound, *self.variations, *self.candidates)


def run_requests(
    pipeline: AudioLDM, requests: Sequence[Request], progress: ProgressCallback | None = None, batch_size: int = 1
) -> list[Result]:
    """The results of `requests`: one, or several of an equal `batch_key`.

    batch_size: clips that are generated at once. Raises ValueError for a request that cannot be fulfilled, `Cancelled`
    when `progress` returns False, FloatingPointError for a waveform that is not finite.
    """
    first = requests[0]
    task, options = TASKS[first.task], replace(first.options, batch_size=batch_size)
    common: dict[str, Any] = {"options": options, "progress": progress, "with_scores": first.with_scores}
    if task.keeps_candidates:
        common["keep_candidates"] = first.keep_candidates
    if task.batches:  # a method of the pipeline that takes several prompts
        prompts = [str(request.prompt) for request in requests]
        clip = pipeline.generate(prompts, seed=[request.seed for request in requests], **common)
        count = options.variations
        return [result_of(request, clip, index * count) for index, request in enumerate(requests)]
    assert len(requests) == 1
    keywords = task.keywords(first.prompt, first.audio, first.parameters)
    clip = task.resolved_function()(pipeline, seed=first.seed, **keywords, **common)
    return [result_of(first, clip)]


def result_of(request: Request, clip: Clip, index: int = 0) -> Result:
    """The result of `request` from the waveforms of `clip` from number `index` on, one for each of its variations."""
    subtype = clip.subtype if isinstance(clip, EditedClip) else "float"

    def sound(waveform: np.ndarray, seed: int, score: float | None, provenance: Provenance) -> Sound:
        if not np.isfinite(waveform).all():
            raise FloatingPointError("the networks computed a waveform that is not finite")
        if request.loudness is not None:
            waveform = at_loudness(waveform, clip.sample_rate, request.loudness)
            provenance = provenance.changed(loudness=request.loudness)
        # A copy: the clips of a batch are views of one array, which would live as long as any of them.
        return Sound(waveform.copy(), clip.sample_rate, seed, score, subtype, provenance.tags(request.tags))

    def best(index: int) -> Sound:
        score = clip.scores[index] if clip.scores else None
        return sound(clip.waveform(index), clip.seeds[index], score, clip.provenance_of(index))

    end = min(index + request.options.variations, len(clip.waveforms))
    finite = [i for i in range(index, end) if np.isfinite(clip.waveforms[i]).all()]
    first, *variations = map(best, finite or [index])  # the others are not lost for one that is not finite
    made = clip.provenance_of(index)
    candidates: list[Sound] = []
    if request.keep_candidates and clip.candidates is not None:
        scores = None if clip.candidate_scores is None else clip.candidate_scores[index]
        seeds = item_seeds(request.seed, len(clip.candidates[index]))
        for i, seed in enumerate(seeds):
            if not np.isfinite(clip.candidates[index, i]).all():
                continue  # the others are not lost for it
            score = None if scores is None else float(scores[i])
            candidates.append(sound(clip.candidate(index, i), seed, score, made.changed(seed=seed)))
    return Result(first, tuple(candidates), clip.seconds, tuple(variations))
