"""The `ppaudioldm` command. Nothing heavy is imported before a command needs it: `--help` answers at once."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ppaudioldm import __version__
from ppaudioldm.checkpoints import CHECKPOINTS, speech_names
from ppaudioldm.options import MAX_DURATION, MIN_DURATION, PRESETS, Options, Progress

USAGE_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT
# As in the modules of these names, which are too heavy for `--help`.
ENGINES = ("auto", "openvino", "eager")
PRECISIONS = ("auto", "f32", "bf16", "fp16")
SPEAKER = "A female reporter is speaking"
SAMPLERS = ("ddim", "plms", "ddpm", "dpm++")
SPACINGS = ("leading", "linear", "log-snr", "karras")

EXAMPLES = """\
examples:
  ppaudioldm generate "a cat purring" -o cat.wav
  ppaudioldm generate "a cat purring" --checkpoint cvssp/audioldm2 --preset original --seed 7
  ppaudioldm generate "rain on a tin roof" --duration 30 --negative-prompt "music, speech"
  ppaudioldm speak "Wish you have a good day" --speaker "A man speaks slowly" -o wish.wav
  ppaudioldm checkpoints
  ppaudioldm convert audioldm2-full.pth audioldm2-full --dtype float16
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (those of the process by default) and return its exit code.

    0: done. 2: bad input or a file that can't be read or written, told in one line on stderr. 130: Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    _log_to_stderr()
    try:
        options.run(options)
    except KeyboardInterrupt:
        _tell("stopped")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, MemoryError) as error:
        _tell(f"error: {_with_flags(_one_line(error))}")
        return USAGE_ERROR
    return 0


# ---- Commands


def generate(options: argparse.Namespace) -> None:
    _make(options, options.prompt)


def speak(options: argparse.Namespace) -> None:
    if not options.phonemes:
        from ppaudioldm.audio.phonemes import to_phonemes

        to_phonemes(options.text)  # a missing extra, or nothing to say, is found before a download
    _make(options, options.text)


