"""`evaluate`: how good clips are, against other clips, their prompts, or the kinds of sound that are known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.commands.common import SAMPLERS, add_checkpoint, choose_framework, open_pipeline
from ppaudioldm.commands.console import ProgressBar
from ppaudioldm.generation.options import PRESETS, Options, Progress

if TYPE_CHECKING:
    import numpy as np

    from ppaudioldm.evaluation.classifier import Judge
    from ppaudioldm.evaluation.kinds import Judged, Make
    from ppaudioldm.pipeline import AudioLDM
    from ppaudioldm.sounds import Example

HEARINGS = ("clap", "audiomae", "classifier")  # as in `evaluation.hearing`, which is too heavy for `--help`
STAGES = ("real", "vocoder", "vae", "generated")  # as in `evaluation.stages`
LEVELS = ("a", "b")  # as in `evaluation.kinds`
CLIP_SECONDS = 2.56
MOST_CLIPS_A_KIND = 1000
SETTINGS = ("num_inference_steps", "guidance_scale", "sampler")

EXAMPLES = """\
examples:
  ppaudioldm evaluate --generated made --reference real
  ppaudioldm evaluate --generated made --reference real --prompts prompts.csv -c audioldm2-full
  ppaudioldm evaluate --kinds a -c tiny -o report
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure how good clips are",
        description="Measures a folder of clips, or (--kinds) how well a checkpoint makes the sounds that it knows.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--generated", type=Path, metavar="FOLDER", help="of sound files to measure")
    add("--reference", type=Path, metavar="FOLDER", help="of real ones: Fréchet distance, and KL of equal names")
    add("--prompts", type=Path, metavar="LIST", help=".csv or .jsonl with prompt and name: the CLAP score")
    add("--by", choices=HEARINGS, help="what hears the clips; default: clap of the checkpoint, else classifier")
    add("--kinds", metavar="a|b|NAMES", help="make sounds of level a or b, or NAME,NAME, and judge them")
    add("--per-kind", type=int, default=20, metavar="N", help="clips of each; default: 20")
    add("--stages", default="", metavar="NAMES", help=f"what clips go through: {','.join(STAGES)}; default: all")
    add("--classifier", type=Path, metavar="FILE", help="another judge than the one that comes along")
    add("-o", "--output", type=Path, metavar="FOLDER", help="of --kinds: for the report, spectrograms and clips")
    add("-d", "--duration", type=float, default=CLIP_SECONDS, metavar="S", help=f"of --kinds; default: {CLIP_SECONDS}")
    add("--preset", choices=list(PRESETS), default="fast")
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps")
    add("-w", "--guidance-scale", type=float, metavar="W")
    add("--sampler", choices=SAMPLERS)
    add("--json", action="store_true", help="print JSON")
    add_checkpoint(command, None)  # what makes the clips, or whose networks hear them
    command.set_defaults(run=evaluate)


def evaluate(options: argparse.Namespace) -> None:
    if (options.kinds is None) == (options.generated is None):
        raise ValueError("either --generated, a folder, or --kinds is needed")
    choose_framework(options)
    if options.kinds is None:
        _evaluate_folder(options)
    else:
        _evaluate_kinds(options)


# ---- Folders


def _evaluate_folder(options: argparse.Namespace) -> None:
    by = options.by or ("clap" if options.checkpoint else "classifier")
    if options.prompts and by != "clap":
        raise ValueError("--prompts needs CLAP: name a checkpoint with -c")

    from ppaudioldm.evaluation import compare, folders, report
    from ppaudioldm.evaluation.hearing import hearing

    generated = folders.sound_files(options.generated)
    reference = folders.sound_files(options.reference) if options.reference else []
    prompts = folders.prompts_of(options.prompts, generated) if options.prompts else []
    pipeline = open_pipeline(options) if options.checkpoint else None
    judge = _judge(options)
    hear = hearing(by, pipeline, judge)
    texts = pipeline._encoder.clap(prompts) if pipeline and prompts else None
    with ProgressBar() as bar:
        told = _teller(bar, "hear")
        found = compare.compare_folders(generated, reference, hear, judge, texts, told)
    facts = {"heard_by": by, **found}
    print(json.dumps(facts) if options.json else f"Heard by {by}\n\n{report.measures_table(found)}")


