"""What the commands that make a clip share: their options, opening a checkpoint, writing the clip and reporting it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.commands.console import ProgressBar, tell
from ppaudioldm.config import VOCODERS
from ppaudioldm.generation.options import LONGEST_DEFAULT, MAX_DURATION, MIN_DURATION, PRESETS, Options

if TYPE_CHECKING:
    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.lists.write import Extras
    from ppaudioldm.pipeline import AudioLDM

DEFAULT_DURATION = f"{LONGEST_DEFAULT:g}, or as long as the checkpoint's clips"
# As in the modules of these names, which are too heavy for `--help`.
ENGINES = ("auto", "openvino", "eager")
PRECISIONS = ("auto", "f32", "bf16", "fp16")
SAMPLERS = ("ddim", "plms", "ddpm", "dpm++")
SPACINGS = ("leading", "linear", "log-snr", "karras")
FORMATS = ("wav", "flac", "ogg", "mp3")
# Options that are settings of a preset: command line name = keyword of AudioLDM.generate.
SETTINGS = (
    "negative_prompt",
    "duration",
    "num_inference_steps",
    "guidance_scale",
    "sampler",
    "eta",
    "spacing",
    "num_waveforms_per_prompt",
    "batch_size",
    "guidance_interval",
    "reuse",
)


# ---- Options


def add_settings(
    command: argparse.ArgumentParser, checkpoint: str, named_after: str, duration: str | None = DEFAULT_DURATION
) -> None:
    """The options of every command that makes a clip.

    checkpoint: the default. named_after: what names the file. duration: which is the default; None for a command that
    has no choice.
    """
    add = command.add_argument
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f".wav, .flac, .ogg or .mp3, or a folder; named after the {named_after} by default",
    )
    if duration is None:
        command.set_defaults(duration=None)
    else:
        limits = f"{MIN_DURATION} to {MAX_DURATION:g} seconds"
        add("-d", "--duration", type=float, metavar="S", help=f"{limits}; default: {duration}")
    add(
        "--preset",
        choices=list(PRESETS),
        default="fast",
        help="steps of dpm++: 10 in fast, the default, 25 in fine, reuse 3 in draft; original: 200 of ddim, best of 3",
    )
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps, 1 to 1000")
    add("--sampler", choices=SAMPLERS)
    add("--eta", type=float, help="of ddim: 0 draws no noise between steps, 1 as much as ddpm")
    add("--spacing", choices=SPACINGS, help="of the steps of dpm++; default: log-snr")
    add("-w", "--guidance-scale", type=float, metavar="W", help="how closely to follow the prompt; default: 3.5")
    add(
        "--guidance-interval",
        type=_interval,
        metavar="A:B",
        help="the part of the steps, from 0 to 1, in which the prompt is followed so closely; default: 0:1",
    )
    add("--reuse", type=int, metavar="N", help="use deep features of the UNet for N steps; default: 1")
    add("-x", "--negative-prompt", metavar="TEXT", help="what it should not sound like")
    add(
        "-n",
        "--candidates",
        type=int,
        dest="num_waveforms_per_prompt",
        metavar="N",
        help="make N, keep the one that CLAP finds nearest to the prompt",
    )
    add("--batch-size", type=int, metavar="N", help="candidates made at once; default: 1")
    add("-s", "--seed", type=int, metavar="N", help="makes the same sound again; default: a new one each time")
    add("--format", choices=FORMATS, help="of a file that is named here; default: wav")
    add("--spectrogram", action="store_true", help="write a picture of the sound beside it")
    command.set_defaults(loudness=None, all_candidates=False)
    add_checkpoint(command, checkpoint)
    add("--json", action="store_true", help="print the file, settings and seconds of each stage as JSON")


def _interval(text: str) -> tuple[float, float]:
    try:
        start, end = map(float, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:END, such as 0.2:0.8") from None
    return start, end


def add_loudness(command: argparse.ArgumentParser) -> None:
    """For sounds that hold nothing of a recording."""
    command.add_argument(
        "--loudness",
        type=float,
        metavar="LUFS",
        help="bring the sound to this loudness, such as -16; default: as it is",
    )


def add_checkpoint(command: argparse.ArgumentParser, checkpoint: str | None) -> None:
    """Which checkpoint, by default `checkpoint`, and what runs it: what `open_pipeline` asks for."""
    add = command.add_argument
    add(
        "-c",
        "--checkpoint",
        default=checkpoint,
        metavar="NAME|PATH",
        help=f"see `ppaudioldm checkpoints`; default: {checkpoint or 'none'}",
    )
    add("--ema", action="store_true", help="use the averaged UNet of a published file")
    add("--engine", choices=ENGINES, help="openvino: fastest on a CPU, translates the networks once; default: auto")
    add("--precision", choices=PRECISIONS, default="auto", help="default: bf16 where the CPU, or PyTorch's GPU, has it")
    add("--vocoder", choices=VOCODERS, help="griffin-lim needs no network; default: what the checkpoint has")
    add("--compile", action="store_true", help="of eager with PyTorch: compile the UNet step, for many clips on a GPU")
    add(
        "--low-memory",
        action=argparse.BooleanOptionalAction,
        help="hold one network at a time: half the memory, read again for every sound; default: for a single one",
    )
    add("--device", help="cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: the best there is")
    add_framework(command)


def add_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--framework", choices=("paddle", "torch"), help="default: paddle, or $PPAUDIOLDM_FRAMEWORK")


def choose_framework(options: argparse.Namespace) -> None:
    """Must come before the first import of a module that uses `framework`."""
    if options.framework:
        os.environ["PPAUDIOLDM_FRAMEWORK"] = options.framework


# ---- Making a clip


def make(
    options: argparse.Namespace,
    title: str,
    create: Callable[..., Clip],
    told: dict[str, Any] | None = None,
    layout: tuple[int, int] = (1, 16000),
    single: bool = False,
) -> None:
    """Check the options of `add_settings`, open the checkpoint, make a clip, write it and report it.

    title: names the file where `--output` doesn't. create: called with the pipeline and with the keywords of
    `AudioLDM.generate` that the options set, `progress` among them. told: what else the JSON report says. layout:
    channels and Hz that the clip will have, if not those of most checkpoints. single: `create` runs a network once for
    each batch of candidates, so with one batch it is held no longer than that, unless the options say otherwise.
    """
    start = time.perf_counter()
    checked = Options.from_preset(options.preset, **settings_of(options))
    extras = extras_of(options)
    first_seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    target = _target(options, title, layout, lambda path: extras.files(path, checked.num_waveforms_per_prompt))
    if options.low_memory is None:
        options.low_memory = single and checked.num_waveforms_per_prompt <= checked.batch_size
    pipeline = open_pipeline(options)
    opened = time.perf_counter() - start
    from ppaudioldm.generation.clip import Interrupted
    from ppaudioldm.lists.write import write_clip

    settings = settings_of(options) | {"seed": first_seed, "preset": options.preset}
    if extras.all_candidates:
        settings["keep_candidates"] = True
    stopped = False
    with ProgressBar() as bar:
        try:
            clip = create(pipeline, progress=bar.show, **settings)
        except Interrupted as interrupt:
            if interrupt.clip is None:
                raise
            clip, stopped = interrupt.clip, True
    made = write_clip(target(), clip, extras, first_seed)
    tell_if_random(pipeline)
    seconds = {"open": opened, **clip.seconds, "total": time.perf_counter() - start}
    settings_made = dataclasses.asdict(checked)
    if checked.duration is None:
        settings_made["duration"] = made["samples"] / made["sample_rate"]
    report = {
        **made,
        "prompt": options.prompt,
        **(told or {}),
        "checkpoint": str(options.checkpoint),
        "settings": settings_made,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    print(json.dumps(report) if options.json else _line(made, f"{seconds['total']:.1f} s"))
    if stopped:
        raise KeyboardInterrupt(f"{made['file']} is what was complete by then")


def tell_if_random(pipeline: AudioLDM) -> None:
    if pipeline.checkpoint.is_random:
        name = pipeline.checkpoint.name
        tell(f"note: {name} has random weights, so this is noise and not the sound of the prompt")


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The SETTINGS that the options give, None where they leave it to the preset."""
    return {field: getattr(options, field) for field in SETTINGS}


