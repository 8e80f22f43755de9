"""Sound from sound: `vary`, `restyle`, `inpaint`, `extend`, `loop`, `upscale`, and `rank`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT, audiomae_names
from ppaudioldm.commands.common import (
    DEFAULT_DURATION,
    add_checkpoint,
    add_loudness,
    add_settings,
    choose_framework,
    make,
    open_pipeline,
)
from ppaudioldm.commands.generate import check_speaks
from ppaudioldm.generation.options import MAX_DURATION, MIN_DURATION, Options

if TYPE_CHECKING:
    from ppaudioldm.audio.recording import Recording
    from ppaudioldm.pipeline import AudioLDM, Clip

EXAMPLES = """\
examples:
  ppaudioldm vary --audio dog.wav
  ppaudioldm restyle "a church organ" --audio melody.flac --strength 0.6
  ppaudioldm inpaint --audio talk.wav --range 2.0:3.5 --range 6:7
  ppaudioldm inpaint "birds sing" --audio park.wav --frequencies 2000:8000
  ppaudioldm extend "rain on a roof" --audio rain.wav --duration 60
  ppaudioldm loop "an engine idles" --duration 8
  ppaudioldm upscale "a violin" --audio old.wav -c audioldm_48k
  ppaudioldm rank "a dog" "a cat" --audio a.wav b.wav
