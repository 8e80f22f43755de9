"""The evaluation of known kinds of sound through all stages, beside real clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ppaudioldm.evaluation.choices import REAL
from ppaudioldm.evaluation.folders import SAMPLE_RATE
from ppaudioldm.evaluation.kinds import GenerateClip, Judge, RecognisedClip, recognise_clips
from ppaudioldm.evaluation.papers import PaperFeatures, PaperNetworks
from ppaudioldm.evaluation.pipeline_stages import real
from ppaudioldm.evaluation.sound_sets import LabelledExample
from ppaudioldm.evaluation.summary import Summary, TrainingClips, frechet_ratio, variety

logger = logging.getLogger(__name__)

MORE_REAL = "more real clips"  # than those of the stage REAL, which both are compared to

# (name of the stage, number of clips done, number of all)
StageProgress = Callable[[str, int, int], None]


def evaluate_stages(
    functions: Mapping[str, GenerateClip],
    judge: Judge,
    kinds: Sequence[str],
    per_kind: int,
    first: int = 0,
    progress: StageProgress | None = None,
    papers: PaperNetworks | None = None,
) -> dict[str, Summary]:
    """Each of `functions`, stages by name, -> figures of its clips, `per_kind` of each of `kinds`.

    first: as for `held_out_examples`. Where REAL is among several stages, all of them have a Fréchet ratio, for which
    as many real clips are made again, the ones that follow. papers: has the measures of papers computed too, of every
    stage against REAL.
    """
    features = {name: PaperFeatures() for name in functions}
    if papers:
        functions = {name: _observed(run, papers, features[name]) for name, run in functions.items()}

    def clips_of(name: str, generate: GenerateClip, number: int) -> list[RecognisedClip]:
        report = partial(progress, name) if progress else None
        return recognise_clips(generate, judge, kinds, per_kind, number, report)

    by_stage = {name: clips_of(name, generate, first) for name, generate in functions.items()}
    training = TrainingClips(judge.sounds, judge.duration)
    nearest = {name: training.nearest(clips) for name, clips in by_stage.items()}
    measures = {name: variety(clips, nearest[name]) for name, clips in by_stage.items()}
    if REAL in by_stage and len(by_stage) > 1 and len(by_stage[REAL]) > 1:
        more = clips_of(MORE_REAL, real, first + per_kind)
        for name, clips in by_stage.items():
            measures[name]["frechet_ratio"] = frechet_ratio(clips, by_stage[REAL], more)
    single_kinds = frozenset(judge.sounds.single_kinds)
    of_papers = _of_papers(papers, features) if papers else {}
    return {
        name: Summary(clips, single_kinds, nearest[name], measures[name], of_papers.get(name, {}))
        for name, clips in by_stage.items()
    }


def _observed(generate: GenerateClip, papers: PaperNetworks, features: PaperFeatures) -> GenerateClip:
    """`generate`, whose clips are added to `features` too."""

    def generate_and_add(request: LabelledExample, seed: int) -> np.ndarray:
        waveform = generate(request, seed)
        papers.add(features, waveform[:, None], SAMPLE_RATE)
        return waveform

    return generate_and_add


def _of_papers(papers: PaperNetworks, features: Mapping[str, PaperFeatures]) -> dict[str, dict[str, float]]:
    """Stage -> its measures; REAL has nothing to be compared to. All stages have clips of the same examples."""
    measures, cautions = {}, []
    for name, of_stage in features.items():
        reference = features.get(REAL) if name != REAL else None
        pairs = [(clip, clip) for clip in range(of_stage.clips)] if reference else []
        measures[name] = papers.measures(of_stage, reference, pairs)
        cautions += papers.cautions(of_stage, reference, pairs)
    for line in dict.fromkeys(cautions):
        logger.warning(line)
    return measures
