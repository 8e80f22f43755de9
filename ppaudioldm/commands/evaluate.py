"""`evaluate`: objective measures of clips, against reference clips, their prompts, or a checkpoint's known sounds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.choices import SAMPLERS
from ppaudioldm.commands.arguments import add_checkpoint, add_merged_lora, check_lora, choose_framework, open_pipeline
from ppaudioldm.commands.console import ProgressBar, notify
from ppaudioldm.evaluation.choices import (
    ALL,
    EMBEDDINGS,
    LEVELS,
    MAX_CLIPS_PER_KIND,
    REAL,
    SIMPLE,
    SOUND_SETS,
    STAGES,
)
from ppaudioldm.generation.options import PRESETS, Options, Progress

if TYPE_CHECKING:
    import numpy as np

    from ppaudioldm.evaluation.classifier import SoundClassifier
    from ppaudioldm.evaluation.kinds import GenerateClip
    from ppaudioldm.evaluation.papers import PaperNetworks
    from ppaudioldm.evaluation.sound_sets import LabelledExample, SoundSet
    from ppaudioldm.evaluation.summary import Summary
    from ppaudioldm.generation.provenance import Source
    from ppaudioldm.pipeline import AudioLDM

LARGEST_SEED = 1_000_000_000
SETTINGS = ("num_inference_steps", "guidance_scale", "sampler", "lora")

EXAMPLES = """\
examples:
  ppaudioldm evaluate --generated clips --reference real
  ppaudioldm evaluate --generated clips --reference real --prompts prompts.csv -c audioldm2-full
  ppaudioldm evaluate --kinds all -c tiny -o report
  ppaudioldm evaluate --kinds all -c runs/model --per-kind 2 --stages generated
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure the quality of clips",
        description="Measures a folder of clips, or (--kinds, --sounds) whether a checkpoint generates what it knows.",
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
    add(
        "--kinds",
        metavar="LEVEL|NAMES",
        help=f"generate and classify NAME,NAME, or a level: {ALL}; {', '.join(LEVELS)} of {SIMPLE}; a family of sounds",
    )
    add("--sounds", choices=SOUND_SETS, help=f"that --kinds are of; default: those of the checkpoint, or {SIMPLE}")
    add("--seed", type=int, default=0, metavar="N", help="of --kinds: number of the first clip and seed; default: 0")
    add("--per-kind", type=int, default=20, metavar="N", help="clips of each; default: 20")
    add("--stages", default="", metavar="NAMES", help=f"of {','.join(STAGES)}; default: all")
    add("--classifier", type=Path, metavar="FILE", help="sound classifier; default: the package's own")
    add(
        "--papers",
        action=argparse.BooleanOptionalAction,
        help="FAD over VGGish, KL, IS and FD over PANNs; default: where the files of these networks are found",
    )
    add("--vggish", type=Path, metavar="FILE", help="VGGish's weights; default: where torchvggish keeps them")
    add("--panns", type=Path, metavar="FILE", help="Cnn14's weights; default: where audioldm_eval keeps them")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="of --kinds, for report, spectrograms and clips",
    )
    add("-d", "--duration", type=float, metavar="S", help="of --kinds; default: that of the sounds")
    add("--preset", choices=list(PRESETS), default="fast")
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps")
    add("-w", "--guidance-scale", type=float, metavar="W")
    add("--sampler", choices=SAMPLERS)
    add("--json", action="store_true", help="print JSON")
    add_checkpoint(command, None)  # which generates the clips, or whose networks embed them
    add_merged_lora(command)
    command.set_defaults(run=evaluate)


def evaluate(options: argparse.Namespace) -> None:
    if options.sounds and options.kinds is None:
        options.kinds = ALL
    if (options.kinds is None) == (options.generated is None):
        raise ValueError("either --generated, a folder, or --kinds is needed")
    if options.papers is False and (options.vggish or options.panns):
        raise ValueError("--no-papers leaves out what --vggish and --panns are for")
    if options.generated and not options.reference and (options.papers or options.vggish or options.panns):
        raise ValueError("the measures of papers compare with --reference, a folder")
    if options.lora and (options.kinds is None or not options.checkpoint):
        raise ValueError("--lora is of the checkpoint (-c) that generates the clips of --kinds")
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
    papers, missing = _paper_networks(options) if reference else (None, "")
    pipeline = open_pipeline(options) if options.checkpoint else None
    classifier = _classifier(options)
    embed = embedding_function(by, pipeline, classifier)
    prompt_embeddings = pipeline.embed_text(prompts) if pipeline and prompts else None
    with ProgressBar() as bar:
        progress = _progress(bar, "embed")
        measures = compare.compare_folders(generated, reference, embed, classifier, prompt_embeddings, progress)
        if papers:
            measures |= papers.compare(generated, reference, _progress(bar, "papers"))
    if missing:
        notify(f"note: {missing}")
    if options.json:
        print(json.dumps({"embedding": by, **measures}))
    else:
        print(f"Embeddings of {by}\n\n{report.measures_table(measures)}")


