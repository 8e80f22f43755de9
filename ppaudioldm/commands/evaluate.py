"""`evaluate`: objective measures of clips, against reference clips, their prompts, or a checkpoint's known sounds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.choices import SAMPLERS
from ppaudioldm.commands.arguments import add_checkpoint, choose_framework, open_pipeline
from ppaudioldm.commands.console import ProgressBar
from ppaudioldm.evaluation.choices import EMBEDDINGS, LEVELS, REAL, STAGES
from ppaudioldm.generation.options import PRESETS, Options, Progress

if TYPE_CHECKING:
    import numpy as np

    from ppaudioldm.evaluation.classifier import SoundClassifier
    from ppaudioldm.evaluation.kinds import GenerateClip, RecognisedClip
    from ppaudioldm.pipeline import AudioLDM
    from ppaudioldm.sounds import Example

DURATION_S = 2.56
MAX_CLIPS_PER_KIND = 1000
SETTINGS = ("num_inference_steps", "guidance_scale", "sampler")

EXAMPLES = """\
examples:
  ppaudioldm evaluate --generated clips --reference real
  ppaudioldm evaluate --generated clips --reference real --prompts prompts.csv -c audioldm2-full
  ppaudioldm evaluate --kinds a -c tiny -o report
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure the quality of clips",
        description="Measures a folder of clips, or (--kinds) whether a checkpoint generates the sounds that it knows.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--generated", type=Path, metavar="FOLDER", help="sound files to measure")
    add(
        "--reference",
        type=Path,
        metavar="FOLDER",
        help="real recordings: Fréchet distance, KL divergence of equal names",
    )
    add("--prompts", type=Path, metavar="LIST", help=".csv or .jsonl with the columns prompt and name: CLAP score")
    add(
        "--by",
        choices=EMBEDDINGS,
        help="network that embeds clips; default: clap with a checkpoint, else classifier",
    )
    add("--kinds", metavar="a|b|NAMES", help="generate and classify sounds of level a or b, or NAME,NAME")
    add("--per-kind", type=int, default=20, metavar="N", help="clips of each; default: 20")
    add("--stages", default="", metavar="NAMES", help=f"of {','.join(STAGES)}; default: all")
    add("--classifier", type=Path, metavar="FILE", help="sound classifier; default: the package's own")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="of --kinds, for report, spectrograms and clips",
    )
    add("-d", "--duration", type=float, default=DURATION_S, metavar="S", help=f"of --kinds; default: {DURATION_S}")
    add("--preset", choices=list(PRESETS), default="fast")
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps")
    add("-w", "--guidance-scale", type=float, metavar="W")
    add("--sampler", choices=SAMPLERS)
    add("--json", action="store_true", help="print JSON")
    add_checkpoint(command, None)  # which generates the clips, or whose networks embed them
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
    from ppaudioldm.evaluation.embeddings import embedding_function

    generated = folders.sound_files(options.generated)
    reference = folders.sound_files(options.reference) if options.reference else []
    prompts = folders.prompts_of(options.prompts, generated) if options.prompts else []
    pipeline = open_pipeline(options) if options.checkpoint else None
    classifier = _classifier(options)
    embed = embedding_function(by, pipeline, classifier)
    prompt_embeddings = pipeline.embed_text(prompts) if pipeline and prompts else None
    with ProgressBar() as bar:
        progress = _progress(bar, "embed")
        measures = compare.compare_folders(generated, reference, embed, classifier, prompt_embeddings, progress)
    if options.json:
        print(json.dumps({"embedding": by, **measures}))
    else:
        print(f"Embeddings of {by}\n\n{report.measures_table(measures)}")


def _classifier(options: argparse.Namespace) -> SoundClassifier:
    from ppaudioldm.evaluation.classifier import default_classifier, open_classifier

    return open_classifier(options.classifier) if options.classifier else default_classifier()


