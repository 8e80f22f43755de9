"""`generate --list`: a sound for each line of a list of prompts."""

from __future__ import annotations

import argparse
import json
import os
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT
from ppaudioldm.commands.arguments import check_lora, open_pipeline, options_of, output_options_of, settings_of
from ppaudioldm.commands.console import ProgressBar, notify, notify_if_random, notify_of_random
from ppaudioldm.errors import one_line, quoted
from ppaudioldm.generation.options import Progress, check_fit, with_defaults
from ppaudioldm.lists.columns import column_names
from ppaudioldm.tasks.registry import TASKS

if TYPE_CHECKING:
    from ppaudioldm.lists.plan import ListReport
    from ppaudioldm.pipeline import AudioLDM

LOCAL = "local"  # as in cluster/session.py, which --help need not import
MOST_LINES = 20  # of a list that are reported as bad

EXAMPLES = f"""\
examples:
  ppaudioldm generate "a big bell" -o bell.wav
  ppaudioldm generate "a cat purring" --checkpoint cvssp/audioldm2 --preset original --seed 7
  ppaudioldm generate "rain on a tin roof" -c audioldm2-full --duration 30 --negative-prompt "music, speech"
  ppaudioldm generate "heavy rain" -n 4 --all-candidates --format mp3 --loudness -16 --spectrogram
  ppaudioldm generate "a car approaches" --at 4:"it brakes" --at 6:"silence, birds" -d 10
  ppaudioldm generate --list prompts.csv --output-dir sounds
  ppaudioldm generate --list prompts.csv --output-dir /shared/sounds --ray head:6379

A list has a prompt a line, each of which may end in "|" and a file name; or it is .csv with a header, or .jsonl, with
the columns:
{textwrap.fill(", ".join(column_names()), 110, initial_indent="  ", subsequent_indent="  ")}
manifest.jsonl in the folder has a line for each sound. A run that was stopped resumes when it is started again.
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `generate` that are about lists, and about all candidates."""
    command.add_argument(
        "--list", type=Path, action=_ListAction, metavar="FILE", help="generate a sound for each line of it, see below"
    )
    command.add_argument(
        "--output-dir",
        metavar="FOLDER",
        help="where to write the sounds of a list; with --ray a folder that all nodes share, or an s3:// address",
    )
    command.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="generate a list on a Ray cluster: HOST:PORT, auto, or without an address on the cores of this machine",
    )
    command.add_argument("--ray-workers", type=int, metavar="N", help="at most so many; default: as many as fit")
    command.add_argument("--ray-cpus", type=int, default=1, metavar="N", help="cores of each worker; default: 1")
    command.add_argument(
        "--ray-gpus", type=float, metavar="N", help="of each, or a part of one; default: 1 where the cluster has any"
    )
    command.add_argument(
        "--all-candidates", action="store_true", help="besides the best, write every one: name_1.wav, name_2.wav, ..."
    )
    command.add_argument(
        "--like",
        metavar="FILE",
        help="a sound file that was generated, whose settings are used again where no others are named: see `info`",
    )
    command.add_argument("--audio", metavar="FILE", help="of --like: the recording that the sound was made from")
    command.set_defaults(check=check_single, checkpoint=None)