def _paper_networks(options: argparse.Namespace) -> tuple[PaperNetworks | None, str]:
    """The networks of the measures of papers that are named or found, None for none, and a line about the others."""
    if options.papers is False:
        return None, ""
    from ppaudioldm.evaluation.papers import PaperNetworks, missing_networks
    from ppaudioldm.weights.evaluation_networks import stored_cnn14, stored_vggish

    vggish, panns = options.vggish or stored_vggish(), options.panns or stored_cnn14()
    missing = missing_networks(vggish, panns)
    if missing and options.papers:
        raise ValueError(missing)
    networks = PaperNetworks(vggish, panns, options.engine, options.device) if vggish or panns else None
    return networks, missing


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
    if not 0 <= options.seed <= LARGEST_SEED:
        raise ValueError(f"--seed is {options.seed}, allowed: 0 to {LARGEST_SEED:,}")
    settings = {name: getattr(options, name) for name in SETTINGS} | {"preset": options.preset}
    Options.from_preset(duration=options.duration, **settings)
    check_lora(options)
    classifier = _classifier(options) if options.classifier else None
    if options.sounds:
        _sounds(options.sounds).choose(options.kinds)
    papers, missing = _paper_networks(options)
    pipeline: AudioLDM | None = open_pipeline(options) if options.checkpoint else None

    from ppaudioldm.evaluation import report
    from ppaudioldm.evaluation.classifier import default_classifier
    from ppaudioldm.evaluation.kinds import Judge
    from ppaudioldm.evaluation.pipeline_stages import real, stage_functions
    from ppaudioldm.evaluation.stages import evaluate_stages

    sounds = _sounds(options.sounds, pipeline)
    duration = _duration(options, sounds, pipeline)
    judge = Judge(classifier or default_classifier(sounds.name), sounds, duration)
    functions = stage_functions(pipeline, duration, **settings) if pipeline else {REAL: real}
    if options.output:
        source = pipeline.source if pipeline else None
        functions = {
            name: _writing(functions[name], options.output / name, None if name == REAL else source) for name in names
        }
    with ProgressBar() as bar:
        summaries = evaluate_stages(
            {name: functions[name] for name in names},
            judge,
            sounds.choose(options.kinds),
            options.per_kind,
            options.seed,
            lambda name, done, total: bar.show(Progress(name, done, total)),
            papers,
        )
    if missing:
        notify(f"note: {missing}")
    markdown = report.kinds_report(summaries)
    measures = {name: stage.measures() for name, stage in summaries.items()}
    if options.output:
        _write_report(options.output, markdown, json.dumps(measures, indent=1), summaries)
    if options.json:
        print(json.dumps(measures))
    else:
        print(markdown, end="")


def _sounds(name: str | None, pipeline: AudioLDM | None = None) -> SoundSet:
    """The sounds of the name, by default those that a checkpoint knows; of them only those, where it lists any."""
    from ppaudioldm.evaluation.sound_sets import known_sound_set, sound_set

    if pipeline is None or pipeline.checkpoint.known_sounds is None:
        return sound_set(name or SIMPLE)
    return known_sound_set(pipeline, name)


def _duration(options: argparse.Namespace, sounds: SoundSet, pipeline: AudioLDM | None) -> float:
    """Seconds of each clip: as requested, or as long as those on which a checkpoint of such sounds was trained."""
    if options.duration is not None:
        return float(options.duration)
    if pipeline and pipeline.checkpoint.known_sounds:
        return pipeline.default_duration
    return sounds.duration


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


def _writing(generate: GenerateClip, folder: Path, source: Source | None) -> GenerateClip:
    """`generate` that also writes every clip into `folder`, under the name that `_write_report` lists.

    source: what generates them; None for recordings.
    """
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.evaluation.folders import SAMPLE_RATE
    from ppaudioldm.generation.provenance import Provenance

    folder.mkdir(parents=True, exist_ok=True)
    tags = Provenance(source).tags() if source else None

    def generate_and_write(request: LabelledExample, seed: int) -> np.ndarray:
        waveform = generate(request, seed)
        write_audio(folder / f"{request.kind}-{seed:03d}.wav", waveform, SAMPLE_RATE, tags=tags)
        return waveform

    return generate_and_write


def _write_report(folder: Path, markdown: str, measures: str, summaries: Mapping[str, Summary]) -> None:
    """Write the report as Markdown and JSON, a list of the prompts, and a picture of the first clip of each kind.

    It has a row for each kind and a column for each stage.
    """
    from ppaudioldm.audio.sheet import write_sheet
    from ppaudioldm.storage.atomic import atomic_path

    first = {name: {clip.kind: clip.mel for clip in reversed(stage.clips)} for name, stage in summaries.items()}
    rows = list(next(iter(first.values())))[::-1]
    mels = [[first[name][kind] for name in summaries] for kind in rows]
    write_sheet(folder / "spectrograms.png", mels, rows, list(summaries))
    lines = [
        json.dumps(
            {"name": f"{clip.kind}-{clip.seed:03d}", "prompt": clip.caption, "seed": clip.seed}, ensure_ascii=False
        )
        for clip in next(iter(summaries.values())).clips
    ]
    texts = {
        "report.md": markdown,
        "report.json": f"{measures}\n",
        "prompts.jsonl": "\n".join(lines) + "\n",
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, "utf-8")
