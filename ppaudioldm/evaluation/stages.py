"""The evaluation of known kinds of sound through all stages, beside real clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ppaudioldm.evaluation.choices import REAL
from ppaudioldm.evaluation.kinds import GenerateClip, Judge, RecognisedClip, recognise_clips
from ppaudioldm.evaluation.pipeline_stages import real
from ppaudioldm.evaluation.summary import Summary, TrainingClips, frechet_ratio, variety

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
) -> dict[str, Summary]:
    """Each of `functions`, stages by name, -> figures of its clips, `per_kind` of each of `kinds`.

    first: as for `held_out_examples`. Where REAL is among several stages, all of them have a Fréchet ratio, for which
    as many real clips are made again, the ones that follow.
    """

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
    return {name: Summary(clips, single_kinds, nearest[name], measures[name]) for name, clips in by_stage.items()}