def _judge(options: argparse.Namespace) -> Judge:
    from ppaudioldm.evaluation.classifier import default_classifier, open_classifier

    return open_classifier(options.classifier) if options.classifier else default_classifier()


def _teller(bar: ProgressBar, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.show(Progress(stage, done, total))


# ---- Kinds of sound


def _evaluate_kinds(options: argparse.Namespace) -> None:
    names = _stages(options)
    if not 1 <= options.per_kind <= MOST_CLIPS_A_KIND:
        raise ValueError(f"--per-kind is {options.per_kind}, allowed: 1 to {MOST_CLIPS_A_KIND}")
    settings = {name: getattr(options, name) for name in SETTINGS} | {"preset": options.preset}
    Options.from_preset(duration=options.duration, **settings)

    from ppaudioldm.evaluation import kinds, report
    from ppaudioldm.evaluation.stages import real, stages

    asked = kinds.LEVELS[options.kinds] if options.kinds in LEVELS else tuple(options.kinds.split(","))
    pipeline: AudioLDM | None = open_pipeline(options) if options.checkpoint else None
    makers = stages(pipeline, options.duration, **settings) if pipeline else {"real": real}
    judge = _judge(options)
    found: dict[str, list[Judged]] = {}
    for name in names:
        make = _kept(makers[name], options.output / name) if options.output else makers[name]
        with ProgressBar() as bar:
            told = _teller(bar, name)
            found[name] = kinds.judged(make, judge, asked, options.per_kind, options.duration, told)
    variety = {name: kinds.variety(clips, options.duration) for name, clips in found.items()}
    markdown = report.kinds_report(found, variety)
    if options.output:
        _write(options.output, markdown, found)
    if options.json:
        print(json.dumps({name: _facts(clips, variety[name]) for name, clips in found.items()}))
    else:
        print(markdown, end="")


def _stages(options: argparse.Namespace) -> list[str]:
    """The stages that are asked for, in their order. Raises ValueError for one that there is not, or cannot be."""
    named = [name.strip() for name in options.stages.split(",") if name.strip()]
    unknown = [name for name in named if name not in STAGES]
    if unknown:
        raise ValueError(f"--stages has {unknown[0]!r}, choose from {', '.join(STAGES)}")
    found = [name for name in STAGES if name in named or (not named and (name == "real" or options.checkpoint))]
    if found != ["real"] and not options.checkpoint:
        raise ValueError(f"--stages {options.stages} needs a checkpoint: name it with -c")
    return found


def _kept(make: Make, folder: Path) -> Make:
    """`make` that also writes every clip into `folder`, under the name that `_write` lists."""
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.evaluation.folders import SAMPLE_RATE

    folder.mkdir(parents=True, exist_ok=True)

    def kept(wanted: Example, seed: int) -> np.ndarray:
        waveform = make(wanted, seed)
        write_audio(folder / f"{wanted.kind}-{seed:03d}.wav", waveform, SAMPLE_RATE)
        return waveform

    return kept


def _write(folder: Path, markdown: str, found: dict[str, list[Judged]]) -> None:
    """The report, its numbers, a picture with a row for each kind and a column for each stage, a list of prompts."""
    from ppaudioldm.evaluation.sheet import write_sheet
    from ppaudioldm.storage.atomic import atomic_path

    first = {name: {clip.kind: clip.mel for clip in reversed(clips)} for name, clips in found.items()}
    asked = list(next(iter(first.values())))[::-1]
    write_sheet(folder / "spectrograms.png", [[first[name][kind] for name in found] for kind in asked])
    pictured = f"spectrograms.png: a column for each of {', '.join(found)}; a row for each of {', '.join(asked)}.\n"
    lines = [
        json.dumps({"name": f"{clip.kind}-{clip.seed:03d}", "prompt": clip.caption, "seed": clip.seed})
        for clip in next(iter(found.values()))
    ]
    for name, text in (("report.md", f"{markdown}\n{pictured}"), ("prompts.jsonl", "\n".join(lines) + "\n")):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, "utf-8")


def _facts(clips: list[Judged], variety: dict[str, float]) -> dict[str, Any]:
    from ppaudioldm.evaluation import kinds

    accuracy = kinds.accuracies(clips)
    return {
        "accuracy": sum(accuracy.values()) / len(accuracy),
        "by_kind": accuracy,
        "right": kinds.checks(clips),
        "confusions": kinds.confusions(clips),
        **variety,
    }
