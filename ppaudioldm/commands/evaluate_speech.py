"""`evaluate-speech`: how well a checkpoint speaks, by a speech recogniser and by who speaks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.choices import SAMPLERS
from ppaudioldm.commands.arguments import add_checkpoint, add_merged_lora, check_lora, choose_framework, open_pipeline
from ppaudioldm.commands.console import ProgressBar
from ppaudioldm.evaluation.choices import REAL, SENTENCE_SETS, STAGES
from ppaudioldm.generation.options import PRESETS, Options, Progress

if TYPE_CHECKING:
    import numpy as np

    from ppaudioldm.evaluation.spoken import JudgedUtterance, SpeechJudge, SpeechStage, Utterance

REAL_CLIP_S = 5.12  # of flite's clips where no checkpoint has a length of its own
SETTINGS = ("num_inference_steps", "guidance_scale", "sampler", "lora")
EXAMPLES = """\
examples:
  ppaudioldm evaluate-speech commands                    what flite's own clips reach
  ppaudioldm evaluate-speech commands -c my-speech-model -o report
  ppaudioldm evaluate-speech harvard -c my-speech-model --stages generated --seed 1000 --json
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate-speech",
        help="measure how well a checkpoint speaks",
        description="Speaks sentences held out from training in the four voices of flite, and recognises them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("sentences", choices=SENTENCE_SETS)
    add("--count", type=int, default=50, metavar="N", help="the first N sentences; default: 50")
    add("--stages", metavar="NAMES", help=f"of {','.join(STAGES)}; default: all, or {REAL} without a checkpoint")
    add("--seed", type=int, default=0, metavar="N", help="of the first clip; default: 0")
    add("-o", "--output", type=Path, metavar="FOLDER", help="for report and clips")
    add("-d", "--duration", type=float, metavar="S", help="of each piece; default: that of the checkpoint")
    add("--preset", choices=list(PRESETS), default="fast")
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps")
    add("-w", "--guidance-scale", type=float, metavar="W")
    add("--sampler", choices=SAMPLERS)
    add("--json", action="store_true", help="print JSON")
    add_checkpoint(command, None)
    add_merged_lora(command)
    command.set_defaults(run=evaluate_speech)


def evaluate_speech(options: argparse.Namespace) -> None:
    """Speak the sentences in every voice, judge them, and report it."""
    names = _stages(options)
    if options.count < 2:  # one alone would be chosen whatever was said
        raise ValueError(f"--count is {options.count}, allowed: 2 or more")
    settings = {name: getattr(options, name) for name in SETTINGS} | {"preset": options.preset}
    Options.from_preset(duration=options.duration, **settings)
    if options.lora and not options.checkpoint:
        raise ValueError("--lora is of the checkpoint (-c) that speaks")
    choose_framework(options)
    check_lora(options)

    from ppaudioldm.evaluation.spoken import SpeechJudge, speech_report, speech_stages, summary, utterances
    from ppaudioldm.tasks.registry import TASKS

    pipeline = open_pipeline(options) if options.checkpoint else None
    if pipeline:
        TASKS["speak"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, None, has_audio=False)
    duration = options.duration or (pipeline.default_duration if pipeline else REAL_CLIP_S)
    judge = SpeechJudge(options.sentences, options.count)
    requested = utterances(options.sentences, options.count, duration)
    functions = speech_stages(pipeline, duration, **settings)
    by_stage = {name: _judged(functions[name], name, requested, judge, options) for name in names}
    measures = {name: summary(judged) for name, judged in by_stage.items()}
    markdown = speech_report(by_stage)
    if options.output:
        (options.output / "report.md").write_text(markdown, encoding="utf-8")
        (options.output / "report.json").write_text(json.dumps(measures, indent=1), encoding="utf-8")
    print(json.dumps(measures) if options.json else markdown)


def _stages(options: argparse.Namespace) -> list[str]:
    names = options.stages.split(",") if options.stages else [REAL, *(STAGES[1:] if options.checkpoint else ())]
    if unknown := [name for name in names if name not in STAGES]:
        raise ValueError(f"--stages has {unknown[0]!r}, allowed: {', '.join(STAGES)}")
    if options.checkpoint is None and names != [REAL]:
        raise ValueError(f"--stages is {options.stages}, allowed without a checkpoint: {REAL}")
    return names


def _judged(
    speak: SpeechStage, stage: str, requested: list[Utterance], judge: SpeechJudge, options: argparse.Namespace
) -> list[JudgedUtterance]:
    judged = []
    with ProgressBar() as bar:
        for number, utterance in enumerate(requested):
            bar.show(Progress(stage, number, len(requested)))
            waveform = speak(utterance, options.seed + number)
            if options.output:
                _write(options.output / stage, number, utterance, waveform)
            judged.append(judge.judge(utterance, waveform))
    return judged


def _write(folder: Path, number: int, utterance: Utterance, waveform: np.ndarray) -> None:
    from ppaudioldm.audio.names import safe_name
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.evaluation.recogniser import SAMPLE_RATE

    folder.mkdir(parents=True, exist_ok=True)
    name = f"{number:03d}-{utterance.speaker}-{safe_name(utterance.text, 60)}.wav"
    write_audio(folder / name, waveform, SAMPLE_RATE)