def _progress(bar: ProgressBar, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.show(Progress(stage, done, total))


# ---- Kinds of sound


def _evaluate_kinds(options: argparse.Namespace) -> None:
    names = _stages(options)
    if not 1 <= options.per_kind <= MAX_CLIPS_PER_KIND:
        raise ValueError(f"--per-kind is {options.per_kind}, allowed: 1 to {MAX_CLIPS_PER_KIND}")
    settings = {name: getattr(options, name) for name in SETTINGS} | {"preset": options.preset}
    Options.from_preset(duration=options.duration, **settings)

    from ppaudioldm.evaluation import kinds, report
    from ppaudioldm.evaluation.pipeline_stages import real, stage_functions

    requested = kinds.KINDS_OF_LEVEL[options.kinds] if options.kinds in LEVELS else tuple(options.kinds.split(","))
    pipeline: AudioLDM | None = open_pipeline(options) if options.checkpoint else None
    functions = stage_functions(pipeline, options.duration, **settings) if pipeline else {REAL: real}
    classifier = _classifier(options)
    by_stage: dict[str, list[RecognisedClip]] = {}
    for name in names:
        generate = _writing(functions[name], options.output / name) if options.output else functions[name]
        with ProgressBar() as bar:
            by_stage[name] = kinds.recognise_clips(
                generate, classifier, requested, options.per_kind, options.duration, _progress(bar, name)
            )
    variety = {name: kinds.variety(clips, options.duration) for name, clips in by_stage.items()}
    markdown = report.kinds_report(by_stage, variety)
    if options.output:
        _write_report(options.output, markdown, by_stage)
    if options.json:
        print(json.dumps({name: _measures(clips, variety[name]) for name, clips in by_stage.items()}))
    else:
        print(markdown, end="")


def _stages(options: argparse.Namespace) -> list[str]:
    """The requested stages, in the order of STAGES. Raises ValueError for an unknown one, or without a checkpoint."""
    requested = [name.strip() for name in options.stages.split(",") if name.strip()]
    unknown = [name for name in requested if name not in STAGES]
    if unknown:
        raise ValueError(f"--stages has {unknown[0]!r}, choose from {', '.join(STAGES)}")
    default = STAGES if options.checkpoint else (REAL,)
    names = [name for name in STAGES if name in (requested or default)]
    if names != [REAL] and not options.checkpoint:
        raise ValueError(f"--stages {options.stages} needs a checkpoint: name it with -c")
    return names


def _writing(generate: GenerateClip, folder: Path) -> GenerateClip:
    """`generate` that also writes every clip into `folder`, under the name that `_write_report` lists."""
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.evaluation.folders import SAMPLE_RATE

    folder.mkdir(parents=True, exist_ok=True)

    def generate_and_write(request: Example, seed: int) -> np.ndarray:
        waveform = generate(request, seed)
        write_audio(folder / f"{request.kind}-{seed:03d}.wav", waveform, SAMPLE_RATE)
        return waveform

    return generate_and_write


def _write_report(folder: Path, markdown: str, by_stage: dict[str, list[RecognisedClip]]) -> None:
    """Write the report, a picture with a row for each kind and a column for each stage, and a list of the prompts."""
    from ppaudioldm.evaluation.sheet import write_sheet
    from ppaudioldm.storage.atomic import atomic_path

    first = {name: {clip.kind: clip.mel for clip in reversed(clips)} for name, clips in by_stage.items()}
    rows = list(next(iter(first.values())))[::-1]
    write_sheet(folder / "spectrograms.png", [[first[name][kind] for name in by_stage] for kind in rows])
    legend = f"spectrograms.png: a column for each of {', '.join(by_stage)}; a row for each of {', '.join(rows)}.\n"
    lines = [
        json.dumps({"name": f"{clip.kind}-{clip.seed:03d}", "prompt": clip.caption, "seed": clip.seed})
        for clip in next(iter(by_stage.values()))
    ]
    for name, text in (("report.md", f"{markdown}\n{legend}"), ("prompts.jsonl", "\n".join(lines) + "\n")):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, "utf-8")


def _measures(clips: list[RecognisedClip], variety: dict[str, float]) -> dict[str, Any]:
    from ppaudioldm.evaluation import kinds

    accuracy = kinds.accuracy_by_kind(clips)
    return {
        "accuracy": sum(accuracy.values()) / len(accuracy),
        "by_kind": accuracy,
        "right": kinds.accuracy_by_check(clips),
        "confusions": kinds.confusions(clips),
        **variety,
    }
