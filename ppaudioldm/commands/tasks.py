"""A command for every task of the registry, and `rank`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import (
    CHECKPOINTS,
    DEFAULT_CHECKPOINT,
    PUBLISHED_SPEECH_CHECKPOINT,
    built_in_speech_checkpoint,
)
from ppaudioldm.choices import AUDIO_FORMATS
from ppaudioldm.commands import like, lists
from ppaudioldm.commands.arguments import (
    DEFAULT_DURATION,
    add_checkpoint,
    add_loudness,
    add_output,
    add_settings,
    check_lora,
    choose_framework,
    open_interval,
    open_pipeline,
    options_of,
    output_options_of,
)
from ppaudioldm.commands.console import ProgressBar, notify_if_random
from ppaudioldm.generation.options import (
    MAX_DURATION,
    Options,
    check_fit,
    check_level,
    check_texts,
    default_duration,
    with_defaults,
)
from ppaudioldm.generation.prompt_schedule import check_within, split_first
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Parameter, Task, Use

if TYPE_CHECKING:
    from ppaudioldm.audio.recording import Recording
    from ppaudioldm.generation.clip import Clip

EXAMPLES = """\
examples:
  ppaudioldm vary --audio dog.wav
  ppaudioldm restyle "a church organ" --audio melody.flac --strength 0.6
  ppaudioldm inpaint --audio talk.wav --range 2.0:3.5 --range 6:7
  ppaudioldm inpaint "birds sing" --audio park.wav --frequencies 2000:8000
  ppaudioldm extend "rain on a roof" --audio rain.wav --duration 60
  ppaudioldm loop "an engine idles" --duration 8
  ppaudioldm upscale "a violin" --audio old.wav -c audioldm_48k
  ppaudioldm speak "Wish you have a good day" --speaker "A man speaks slowly"
  ppaudioldm rank "a dog" "a cat" --audio a.wav b.wav
