"""`generate` and `speak`: a sound from words, or one for each line of a list."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT, speech_names
from ppaudioldm.commands.common import (
    add_loudness,
    add_settings,
    extras_of,
    make,
    open_pipeline,
    settings_of,
    tell_if_random,
)
from ppaudioldm.commands.console import ProgressBar, one_line, tell
from ppaudioldm.generation.options import Options, Progress

if TYPE_CHECKING:
    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.lists.run import Report
    from ppaudioldm.pipeline import AudioLDM

SPEAKER = "A female reporter is speaking"  # as in the module `speech`, which is too heavy for `--help`

EXAMPLES = """\
examples:
  ppaudioldm generate "a big bell" -o bell.wav
  ppaudioldm generate "a cat purring" --checkpoint cvssp/audioldm2 --preset original --seed 7
  ppaudioldm generate "rain on a tin roof" -c audioldm2-full --duration 30 --negative-prompt "music, speech"
  ppaudioldm generate "heavy rain" -n 4 --all-candidates --format mp3 --loudness -16 --spectrogram
  ppaudioldm generate --list prompts.csv --output-dir sounds

A list is a prompt a line, each of which may end in "|" and a file name; or .csv with a header, or .jsonl. Columns:
prompt, name, seed, duration, negative_prompt, preset, steps, guidance_scale, sampler, eta, spacing, candidates.
manifest.jsonl in the folder has a line for each sound. A run that was stopped goes on when it is started again.
"""
MOST_TOLD = 20  # lines of a list that are said to be wrong


def add(commands: Any) -> None:
    command = commands.add_parser(
        "generate",
        help="make a sound from a prompt",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("prompt", nargs="?", help="what it should sound like")
    command.add_argument("--list", type=Path, metavar="FILE", help="make a sound for each line of it, see below")
    command.add_argument("--output-dir", type=Path, metavar="FOLDER", help="where to write the sounds of a list")
    add_settings(command, DEFAULT_CHECKPOINT, "prompt")
    add_loudness(command)
    command.add_argument(
        "--all-candidates", action="store_true", help="besides the best, write every one: name_1.wav, name_2.wav, ..."
    )
    command.set_defaults(run=generate)

    command = commands.add_parser("speak", help="say a text, of any length")
    command.add_argument("text", help="what to say, in English")
    command.add_argument(
        "--speaker",
        dest="prompt",
        default=SPEAKER,
        metavar="TEXT",
        help=f"who says it, and how; default: {SPEAKER!r}",
    )
    command.add_argument(
        "--phonemes", action="store_true", help="the text is phonemes as espeak writes them, not words"
    )
    add_settings(command, "audioldm2-speech-gigaspeech", "text")
    add_loudness(command)
    command.set_defaults(run=speak)


def generate(options: argparse.Namespace) -> int:
    if (options.prompt is None) == (options.list is None):
        raise ValueError("a prompt or --list is needed, and not both")
    if options.list is not None:
        return _generate_list(options)
    if options.output_dir is not None:
        raise ValueError("--output-dir is for --list: --output takes a folder, too")
    Options().check_prompts([options.prompt])
    check_speaks(options.checkpoint, False)

    def create(pipeline: AudioLDM, **settings: Any) -> Clip:
        return pipeline.generate(options.prompt, **settings)

    make(options, options.prompt, create, single=True)
    return 0


def _generate_list(options: argparse.Namespace) -> int:
    """Returns 1 if some lines could not be made."""
    if options.output_dir is None or options.output is not None:
        raise ValueError("--list needs --output-dir, and no --output")
    check_speaks(options.checkpoint, False)
    from ppaudioldm.lists.run import Report, generate_list

    report = Report()

    def open_and_tell() -> AudioLDM:
        pipeline = open_pipeline(options)
        tell_if_random(pipeline)
        return pipeline

    with ProgressBar() as bar:

        def show(progress: Progress) -> None:
            finished = report.there + report.made + len(report.wrong)
            bar.title = f"[{finished + 1}/{report.total}] "
            bar.show(progress)

        def notify(record: dict[str, Any]) -> None:
            bar.clear()
            path = options.output_dir / record["file"]
            fit = f"(seed {record['seed']}, CLAP score {record['score']:.3f})"
            print(json.dumps(record) if options.json else f"{path}  {fit}", flush=True)

        try:
            generate_list(
                options.list,
                options.output_dir,
                open_and_tell,
                report=report,
                checkpoint=str(options.checkpoint),
                extension=f".{options.format or 'wav'}",
                extras=extras_of(options),
                seed=options.seed,
                preset=options.preset,
                progress=show,
                notify=notify,
                **settings_of(options),
            )
        except KeyboardInterrupt:
            missing = report.total - report.there - report.made - len(report.wrong)
            raise KeyboardInterrupt(f"{missing} of {report.total} are missing, the same command makes them") from None
    _tell_outcome(options, report)
    return 1 if report.wrong else 0


def _tell_outcome(options: argparse.Namespace, report: Report) -> None:
    for number, reason in sorted(report.wrong.items())[:MOST_TOLD]:
        tell(f"{options.list}, line {number}: {one_line(reason)}")
    if len(report.wrong) > MOST_TOLD:
        tell(f"and {len(report.wrong) - MOST_TOLD} more lines")
    there = f", {report.there} were there" if report.there else ""
    wrong = f", {len(report.wrong)} could not be made" if report.wrong else ""
    tell(f"{report.made} of {report.total} made{there}{wrong}")


def speak(options: argparse.Namespace) -> None:
    Options().check_prompts([options.text], "text")
    if not options.phonemes:
        from ppaudioldm.text.phonemes import to_phonemes

        to_phonemes(options.text)  # a missing extra, or nothing to say, is found before a download
    Options().check_prompts([options.prompt], "speaker")
    check_speaks(options.checkpoint, True)

    def create(pipeline: AudioLDM, **settings: Any) -> Clip:
        from ppaudioldm.tasks import speak as speech

        return speech.speak(pipeline, options.text, speaker=options.prompt, phonemes=options.phonemes, **settings)

    make(options, options.text, create, {"text": options.text})


def check_speaks(checkpoint: str, speaks: bool) -> None:
    """Raise ValueError for a published checkpoint of the other kind, before it is downloaded."""
    info = CHECKPOINTS.get(checkpoint)
    if info and (info.config.phoneme_encoder is not None) != speaks:
        if speaks:
            raise ValueError(f"{checkpoint} does not speak, choose from {', '.join(speech_names())}")
        raise ValueError(f"{checkpoint} says a text: use `ppaudioldm speak`")