def extras_of(options: argparse.Namespace) -> Extras:
    """What is to be written besides the sound. Raises ValueError for a loudness that cannot be."""
    from ppaudioldm.lists.write import Extras

    extras = Extras(options.loudness, options.spectrogram, options.all_candidates)
    extras.check()
    return extras


def _target(
    options: argparse.Namespace, title: str, layout: tuple[int, int], files: Callable[[Path], list[Path]]
) -> Callable[[], Path]:
    """What names the file, once there is one to be named. Raises an error now if it could not be written."""
    from ppaudioldm.audio.names import safe_name, unique_path
    from ppaudioldm.audio.write import check_writable

    folder = Path(".") if options.output is None else options.output
    if options.output is not None and not folder.is_dir():
        if options.format and options.output.suffix.lower() != f".{options.format}":
            raise ValueError(f"--format is {options.format}, but --output is {options.output}")
        if not options.output.suffix:
            allowed = f"a folder that is there, or a name that ends in {', '.join(f'.{name}' for name in FORMATS)}"
            raise ValueError(f"--output is {options.output}, allowed: {allowed}")
        check_writable(options.output, *layout)
        return lambda: options.output
    extension = f".{options.format or 'wav'}"
    check_writable(folder / f"probe{extension}", *layout)
    return lambda: unique_path(folder, safe_name(title), extension, files)


def _line(made: dict[str, Any], seconds: str) -> str:
    fit = f", CLAP score {made['score']:.3f}" if made["score"] is not None else ""
    lines = [f"{made['file']}  (seed {made['seed']}{fit}, {seconds})"]
    for candidate in made.get("candidates", ()):
        fit = f", CLAP score {candidate['score']:.3f}" if candidate["score"] is not None else ""
        lines.append(f"  {candidate['file']}  (seed {candidate['seed']}{fit})")
    return "\n".join(lines)


def open_pipeline(options: argparse.Namespace) -> AudioLDM:
    """The pipeline that the options name."""
    choose_framework(options)
    from ppaudioldm.pipeline import AudioLDM

    return AudioLDM.from_pretrained(
        options.checkpoint,
        engine=options.engine,
        device=options.device,
        precision=options.precision,
        ema=options.ema,
        compile_step=options.compile,
        vocoder=options.vocoder,
        low_memory=bool(options.low_memory),
    )