class _ListAction(argparse.Action):
    """Stores the file, and runs `generate_list` in place of the task."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.list, namespace.run = values, generate_list


def check_single(options: argparse.Namespace) -> None:
    """Raise ValueError for arguments of a list where there is none."""
    if options.prompt is None and options.like is None and not options.prompt_schedule:
        raise ValueError("a prompt or --list is needed, or --like")
    if options.audio is not None and options.like is None:
        raise ValueError("--audio is for --like: the other tasks have commands of their own")
    if options.output_dir is not None:
        raise ValueError("--output-dir is for --list: --output takes a folder, too")
    if options.ray is not None:
        raise ValueError("--ray is for --list: a single sound is generated here")


def generate_list(options: argparse.Namespace) -> int:
    """Returns 1 if the sounds of some lines could not be generated."""
    options.checkpoint = options.checkpoint or DEFAULT_CHECKPOINT
    if options.prompt is not None:
        raise ValueError("a prompt or --list is needed, and not both")
    if options.like is not None:
        raise ValueError("--like and --list are both given, allowed: one of them")
    if options.output_dir is None or options.output is not None:
        raise ValueError("--list needs --output-dir, and no --output")
    if options.checkpoint in CHECKPOINTS:
        config = CHECKPOINTS[options.checkpoint].config
        TASKS["generate"].check_checkpoint(options.checkpoint, config, prompt="", has_audio=False)
        check_fit(with_defaults(options_of(options), config.diffusion), config)
    check_lora(options)
    if options.ray is None and "://" in options.output_dir:
        raise ValueError(f"--output-dir is {quoted(options.output_dir)}, allowed: a folder; an address only with --ray")
    from ppaudioldm.lists.plan import ListReport

    report = ListReport()
    with ProgressBar() as bar:

        def show(progress: Progress) -> None:
            bar.title = f"[{report.total - report.missing + 1}/{report.total}] "
            bar.show(progress)

        def on_record(record: dict[str, Any]) -> None:
            bar.clear()
            path = os.path.join(options.output_dir, record["file"])
            score = "" if record["score"] is None else f", CLAP score {record['score']:.3f}"
            print(json.dumps(record) if options.json else f"{path}  (seed {record['seed']}{score})", flush=True)

        try:
            _run(options, report, show, on_record)
        except KeyboardInterrupt:
            message = f"{report.missing} of {report.total} are missing, the same command generates them"
            raise KeyboardInterrupt(message) from None
    _notify_outcome(options, report)
    return 1 if report.failed else 0


def _run(
    options: argparse.Namespace,
    report: ListReport,
    show: Callable[[Progress], None],
    on_record: Callable[[dict[str, Any]], None],
) -> None:
    """Generate the list in this process, or on a cluster."""
    arguments = {
        "report": report,
        "checkpoint": str(options.checkpoint),
        "extension": f".{options.format or 'wav'}",
        "output": output_options_of(options),
        "seed": options.seed,
        "preset": options.preset or "fast",
        "notify": on_record,
        **settings_of(options),
    }
    if options.ray is None:
        from ppaudioldm.lists.run import generate_list as generate_here

        def opened() -> AudioLDM:
            pipeline = open_pipeline(options)
            notify_if_random(pipeline)
            return pipeline

        generate_here(options.list, options.output_dir, opened, progress=show, **arguments)
        return
    from ppaudioldm.cluster.run import generate_list_on_ray
    from ppaudioldm.cluster.session import Slots

    def notify_if_random_by_name() -> None:
        """The workers open the checkpoint, and only those that are built by name are random."""
        info = CHECKPOINTS.get(options.checkpoint)
        if info is not None and info.layout == "random":
            notify_of_random(options.checkpoint)

    def show_clips(report: ListReport) -> None:
        show(Progress("clips", report.total - report.missing, report.total))

    generate_list_on_ray(
        options.list,
        options.output_dir,
        partial(open_pipeline, _of_checkpoint(options)),
        address=options.ray,
        slots=Slots(options.ray_workers, options.ray_cpus, 0 if options.device == "cpu" else options.ray_gpus),
        on_start=notify_if_random_by_name,
        progress=show_clips,
        **arguments,
    )


def _of_checkpoint(options: argparse.Namespace) -> argparse.Namespace:
    """What `open_pipeline` takes, which is sent to the workers."""
    names = ("checkpoint", "framework", "engine", "device", "precision", "ema", "compile", "vocoder", "low_memory")
    return argparse.Namespace(**{name: getattr(options, name) for name in names})


def _notify_outcome(options: argparse.Namespace, report: ListReport) -> None:
    for number, reason in sorted(report.failed.items())[:MOST_LINES]:
        notify(f"{options.list}, line {number}: {one_line(reason)}")
    if len(report.failed) > MOST_LINES:
        notify(f"and {len(report.failed) - MOST_LINES} more lines")
    existing = f", {report.existing} existed" if report.existing else ""
    failed = f", {len(report.failed)} failed" if report.failed else ""
    notify(f"{report.generated} of {report.total} generated{existing}{failed}")
