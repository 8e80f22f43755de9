"""Arguments that several commands share: the settings of a generation, the files to write, and the checkpoint."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.choices import (
    AUDIO_FORMATS,
    ENGINES,
    FRAMEWORKS,
    OPTIONAL_NETWORKS,
    PRECISIONS,
    VOCODERS,
)
from ppaudioldm.generation.options import LONGEST_DEFAULT, PRESETS, Options, Setting, settings
from ppaudioldm.generation.prompt_schedule import Cue, parsed_cue
from ppaudioldm.installed import chosen_framework

if TYPE_CHECKING:
    from ppaudioldm.lists.write import OutputOptions
    from ppaudioldm.pipeline import AudioLDM

DEFAULT_DURATION = f"{LONGEST_DEFAULT:g}, or as long as the checkpoint's training clips"
PRESET_HELP = "steps of dpm++: 10 in fast, the default, 25 in fine, reuse 3 in draft; original: 200 of ddim, best of 3"

# ---- Settings of a generation


def add_settings(
    command: argparse.ArgumentParser, left_out: Sequence[str] = (), duration_help: str = DEFAULT_DURATION
) -> None:
    """An argument for every field of `Options` that is not `left_out`, the preset, and the seed."""
    command.add_argument("--preset", choices=list(PRESETS), help=PRESET_HELP)
    for name, setting in settings().items():
        if name in left_out:
            command.set_defaults(**{name: None})
        else:
            _add_setting(command, name, setting, duration_help if name == "duration" else _shared_default(name))
    command.add_argument(
        "-s", "--seed", type=int, metavar="N", help="generates the same sound again; default: a new one each time"
    )


def _add_setting(command: argparse.ArgumentParser, name: str, setting: Setting, default: str) -> None:
    details: dict[str, Any] = {"dest": name, "help": setting.help}
    if setting.kind is bool:
        command.add_argument(*setting.flags, action=argparse.BooleanOptionalAction, **details)
        return
    if setting.choices:
        details["choices"] = setting.choices
    elif setting.kind is list:
        details |= {"metavar": setting.metavar, "action": "append"}
    else:
        details["metavar"] = setting.metavar
        details["type"] = {tuple: interval, Cue: cue}.get(setting.kind, setting.kind)
        if setting.kind is Cue:
            details["action"] = "append"
    if setting.maximum is not None:
        details["help"] += f" ({setting.allowed})"
    if default:
        details["help"] += f"; default: {default}"
    command.add_argument(*setting.flags, **details)


def _shared_default(name: str) -> str:
    """The default of a setting that all presets have in common, as text; "" for one that depends on the preset."""
    values = {getattr(options, name) for options in PRESETS.values()}
    if len(values) > 1 or None in values:
        return ""
    (value,) = values
    return ":".join(f"{end:g}" for end in value) if isinstance(value, tuple) else f"{value}"


def interval(text: str) -> tuple[float, float]:
    """START:END as two numbers."""
    try:
        start, end = map(float, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:END, such as 0.2:0.8") from None
    return start, end


def cue(text: str) -> Cue:
    """SECONDS:PROMPT."""
    try:
        return parsed_cue(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def open_interval(text: str) -> tuple[float | None, float | None]:
    """START:END, either of which may be missing."""
    start, colon, end = text.partition(":")
    try:
        numbers = tuple(float(number) if number.strip() else None for number in (start, end))
    except ValueError:
        colon = ""
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:END, allowed: two numbers with a colon between them")
    return numbers[0], numbers[1]


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The values of `add_settings` by field of `Options`; None where the preset decides."""
    return {name: getattr(options, name) for name in settings()}


def options_of(options: argparse.Namespace) -> Options:
    """The settings of a generation. Raises ValueError for a value out of range."""
    return Options.from_preset(options.preset or "fast", **settings_of(options))


def keyword_flags() -> dict[str, str]:
    """Keyword -> flag of the settings that the command line calls differently."""
    flags = {name: setting.flags[-1] for name, setting in settings().items()}
    return {name: flag for name, flag in flags.items() if flag.strip("-").replace("-", "_") != name}