"""
UNKNOWN_RATE = 1, 16000  # channels and Hz of what a checkpoint generates: every format can hold them

# ---- Arguments


def add(commands: Any) -> None:
    for task in TASKS.values():
        _add_task(commands, task)
    command = _command(commands, "rank", "how well recordings fit prompts, by CLAP", EXAMPLES)
    command.add_argument("prompts", nargs="+", metavar="prompt", help="what they may sound like")
    command.add_argument("--audio", nargs="+", action="extend", required=True, metavar="FILE", help="the recordings")
    add_checkpoint(command, DEFAULT_CHECKPOINT)
    command.add_argument("--json", action="store_true", help="print the scores as JSON")
    command.set_defaults(run=rank)


def _command(commands: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, epilog=examples, formatter_class=formatter
    )
    return command


def _add_task(commands: Any, task: Task) -> None:
    is_listed = task.name == "generate"
    command = _command(commands, task.name, task.summary, lists.EXAMPLES if is_listed else EXAMPLES)
    command.set_defaults(run=partial(run_task, task), check=lambda options: None, audio=None, like=None)
    for parameter in task.parameters:
        _add_parameter(command, parameter)
    _add_prompt(command, task, is_required=task.prompt is Use.REQUIRED and not is_listed)
    if task.audio is not Use.UNUSED:
        command.add_argument(
            "--audio",
            required=task.audio is Use.REQUIRED,
            metavar="FILE",
            help=f"the recording, of any format, rate and number of channels; up to {MAX_DURATION:g} seconds",
        )
    add_output(command, "recording" if task.audio is Use.REQUIRED else "text" if task.speaks else "prompt")
    add_settings(command, task.settings_left_out, task.duration_help or DEFAULT_DURATION)
    if not task.edits:
        add_loudness(command)
    speech = built_in_speech_checkpoint() or PUBLISHED_SPEECH_CHECKPOINT
    add_checkpoint(command, speech if task.speaks else DEFAULT_CHECKPOINT)
    if is_listed:
        lists.add_arguments(command)


def _add_prompt(command: argparse.ArgumentParser, task: Task, is_required: bool) -> None:
    if task.prompt_keyword != "prompt":
        default = f"; default: {task.default_prompt!r}" if task.default_prompt else ""
        command.add_argument(
            f"--{task.prompt_keyword}", dest="prompt", metavar="TEXT", help=f"{task.prompt_help}{default}"
        )
    elif is_required:
        command.add_argument("prompt", help=task.prompt_help)
    else:
        resembles = "; as the recording by default" if task.audio is not Use.UNUSED else ""
        command.add_argument("prompt", nargs="?", help=f"{task.prompt_help}{resembles}")


def _add_parameter(command: argparse.ArgumentParser, parameter: Parameter) -> None:
    if not parameter.flag:
        command.add_argument(parameter.name, help=parameter.help)
        return
    details: dict[str, Any] = {"dest": parameter.name, "help": parameter.help}
    if parameter.kind is bool:
        details["action"] = "store_true"
    elif parameter.kind is tuple:
        details |= {"type": open_interval, "action": "append", "default": [], "metavar": parameter.metavar}
    else:
        default = "" if parameter.default is None else f"; default: {parameter.default:g}"
        details |= {"type": parameter.kind, "metavar": parameter.metavar, "help": f"{parameter.help}{default}"}
    command.add_argument(parameter.flag, **details)


# ---- Running a task


def run_task(task: Task, options: argparse.Namespace) -> None:
    """Check all arguments, open the checkpoint, run `task`, write the clip and report it."""
    start = time.perf_counter()
    options.check(options)
    choose_framework(options)  # the tasks import it
    if options.like is None:
        options.checkpoint = options.checkpoint or DEFAULT_CHECKPOINT
        settings = options_of(options)
    else:
        task, settings = like.take_settings(options)
    settings = _opened_settings(options, settings)
    parameters = _checked_parameters(task, options)
    task.check_options(settings)
    check_level(settings, options.loudness)
    check_lora(options)
    recording = _opened_recording(task, options)
    duration = task.planned_duration(recording, settings.duration, _config_of(options.checkpoint), **parameters)
    output = output_options_of(options)
    output.check_format(Path(f"x.{options.format or 'wav'}") if _is_folder(options.output) else options.output)
    first_seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    target = _target(
        options,
        _title(task, options, parameters),
        _layout(task, options, recording),
        lambda path: [
            file for one in numbered(path, settings.variations) for file in output.files(one, settings.candidates)
        ],
    )
    if options.low_memory is None:
        options.low_memory = _runs_networks_once(task, settings, duration)
    pipeline = open_pipeline(options)
    opened = time.perf_counter() - start
    import numpy as np

    from ppaudioldm.generation.clip import Interrupted
    from ppaudioldm.lists.write import write_clip

    keywords = task.keywords(options.prompt, recording, parameters) | {"options": settings, "seed": first_seed}
    if output.all_candidates:
        keywords["keep_candidates"] = True
    function, was_stopped = task.resolved_function(), False
    with ProgressBar() as bar:
        try:
            clip = function(pipeline, progress=bar.show, **keywords)
        except Interrupted as interrupt:
            if interrupt.clip is None:
                raise
            clip, was_stopped = interrupt.clip, True
    paths = numbered(target(), settings.variations)
    # The others are not lost for a variation that is not finite.
    finite = [i for i, waveform in enumerate(clip.waveforms) if np.isfinite(waveform).all()] or [0]
    written = [write_clip(paths[i], clip, output, first_seed + i * settings.candidates, i) for i in finite]
    notify_if_random(pipeline)
    seconds = {"open": opened, **clip.seconds, "total": time.perf_counter() - start}
    if options.json:
        if duration is None and settings.trim and not task.speaks:
            duration = pipeline.default_duration
        used = dataclasses.replace(
            pipeline.with_defaults(settings),
            duration=settings.duration if duration is None else duration,
        )
        report = _report(task, options, parameters, used, written[0], clip, seconds)
        print(json.dumps(report | {"variations": written} if settings.variations > 1 else report))
    else:
        print("\n".join(_lines(one, f"{seconds['total']:.1f} s") for one in written))
    if was_stopped:
        raise KeyboardInterrupt(f"{', '.join(one['file'] for one in written)} is what was complete by then")


def _opened_settings(options: argparse.Namespace, settings: Options) -> Options:
    """`settings`, with the prompt of a schedule that has the first one, too, in `options.prompt`."""
    options.prompt, schedule = split_first(options.prompt, settings.prompt_schedule)
    config = _config_of(options.checkpoint)
    if schedule and settings.duration is None and config is not None:
        check_within(schedule, default_duration(config.diffusion.clip_seconds))  # before a download
    return dataclasses.replace(settings, prompt_schedule=schedule)


def _checked_parameters(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """Those of the task. Raises ValueError for what it, or a published checkpoint, cannot do, before any download."""
    has_audio = options.audio is not None
    values = {parameter.name: getattr(options, parameter.name) for parameter in task.parameters}
    present = {name: value for name, value in values.items() if value is not None}
    config = _config_of(options.checkpoint)
    if config is not None:
        task.check_checkpoint(options.checkpoint, config, options.prompt, has_audio)
        check_fit(with_defaults(options_of(options), config.diffusion), config)
    return task.checked_parameters(options.prompt, has_audio, present)


def _config_of(checkpoint: str) -> Any:
    """The configuration of a published checkpoint; None for one that has to be opened first."""
    info = CHECKPOINTS.get(checkpoint)
    return info.config if info else None


def _opened_recording(task: Task, options: argparse.Namespace) -> Recording | None:
    if options.audio is None:
        return None
    from ppaudioldm.audio.recording import open_recording

    return open_recording(options.audio, truncate=task.reads_beginning)


def _runs_networks_once(task: Task, settings: Options, duration: float | None) -> bool:
    """Whether no network is needed again after another one ran: then it need not stay in memory."""
    if settings.candidates * settings.variations > settings.batch_size:
        return False
    if task.pieces_above_s is None:
        return True
    return task.pieces_above_s > 0 and (duration is None or duration <= task.pieces_above_s)


# ---- The file and the report


def numbered(path: Path, variations: int) -> list[Path]:
    """The files of the variations of `path`: name-1.wav, name-2.wav, ..."""
    if variations == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{i}{path.suffix}") for i in range(1, variations + 1)]


def _title(task: Task, options: argparse.Namespace, parameters: dict[str, Any]) -> str:
    """What names the file where `--output` does not."""
    if options.audio is not None:
        return f"{Path(options.audio).stem}-{task.name}"
    return str(parameters.get("text") or options.prompt)


def _layout(task: Task, options: argparse.Namespace, recording: Recording | None) -> tuple[int, int]:
    """Channels and Hz of the file."""
    if recording is None or not task.edits:
        return UNKNOWN_RATE
    channels, rate = recording.samples.shape[1], recording.sample_rate
    config = _config_of(options.checkpoint)
    return channels, max(rate, config.sample_rate) if task.raises_rate and config else rate


def _target(
    options: argparse.Namespace, title: str, layout: tuple[int, int], files: Callable[[Path], list[Path]]
) -> Callable[[], Path]:
    """A function that names the file, once there is one to write. Raises an error now if it could not be written."""
    from ppaudioldm.audio.names import safe_name, unique_path
    from ppaudioldm.audio.write import check_writable

    folder = Path(".") if options.output is None else options.output
    if not _is_folder(options.output):
        if options.format and options.output.suffix.lower() != f".{options.format}":
            raise ValueError(f"--format is {options.format}, but --output is {options.output}")
        if not options.output.suffix:
            names = ", ".join(f".{name}" for name in AUDIO_FORMATS)
            raise ValueError(
                f"--output is {options.output}, allowed: a folder that exists, or a name that ends in {names}"
            )
        check_writable(options.output, *layout)
        return lambda: options.output
    extension = f".{options.format or 'wav'}"
    check_writable(folder / f"probe{extension}", *layout)
    return lambda: unique_path(folder, safe_name(title), extension, files)


def _is_folder(output: Path | None) -> bool:
    """Whether the file is named automatically, in this folder."""
    return output is None or output.is_dir()


def _report(
    task: Task,
    options: argparse.Namespace,
    parameters: dict[str, Any],
    settings: Options,
    written: dict[str, Any],
    clip: Clip,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """For `--json`."""
    report = {**written, "task": task.name, "prompt": task.default_prompt if options.prompt is None else options.prompt}
    if task.audio is not Use.UNUSED:
        report["audio"] = options.audio
    report |= parameters
    from ppaudioldm.tasks.edited import EditedClip

    if isinstance(clip, EditedClip):
        report |= {"channels": clip.waveforms[0, 0].size, "fade": clip.fade, "kept": clip.kept, "cutoff": clip.cutoff}
    values = dataclasses.asdict(settings)
    if values["duration"] is None:
        values["duration"] = written["samples"] / written["sample_rate"]
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    return report | {"checkpoint": str(options.checkpoint), "settings": values, "seconds": rounded}


def _lines(written: dict[str, Any], seconds: str) -> str:
    lines = [f"{written['file']}  (seed {written['seed']}{_score(written)}, {seconds})"]
    for candidate in written.get("candidates", ()):
        lines.append(f"  {candidate['file']}  (seed {candidate['seed']}{_score(candidate)})")
    return "\n".join(lines)


def _score(written: dict[str, Any]) -> str:
    return f", CLAP score {written['score']:.3f}" if written["score"] is not None else ""


# ---- rank


def rank(options: argparse.Namespace) -> None:
    check_texts(options.prompts)
    from ppaudioldm.audio.read import sound_file

    for file in options.audio:
        with sound_file(file):
            pass  # a wrong name is found before a download
    pipeline = open_pipeline(options)
    from ppaudioldm.tasks import rank as task

    scores = task.rank(pipeline, options.audio, options.prompts)
    if options.json:
        rows = [{"file": file, "scores": row} for file, row in zip(options.audio, scores.tolist(), strict=True)]
        print(json.dumps({"prompts": options.prompts, "checkpoint": str(options.checkpoint), "files": rows}))
        return
    for prompt, column in zip(options.prompts, scores.T, strict=True):
        print(prompt)
        for index in (-column).argsort(kind="stable"):
            print(f"  {column[index]:6.3f}  {options.audio[index]}")