def _make(options: argparse.Namespace, title: str) -> None:
    """What `generate` and `speak` share: everything but the call that makes the clip. title: names the file."""
    start = time.perf_counter()
    settings = {field: getattr(options, field) for field in _SETTINGS}
    checked = Options.from_preset(options.preset, **settings)
    checked.check_prompts([options.prompt])
    _check_speaks(options)

    from ppaudioldm.audio.files import check_writable, safe_name, unique_path

    folder = options.output if options.output and options.output.is_dir() else None
    target = options.output if folder is None and options.output else None
    check_writable(target or Path(folder or ".", "probe.wav"))
    _choose_framework(options)
    from ppaudioldm.pipeline import AudioLDM

    pipeline = AudioLDM.from_pretrained(
        options.checkpoint,
        engine=options.engine,
        device=options.device,
        precision=options.precision,
        ema=options.ema,
        compile_step=options.compile,
    )
    opened = time.perf_counter() - start
    settings |= {"seed": options.seed, "preset": options.preset}
    with _ProgressBar() as bar:
        if _speaks(options):
            from ppaudioldm import speech

            settings["duration"] = checked.duration
            clip = speech.speak(
                pipeline,
                options.text,
                speaker=options.prompt,
                phonemes=options.phonemes,
                progress=bar.show,
                **settings,
            )
        else:
            clip = pipeline.generate(options.prompt, progress=bar.show, **settings)
    target = target or unique_path(folder or ".", safe_name(title), ".wav")
    (path,) = clip.save(target)
    if pipeline.checkpoint.is_random:
        _tell(f"note: {options.checkpoint} has random weights, so this is noise and not the sound of the prompt")
    seconds = {"open": opened, **clip.seconds, "total": time.perf_counter() - start}
    report = {
        "file": str(path),
        "prompt": options.prompt,
        **({"text": options.text} if _speaks(options) else {}),
        "seed": clip.seeds[0],
        "score": clip.scores[0] if clip.scores else None,
        "checkpoint": str(options.checkpoint),
        "sample_rate": clip.sample_rate,
        "samples": clip.waveforms.shape[1],
        "settings": dataclasses.asdict(checked),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    if options.json:
        print(json.dumps(report))
    else:
        fit = f", CLAP score {clip.scores[0]:.3f}" if clip.scores else ""
        print(f"{path}  (seed {clip.seeds[0]}{fit}, {seconds['total']:.1f} s)")


def checkpoints(options: argparse.Namespace) -> None:
    if options.json:
        table = {
            name: {field: getattr(info, field) for field in ("summary", "layout", "repo", "licence", "download_gb")}
            | {"sample_rate": info.config.sample_rate}
            for name, info in CHECKPOINTS.items()
        }
        print(json.dumps(table, indent=1))
        return
    width = max(map(len, CHECKPOINTS))
    for name, info in CHECKPOINTS.items():
        size = f"{info.download_gb:4.1f} GB" if info.download_gb else "built in"
        print(f"{name:{width}}  {info.config.sample_rate // 1000} kHz  {size:>8}  {info.licence}  {info.summary}")


def info(options: argparse.Namespace) -> None:
    _choose_framework(options)
    import math

    from ppaudioldm.weights.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(options.path)
    sizes = {
        network: sum(math.prod(tensor.shape) for tensor in parameters.values())
        for network, parameters in checkpoint.networks.items()
    }
    if options.json:
        values = {"name": checkpoint.name, "layout": checkpoint.layout, "parameters": sizes}
        print(json.dumps(values | {"config": checkpoint.config.to_dict()}, indent=1))
        return
    config = checkpoint.config
    print(f"{checkpoint.name}: {checkpoint.layout} layout, {config.sample_rate} Hz")
    print(f"conditions: {', '.join([*config.contexts, *(['CLAP by FiLM'] if config.unet.film_dim else [])])}")
    for network, size in sizes.items():
        print(f"  {network:12} {size / 1e6:8.2f} M parameters")
    print(f"  {'all':12} {sum(sizes.values()) / 1e6:8.2f} M parameters")


def convert(options: argparse.Namespace) -> None:
    _choose_framework(options)
    _check_free(options.destination, options.overwrite)
    from ppaudioldm.weights.checkpoint import open_checkpoint
    from ppaudioldm.weights.convert import write_native

    checkpoint = open_checkpoint(options.source, ema=options.ema)
    write_native(checkpoint, options.destination, options.dtype, notify=_tell)
    print(options.destination)


def random_checkpoint(options: argparse.Namespace) -> None:
    _choose_framework(options)
    _check_free(options.destination, options.overwrite)
    from ppaudioldm.weights.convert import write_random

    write_random(options.name, options.destination, options.layout, options.seed, notify=_tell)
    print(options.destination)


def cache(options: argparse.Namespace) -> None:
    from ppaudioldm.engines.prepared import cache_folder, clear, entries

    found = clear(options.name) if options.clear else entries()
    if options.json:
        rows = [dataclasses.asdict(entry) | {"folder": str(entry.folder)} for entry in found]
        print(json.dumps({"folder": str(cache_folder()), "removed" if options.clear else "entries": rows}, indent=1))
        return
    for entry in found:
        verb = "removed " if options.clear else ""
        print(f"{verb}{entry.name}  {entry.precision}  {entry.size / 1e6:.0f} MB  {', '.join(entry.functions)}")
    if not found:
        print(f"nothing in {cache_folder()}")


def bench(options: argparse.Namespace) -> None:
    _choose_framework(options)
    from ppaudioldm.bench import Settings, table
    from ppaudioldm.bench import bench as measured

    names = [field.name for field in dataclasses.fields(Settings)]
    result = measured(Settings(**{name: getattr(options, name) for name in names}))
    print(json.dumps(result, indent=1) if options.json else table(result))


# ---- What they share

# Options of `generate` that are settings of a preset: command line name = keyword of AudioLDM.generate.
_SETTINGS = (
    "negative_prompt",
    "duration",
    "num_inference_steps",
    "guidance_scale",
    "sampler",
    "eta",
    "spacing",
    "num_waveforms_per_prompt",
    "batch_size",
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage in front."""
        self.exit(USAGE_ERROR, f"{self.prog}: error: {_one_line(message)} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ppaudioldm",
        description="AudioLDM 2 for PaddlePaddle: text to sound.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ppaudioldm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands)
    _add_speak(commands)

    command = commands.add_parser("checkpoints", help="list the published checkpoints")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=checkpoints)

    command = commands.add_parser("info", help="say what a checkpoint file or folder holds")
    command.add_argument("path", metavar="NAME|PATH")
    command.add_argument("--json", action="store_true", help="print JSON")
    _add_framework(command)
    command.set_defaults(run=info)

    command = commands.add_parser("convert", help="write a checkpoint as a folder of this project's layout")
    command.add_argument("source", metavar="NAME|PATH")
    command.add_argument("destination", type=Path, metavar="FOLDER")
    command.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="default: float32")
    command.add_argument("--ema", action="store_true", help="take the averaged UNet of a published file")
    _add_overwrite_and_framework(command)
    command.set_defaults(run=convert)

    command = commands.add_parser("cache", help="show or clear the networks prepared for the openvino engine")
    command.add_argument("name", nargs="?", help="of a checkpoint: only its entries are cleared")
    command.add_argument("--clear", action="store_true", help="remove them")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=cache)

    command = commands.add_parser("bench", help="time every stage of a generation: in a new process, again, and warm")
    command.add_argument("-c", "--checkpoint", default="audioldm2-full", metavar="NAME|PATH")
    command.add_argument("--random-weights", action="store_true", help="of that size, without a download")
    command.add_argument("-d", "--duration", type=float, default=10.0, metavar="S", help="default: 10")
    command.add_argument("--steps", type=int, dest="num_inference_steps", default=10, metavar="N", help="default: 10")
    command.add_argument("--engine", choices=ENGINES)
    command.add_argument("--precision", choices=PRECISIONS, default="auto")
    command.add_argument("--device", help="cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: the best there is")
    command.add_argument("--json", action="store_true", help="print JSON")
    _add_framework(command)
    command.set_defaults(run=bench)

    command = commands.add_parser("random-checkpoint", help="write a full-size checkpoint of random values")
    command.add_argument("name", metavar="NAME", choices=list(CHECKPOINTS), help="whose configuration to take")
    command.add_argument("destination", type=Path, metavar="PATH")
    command.add_argument("--layout", choices=("original", "diffusers", "native"), default="native")
    command.add_argument("--seed", type=int, default=0)
    _add_overwrite_and_framework(command)
    command.set_defaults(run=random_checkpoint)
    return parser


def _add_generate(commands: Any) -> None:
    command = commands.add_parser(
        "generate",
        help="make a sound from a prompt",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("prompt", help="what it should sound like")
    _add_settings(command, "audioldm2-full", "prompt")
    command.set_defaults(run=generate)


def _add_speak(commands: Any) -> None:
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
    _add_settings(command, "audioldm2-speech-gigaspeech", "text")
    command.set_defaults(run=speak)


def _add_settings(command: argparse.ArgumentParser, checkpoint: str, named_after: str) -> None:
    add = command.add_argument
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f".wav, .flac, .ogg or .mp3, or a folder; named after the {named_after} by default",
    )
    add(
        "-c",
        "--checkpoint",
        default=checkpoint,
        metavar="NAME|PATH",
        help=f"see `ppaudioldm checkpoints`; default: {checkpoint}",
    )
    add("-d", "--duration", type=float, metavar="S", help=f"{MIN_DURATION} to {MAX_DURATION:g} seconds; default: 10")
    add(
        "--preset",
        choices=list(PRESETS),
        default="fast",
        help="fast: 25 steps of dpm++, the default; original: 200 of ddim, best of 3",
    )
    add("--steps", type=int, dest="num_inference_steps", metavar="N", help="denoising steps, 1 to 1000")
    add("--sampler", choices=SAMPLERS)
    add("--eta", type=float, help="of ddim: 0 draws no noise between steps, 1 as much as ddpm")
    add("--spacing", choices=SPACINGS, help="of the steps of dpm++; default: log-snr")
    add("-w", "--guidance-scale", type=float, metavar="W", help="how closely to follow the prompt; default: 3.5")
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
    add("--ema", action="store_true", help="use the averaged UNet of a published file")
    add("--engine", choices=ENGINES, help="openvino: fastest on a CPU, translates the networks once; default: auto")
    add("--precision", choices=PRECISIONS, default="auto", help="default: bf16 where the CPU, or PyTorch's GPU, has it")
    add("--compile", action="store_true", help="of eager with PyTorch: compile the UNet step, for many clips on a GPU")
    add("--device", help="cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: the best there is")
    add("--json", action="store_true", help="print the file, settings and seconds of each stage as JSON")
    _add_framework(command)


def _add_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--framework", choices=("paddle", "torch"), help="default: paddle, or $PPAUDIOLDM_FRAMEWORK")


def _add_overwrite_and_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace what stands at the destination")
    _add_framework(command)


def _choose_framework(options: argparse.Namespace) -> None:
    """Must come before the first import of a module that uses `framework`."""
    if options.framework:
        os.environ["PPAUDIOLDM_FRAMEWORK"] = options.framework


def _check_free(destination: Path, overwrite: bool) -> None:
    if os.path.lexists(destination) and not overwrite:
        raise ValueError(f"{destination} exists: choose another name, or add --overwrite")


def _speaks(options: argparse.Namespace) -> bool:
    return options.run is speak


def _check_speaks(options: argparse.Namespace) -> None:
    """Raise ValueError for a published checkpoint of the other kind, before it is downloaded."""
    info = CHECKPOINTS.get(options.checkpoint)
    if info and (info.config.phoneme_encoder is not None) != _speaks(options):
        if _speaks(options):
            raise ValueError(f"{options.checkpoint} does not speak, choose from {', '.join(speech_names())}")
        raise ValueError(f"{options.checkpoint} says a text: use `ppaudioldm speak`")


class _ProgressBar:
    """A bar on stderr, where that is a terminal: the stage, the steps of the longest one, and the time left."""

    def __enter__(self) -> _ProgressBar:
        from tqdm import tqdm

        self._shown = ("", 0)
        self._bar = tqdm(
            total=0, disable=None, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {remaining} left"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: Progress) -> None:
        if (progress.stage, progress.total) != self._shown:
            self._shown = progress.stage, progress.total
            self._bar.reset(progress.total)
            self._bar.set_description_str(f"{progress.stage:8}")
        self._bar.n = progress.done
        self._bar.refresh()


class _OneLineHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _tell(f"{record.levelname.lower()}: {_one_line(record.getMessage())}")


def _log_to_stderr() -> None:
    logger = logging.getLogger("ppaudioldm")
    logger.handlers = [_OneLineHandler(logging.WARNING)]
    logger.propagate = False


def _tell(message: str) -> None:
    print(f"ppaudioldm: {message}", file=sys.stderr, flush=True)


def _with_flags(message: str) -> str:
    """An error of the library, whose keywords the command line calls otherwise."""
    for keyword, flag in {"num_inference_steps": "--steps", "num_waveforms_per_prompt": "--candidates"}.items():
        message = message.replace(keyword, flag)
    return message


def _one_line(message: object) -> str:
    return " ".join(str(message).splitlines()) or type(message).__name__


if __name__ == "__main__":
    sys.exit(main())
