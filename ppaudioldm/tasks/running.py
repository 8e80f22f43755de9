"""What the functions of all tasks share: options and seed are settled first, and the clip says how it was made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.finishing import finished, stacked, without_finishing
from ppaudioldm.generation.options import Options, as_share, refuse_duration, take_options
from ppaudioldm.generation.provenance import Provenance, stored_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import first_seed
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Task

Arguments = ParamSpec("Arguments")
AnyClip = TypeVar("AnyClip", bound=Clip)


def task_function(name: str) -> Callable[[Callable[Arguments, AnyClip]], Callable[Arguments, AnyClip]]:
    """Decorates the function of the task `name`, whose first argument is the pipeline.

    The function gets `options` and `seed` in place of single settings, a preset or no seed; it is called for each
    variation. The clip, or the partial one of `Cancelled` or `Interrupted`, is finished (`generation.finishing`) and
    has the provenance of the task.
    """
    task = TASKS[name]

    def decorate(function: Callable[Arguments, AnyClip]) -> Callable[Arguments, AnyClip]:
        signature = inspect.signature(function)

        @wraps(function)
        def run(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> AnyClip:
            settled: dict[str, Any] = dict(keywords)
            if not task.takes_duration:
                refuse_duration(settled, name)
            options = take_options(settled)
            task.check_options(options)
            count, candidates = options.variations, options.candidates
            seeds = item_seeds(first_seed(settled.pop("seed", None)), count * candidates)[::candidates]
            named = signature.bind_partial(*arguments, **settled).arguments
            progress = settled.pop("progress", None)
            settled["options"] = replace(without_finishing(options), variations=1)
            clips: list[AnyClip] = []

            def keep(clip: AnyClip, seed: int) -> None:
                """Add the clip of a variation."""
                clips.append(finished(_with_provenance(clip, task, named, options, seed), options))

            for index, seed in enumerate(seeds):
                share = as_share(progress, index, count) if count > 1 else progress
                try:
                    clip = function(*arguments, **settled, seed=seed, progress=share)  # type: ignore[arg-type]
                    keep(clip, seed)
                except (Cancelled, Interrupted) as stopped:
                    if stopped.clip is not None:
                        keep(cast(AnyClip, stopped.clip), seed)
                    stopped.clip = in_one(clips) if clips else None
                    raise
            return in_one(clips)

        return run

    return decorate


def _with_provenance(clip: AnyClip, task: Task, named: dict[str, Any], options: Options, seed: int) -> AnyClip:
    """`clip` of `task` with its provenance. named: the arguments of its function by name."""
    pipeline: AudioLDM = named["pipeline"]
    options = replace(pipeline.with_defaults(options), batch_size=1, variations=1)
    if task.keeps_candidates:  # the seed of a candidate generates it again alone
        options, seed = replace(options, num_waveforms_per_prompt=1), clip.seeds[0]
    has_recording = named.get("audio") is not None
    settings = {
        "task": task.name,
        "prompt": named.get(task.prompt_keyword, task.default_prompt),
        "seed": seed,
        "options": stored_options(options),
        "parameters": {p.name: p.checked(named.get(p.name, p.default)) for p in task.parameters},
        "recording": has_recording,
    }
    return replace(clip, provenance=(Provenance(pipeline.source, settings, task.edits and has_recording),))


def in_one(clips: Sequence[AnyClip]) -> AnyClip:
    """The clips of several variations, each with one waveform, as one clip."""
    first = clips[0]
    if len(clips) == 1:
        return first
    candidates = None
    if all(clip.candidates is not None for clip in clips):
        candidates = [[clip.candidate(0, i) for i in range(len(clip.candidates[0]))] for clip in clips]  # type: ignore[index]
        fewest = min(map(len, candidates))  # one that was stopped has fewer
        candidates = [several[:fewest] for several in candidates]
    scores = [clip.scores[0] for clip in clips if clip.scores]
    changes = stacked([clip.waveform() for clip in clips], candidates)
    if isinstance(first, EditedClip) and any(clip.kept != first.kept for clip in clips):  # type: ignore[attr-defined]
        changes["kept"] = ()
    return replace(
        first,
        **changes,
        prompts=tuple(clip.prompts[0] for clip in clips),
        seeds=tuple(clip.seeds[0] for clip in clips),
        scores=tuple(scores) if len(scores) == len(clips) else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in first.seconds},
        candidate_scores=None,
        provenance=tuple(clip.provenance_of(0) for clip in clips),
    )