# ---- Files to write


def add_output(command: argparse.ArgumentParser, named_after: str) -> None:
    """Which files are written, and the report. named_after: what names a file that has no name."""
    add = command.add_argument
    extensions = ", ".join(f".{name}" for name in AUDIO_FORMATS)
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"{extensions}, or a folder; named after the {named_after} by default",
    )
    add("--format", choices=AUDIO_FORMATS, help="of a file that is named automatically; default: wav")
    add("--spectrogram", action="store_true", help="write a picture of the sound beside it")
    add("--no-tags", dest="tags", action="store_const", const="none", default="all", help="write no tags: see `info`")
    add("--no-settings", dest="tags", action="store_const", const="marking", help="tags without prompt and settings")
    add("--c2pa-certificate", type=Path, metavar="FILE", help="sign the files (Content Credentials): chain, as PEM")
    add("--c2pa-key", type=Path, metavar="FILE", help="its private key, as PEM")
    add("--json", action="store_true", help="print the file, settings and seconds of each stage as JSON")
    command.set_defaults(loudness=None, all_candidates=False)


def add_loudness(command: argparse.ArgumentParser) -> None:
    """For sounds that contain nothing of a recording."""
    command.add_argument(
        "--loudness",
        type=float,
        metavar="LUFS",
        help="bring the sound to this loudness, such as -16; default: as it is",
    )


def output_options_of(options: argparse.Namespace) -> OutputOptions:
    """What is written besides the sound. Raises ValueError for a loudness out of range."""
    from ppaudioldm.lists.write import OutputOptions

    if (options.c2pa_certificate is None) != (options.c2pa_key is None):
        raise ValueError("--c2pa-certificate and --c2pa-key belong together")
    signer = None
    if options.c2pa_certificate is not None:
        from ppaudioldm.audio.tagging.content_credentials import Signer

        signer = Signer(options.c2pa_certificate, options.c2pa_key)
    output = OutputOptions(options.loudness, options.spectrogram, options.all_candidates, options.tags, signer)
    output.check()
    return output


# ---- The checkpoint, and what runs it


def add_checkpoint(command: argparse.ArgumentParser, checkpoint: str | None) -> None:
    """Which checkpoint, by default `checkpoint`, and what runs it: the arguments of `open_pipeline`."""
    add = command.add_argument
    add(
        "-c",
        "--checkpoint",
        default=checkpoint,
        metavar="NAME|PATH",
        help=f"see `ppaudioldm checkpoints`; default: {checkpoint or 'none'}",
    )
    add_ema(command)
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


def add_ema(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="use the averaged UNet of a published file; default: of AudioLDM 1 only, as published",
    )


def add_without(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--without",
        choices=OPTIONAL_NETWORKS,
        action="append",
        default=[],
        help="leave out a network that generation from text does not need; may be repeated",
    )


def add_merged_lora(command: argparse.ArgumentParser) -> None:
    """For commands that write a checkpoint: its settings have the same flag, see `add_settings`."""
    setting = settings()["lora"]
    command.add_argument(*setting.flags, metavar=setting.metavar, action="append", default=[], help=setting.help)


def check_lora(options: argparse.Namespace) -> None:
    """Raise ValueError for a LoRA adapter of `add_settings` that cannot be read, before a checkpoint is opened."""
    from ppaudioldm.weights.lora import read_adapters

    read_adapters(options.lora or ())


def add_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--framework", choices=FRAMEWORKS, help="default: $PPAUDIOLDM_FRAMEWORK, or the one installed")


def choose_framework(options: argparse.Namespace) -> None:
    """Must come before the first import of a module that uses `framework`. Raises ValueError if it comes too late."""
    if options.framework:
        os.environ["PPAUDIOLDM_FRAMEWORK"] = chosen_framework(options.framework)


def open_pipeline(options: argparse.Namespace) -> AudioLDM:
    """The pipeline that the arguments of `add_checkpoint` name."""
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