"""
MONO = 1, 16000  # channels and Hz of what a checkpoint makes: every format can hold them
ONE_PART = 10.0  # seconds: what is longer is made in parts, each of which needs the networks again
FORMAT: dict[str, Any] = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}


# ---- Options


def add(commands: Any) -> None:
    add_loudness(_add(commands, vary, "a new clip that resembles a recording", duration="the recording's, up to 10"))
    command = _add(commands, restyle, "make a recording sound as a prompt says", needed="prompt and audio")
    add_loudness(command)
    command.add_argument(
        "--strength",
        type=float,
        default=0.5,
        metavar="S",
        help="from just above 0, where all stays as it is, to 1, where nothing does; default: 0.5",
    )
    command = _add(commands, inpaint, "make times or frequencies of a recording anew; the rest stays as it is")
    command.add_argument(
        "--range",
        dest="ranges",
        type=_pair,
        action="append",
        default=[],
        metavar="START:END",
        help="seconds to make anew; 6: is from there to the end; may be repeated",
    )
    command.add_argument(
        "--frequencies",
        type=_pair,
        action="append",
        default=[],
        metavar="LOW:HIGH",
        help="Hz to make anew, within the ranges if there are any; may be repeated",
    )
    _add(commands, extend, "continue a recording", duration="20, the recording included")
    _add(
        commands,
        loop,
        "a clip whose end meets its start",
        needed="",
        duration=f"the recording's, or {DEFAULT_DURATION}",
    )
    command = _add(commands, upscale, "add the high frequencies that a recording lacks; the rest is its own sound")
    command.add_argument(
        "--cutoff", type=float, metavar="HZ", help="where they begin; found in the recording's spectrum by default"
    )

    command = commands.add_parser("rank", help="how well recordings fit prompts, as CLAP hears it", **FORMAT)
    command.add_argument("prompts", nargs="+", metavar="prompt", help="what they may sound like")
    command.add_argument("--audio", nargs="+", action="extend", required=True, metavar="FILE", help="the recordings")
    add_checkpoint(command, DEFAULT_CHECKPOINT)
    command.add_argument("--json", action="store_true", help="print the scores as JSON")
    command.set_defaults(run=rank)


def _add(
    commands: Any,
    run: Callable[[argparse.Namespace], None],
    text: str,
    *,
    needed: str = "audio",
    duration: str | None = None,
) -> argparse.ArgumentParser:
    """A command, called as `run` is. needed: what of prompt and audio. duration: see `add_settings`."""
    command: argparse.ArgumentParser = commands.add_parser(run.__name__, help=text, **FORMAT)
    if "prompt" in needed:
        command.add_argument("prompt", help="what it should sound like")
    else:
        command.add_argument("prompt", nargs="?", help="what it should sound like; as the recording by default")
    command.add_argument(
        "--audio",
        required="audio" in needed,
        metavar="FILE",
        help=f"the recording, of any format, rate and number of channels; up to {MAX_DURATION:g} seconds",
    )
    add_settings(command, DEFAULT_CHECKPOINT, "recording", duration)
    command.set_defaults(run=run)
    return command


def _pair(text: str) -> tuple[float | None, float | None]:
    """START:END, either of which may be missing."""
    start, colon, end = text.partition(":")
    try:
        numbers = tuple(float(number) if number.strip() else None for number in (start, end))
    except ValueError:
        colon = ""
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is no START:END, allowed: two numbers with a colon between them")
    return numbers[0], numbers[1]


# ---- Commands


def vary(options: argparse.Namespace) -> None:
    _check_hears(options.checkpoint)
    recording = _open(options, truncate=True)
    from ppaudioldm.tasks import vary as task

    duration = options.duration
    if duration is None:
        info = CHECKPOINTS.get(options.checkpoint, CHECKPOINTS[DEFAULT_CHECKPOINT])
        options.duration = task.default_duration(recording.duration, info.config.diffusion.clip_seconds)
    _make(
        options,
        lambda pipeline, **settings: task.vary(
            pipeline, recording, options.prompt, **{**settings, "duration": duration}
        ),
    )


def restyle(options: argparse.Namespace) -> None:
    recording = _open(options)
    from ppaudioldm.tasks import restyle as task

    task.check_strength(options.strength)
    told = {"strength": options.strength}
    _make_as_long(options, recording, task.restyle, told, layout=MONO, strength=options.strength)


def inpaint(options: argparse.Namespace) -> None:
    recording = _open(options)
    from ppaudioldm.tasks import inpaint as task

    if not options.ranges and not options.frequencies:
        raise ValueError("no --range and no --frequencies: one of them must say what is to be made anew")
    task.spans_of(options.ranges, recording)
    task.bands_of(options.frequencies, min(recording.sample_rate, _rate(options)) / 2)
    parts = {"ranges": options.ranges, "frequencies": options.frequencies}
    _make_as_long(options, recording, task.inpaint, dict(parts), layout=_layout(recording), **parts)


def extend(options: argparse.Namespace) -> None:
    recording = _open(options)
    from ppaudioldm.tasks import extend as task

    options.duration = 20.0 if options.duration is None else options.duration
    task.check_longer(options.duration, recording)
    _make(
        options,
        lambda pipeline, **settings: task.extend(pipeline, recording, options.prompt, **settings),
        layout=_layout(recording),
    )


def loop(options: argparse.Namespace) -> None:
    if options.audio is None and options.prompt is None:
        raise ValueError("no prompt and no --audio: a loop needs one of them")
    _check(options)
    recording = _open(options) if options.audio is not None else None
    from ppaudioldm.tasks import loop as task

    if recording is not None and options.duration is None:
        options.duration = max(MIN_DURATION, recording.duration)
    _make(
        options,
        lambda pipeline, **settings: task.loop(pipeline, options.prompt, recording, **settings),
        layout=MONO if recording is None else _layout(recording),
    )


def upscale(options: argparse.Namespace) -> None:
    info = CHECKPOINTS.get(options.checkpoint)
    if options.prompt is None and info and not info.config.loa:
        raise ValueError(f"prompt is missing, which {options.checkpoint} needs")
    recording = _open(options, hears=False)
    from ppaudioldm.tasks import upscale as task

    if options.cutoff is not None:
        task.check_cutoff(options.cutoff, _rate(options) / 2)
    channels, rate = _layout(recording)
    layout = channels, max(rate, info.config.sample_rate if info else rate)
    _make_as_long(options, recording, task.upscale, {}, layout=layout, cutoff=options.cutoff)


def rank(options: argparse.Namespace) -> None:
    Options().check_prompts(options.prompts)
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


# ---- What they share


def _open(options: argparse.Namespace, hears: bool = True, truncate: bool = False) -> Recording:
    """The recording, once `_check` has been made. truncate: see `open_recording`."""
    _check(options, hears)
    from ppaudioldm.audio.recording import open_recording

    return open_recording(options.audio, truncate)


def _check(options: argparse.Namespace, hears: bool = True) -> None:
    """Raise ValueError for a prompt, or a published checkpoint, that does not do.

    hears: without a prompt the checkpoint must hear the recording.
    """
    choose_framework(options)  # the tasks import it
    check_speaks(options.checkpoint, False)
    if options.prompt is not None:
        Options().check_prompts([options.prompt])
    elif hears:
        _check_hears(options.checkpoint, "prompt is missing, and ")


def _check_hears(checkpoint: str, because: str = "") -> None:
    """Raise ValueError for a published checkpoint without AudioMAE, before it is downloaded."""
    info = CHECKPOINTS.get(checkpoint)
    if info and not info.config.audiomae:
        names = ", ".join(name for name in audiomae_names() if not CHECKPOINTS[name].config.phoneme_encoder)
        raise ValueError(f"{because}{checkpoint} cannot hear a recording, choose from {names}")


def _rate(options: argparse.Namespace) -> int:
    """Hz, of the checkpoint; the highest there is for one that has not been opened yet."""
    info = CHECKPOINTS.get(options.checkpoint)
    return info.config.sample_rate if info else max(info.config.sample_rate for info in CHECKPOINTS.values())


def _layout(recording: Recording) -> tuple[int, int]:
    """Channels and Hz of what the recording becomes a part of."""
    return recording.samples.shape[1], recording.sample_rate


def _make_as_long(
    options: argparse.Namespace,
    recording: Recording,
    task: Callable[..., Clip],
    told: dict[str, Any],
    layout: tuple[int, int],
    **keywords: Any,
) -> None:
    """`_make` with a task whose result is as long as the recording."""
    options.duration = max(MIN_DURATION, recording.duration)

    def create(pipeline: AudioLDM, **settings: Any) -> Clip:
        del settings["duration"]
        return task(pipeline, recording, options.prompt, **keywords, **settings)

    _make(options, create, told, layout)


def _make(
    options: argparse.Namespace,
    create: Callable[..., Clip],
    told: dict[str, Any] | None = None,
    layout: tuple[int, int] = MONO,
) -> None:
    """`common.make`, with a name after the recording and a report of what became of it."""
    report: dict[str, Any] = {"audio": options.audio, **(told or {})}

    def create_and_tell(pipeline: AudioLDM, **settings: Any) -> Clip:
        from ppaudioldm.tasks.edited import EditedClip

        clip = create(pipeline, **settings)
        if isinstance(clip, EditedClip):
            report.update(channels=clip.waveforms[0, 0].size, fade=clip.fade, kept=clip.kept, cutoff=clip.cutoff)
        return clip

    task = options.run.__name__
    make(
        options,
        f"{Path(options.audio).stem}-{task}" if options.audio else options.prompt,
        create_and_tell,
        report,
        layout,
        single=options.duration is None or options.duration <= ONE_PART,
    )
