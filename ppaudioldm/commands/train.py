"""`train`: one training stage or all of them, started or resumed. `assemble`: a checkpoint out of trained stages."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ppaudioldm.commands.arguments import add_framework, add_without, choose_framework
from ppaudioldm.training.settings import LEFT
from ppaudioldm.training.stages import STAGES as MODEL_STAGES
from ppaudioldm.training.stages import stage_classes
from ppaudioldm.training.viewers import VIEWERS

# The stages of a model, and the sound classifier of `evaluate`.
CLASSIFIER = ("ppaudioldm.evaluation.train_classifier", "ClassifierSettings", "ClassifierStage")
STAGES = {**MODEL_STAGES, "classifier": CLASSIFIER}
# The stages that train a checkpoint, or an adapter of one -> where their settings for it are.
OF_CHECKPOINTS = {"joint": "ppaudioldm.training.joint_settings", "distill": "ppaudioldm.training.distill"}
CHAIN = "chain"  # all stages of a model, and the checkpoint that they make
EPILOG = """\
A run keeps its state, log and samples in its folder; the same command resumes it. `train chain` trains all stages of a
model one after the other, each in a folder of its own, and writes the checkpoint FOLDER/model. Several processes:
  torchrun --nproc-per-node 2 $(which ppaudioldm) train vae --framework torch ...
  python -m paddle.distributed.launch --nproc_per_node 2 $(which ppaudioldm) train vae ...
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "train",
        help="train a stage of a model",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_argument = command.add_argument
    add_argument("stage", metavar="STAGE", choices=[*STAGES, CHAIN], help=", ".join([*STAGES, CHAIN]))
    add_argument(
        "--config", type=Path, metavar="FILE", help="settings as TOML; those it leaves out are the small model's"
    )
    add_argument("--print-config", action="store_true", help="print all settings as TOML and stop")
    add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="for state, log and samples; default: runs/STAGE, of a chain runs",
    )
    add_argument("--data", type=Path, metavar="PATH", help="recordings: a folder, .csv or .jsonl; default: synthesised")
    add_argument(
        "-c",
        "--checkpoint",
        metavar="NAME",
        help="joint: fine-tune this checkpoint; default: a new model. distill: distill it",
    )
    add_argument(
        "--lora-rank",
        type=int,
        metavar="N",
        help="joint or distill, with -c: train a LoRA adapter of this rank, no network",
    )
    add_argument(
        "--lora-targets",
        nargs="+",
        metavar="NAME",
        help="modules of diffusers' UNet, or ends of their names; default: to_q to_k to_v to_out.0",
    )
    add_argument("--steps", type=int, metavar="N", help="train up to step N")
    add_argument("--minutes", type=float, metavar="M", help="stop after M minutes; the same command resumes")
    add_argument(
        "--viewer",
        action="append",
        choices=list(VIEWERS),
        help="also write what TensorBoard or VisualDL shows, into a folder of that name; may be repeated",
    )
    add_argument("--device", help="cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: the best there is")
    add_framework(command)
    command.set_defaults(run=train)

    command = commands.add_parser("assemble", help="write a checkpoint out of trained stages")
    add_argument = command.add_argument
    add_argument(
        "joint", type=Path, metavar="RUN", help="of the stage joint, with the runs that its settings name, or distill"
    )
    add_argument("destination", type=Path, metavar="FOLDER")
    add_argument("--decoder", type=Path, metavar="RUN", help="of the stage vae, with train_encoder false")
    add_argument("--vocoder", type=Path, metavar="RUN", help="of the stage vocoder; default: Griffin-Lim, no network")
    add_argument("--name", help="of the checkpoint; default: the folder's")
    add_argument("--dtype", choices=("float32", "float16"), default="float16", help="default: float16")
    add_without(command)
    add_framework(command)
    command.set_defaults(run=assemble)


def train(options: argparse.Namespace) -> None:
    choose_framework(options)
    _check_installed()
    if options.stage == CHAIN:
        _train_chain(options)
    else:
        _train_stage(options)


def _train_stage(options: argparse.Namespace) -> None:
    from ppaudioldm.training.settings import read_settings, to_toml, with_overrides

    settings_class, stage_class = stage_classes(*STAGES[options.stage])
    settings: Any = settings_class()
    if options.checkpoint:
        if options.stage not in OF_CHECKPOINTS:
            allowed = " and ".join(OF_CHECKPOINTS)
            raise ValueError(f"--checkpoint is for the stages {allowed}, not for {options.stage}")
        settings = importlib.import_module(OF_CHECKPOINTS[options.stage]).settings_for(
            options.checkpoint, _lora(options)
        )
    elif options.lora_rank is not None or options.lora_targets:
        raise ValueError("--lora-rank and --lora-targets need --checkpoint, to which the adapter belongs")
    if options.config:
        settings = read_settings(options.config, settings)
    run = {name: getattr(options, name) for name in ("steps", "minutes") if getattr(options, name) is not None}
    run |= {"viewers": options.viewer} if options.viewer else {}
    settings = with_overrides(settings, {"run": run})
    if options.print_config:
        print(f"# ppaudioldm train {options.stage} --config FILE\n{to_toml(settings)}", end="")
        return
    if options.stage == "distill":
        from ppaudioldm.training.distill import completed

        settings = completed(settings)
    folder = options.output or Path("runs", options.stage)

    from ppaudioldm import framework
    from ppaudioldm.training import loop

    device = framework.checked_device(options.device) if options.device else None
    clips = None
    if options.data:
        from ppaudioldm.training.recordings import read_recordings

        clips = read_recordings(options.data, settings.duration)
    with _joined(device) as (process, should_stop):
        loop.train(
            stage_class(settings, process.device, clips),
            settings.run,
            folder,
            process,
            should_stop=should_stop,
            progress=lambda step, values: print(_line(step, settings.run.steps, values), flush=True),
        )
        if process.is_first and options.stage in OF_CHECKPOINTS and settings.lora.rank:
            _write_adapter(options.stage, settings, folder)


def _lora(options: argparse.Namespace) -> Any:
    """The adapter that the flags describe, None without a rank. Raises ValueError for targets without one."""
    from ppaudioldm.training.lora import ATTENTION, LoraSettings

    if options.lora_rank is None:
        if options.lora_targets:
            raise ValueError("--lora-targets needs --lora-rank")
        return None
    if options.lora_rank < 1:
        raise ValueError(f"--lora-rank is {options.lora_rank}, allowed: 1 and more")
    return LoraSettings(options.lora_rank, targets=tuple(options.lora_targets or ATTENTION))


def _write_adapter(stage: str, settings: Any, folder: Path) -> None:
    """Write the adapter that the run in `folder` has trained so far."""
    from ppaudioldm.training.distill import write_distilled_adapter
    from ppaudioldm.training.lora import write_run_adapter

    if stage == "distill":
        write_distilled_adapter(folder, folder / "adapter", settings)
    else:
        write_run_adapter(folder, folder / "adapter", settings.lora, settings.model, settings.checkpoint)
    print(f"{folder / 'adapter'}  (for --lora, and for peft)")


def _train_chain(options: argparse.Namespace) -> None:
    for name in ("steps", "checkpoint", "lora_rank", "lora_targets"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} is for one stage, not for the chain")
    from ppaudioldm.training.chain import ChainSettings, run_chain
    from ppaudioldm.training.settings import read_settings, to_toml

    settings = ChainSettings()
    if options.config:
        settings = read_settings(options.config, settings)
    if options.print_config:
        print(f"# ppaudioldm train chain --config FILE\n{to_toml(settings)}", end="")
        return
    folder = options.output or Path("runs")

    from ppaudioldm import framework
    from ppaudioldm.training.recordings import read_recordings

    device = framework.checked_device(options.device) if options.device else None
    with _joined(device) as (process, should_stop):
        is_complete = run_chain(
            settings,
            folder,
            process,
            minutes=options.minutes or 0.0,
            viewers=tuple(options.viewer or ()),
            clips=partial(read_recordings, options.data) if options.data else None,
            should_stop=should_stop,
            progress=lambda name, step, values: print(f"{name} {step}  {_values(values)}", flush=True),
        )
    if process.is_first:
        _write_model(settings, folder, is_complete)


def _write_model(settings: Any, folder: Path, is_complete: bool) -> None:
    """Write the checkpoint of the chain in `folder`, as far as it is trained, and what is distilled of it."""
    from ppaudioldm.training.assemble import count_parameters
    from ppaudioldm.training.chain import assemble_chain, assemble_distilled
    from ppaudioldm.weights.convert import write_native

    for name, assemble_one in (("model", assemble_chain), ("distilled", assemble_distilled)):
        if checkpoint := assemble_one(settings, folder):
            write_native(checkpoint, folder / name, "float16")
            print(f"{folder / name}  ({count_parameters(checkpoint) / 1e6:.1f} M parameters)")
    if not is_complete:
        print("stopped before the end: the same command resumes")


@contextmanager
def _joined(device: str | None) -> Iterator[tuple[Any, Callable[[], bool]]]:
    """This process among those that a launcher started, and whether a signal asks to stop. Raises KeyboardInterrupt at
    the end if one did."""
    from ppaudioldm.training import parallel

    process = parallel.join(device)
    stop = _StopSignals(is_alone=process.count == 1)
    try:
        yield process, stop.is_requested
    finally:
        parallel.leave(process)
        stop.restore()
    if stop.is_requested():
        raise KeyboardInterrupt


def assemble(options: argparse.Namespace) -> None:
    choose_framework(options)
    _check_installed()
    from ppaudioldm.training.assemble import assemble_checkpoint, count_parameters
    from ppaudioldm.weights.checkpoint import without_networks
    from ppaudioldm.weights.convert import write_native

    name = options.name or options.destination.name
    checkpoint = assemble_checkpoint(options.joint, options.decoder, options.vocoder, name)
    checkpoint = without_networks(checkpoint, options.without)
    write_native(checkpoint, options.destination, options.dtype)
    print(f"{options.destination}  ({count_parameters(checkpoint) / 1e6:.1f} M parameters)")


def _check_installed() -> None:
    for module in ("pydantic", "tomli_w"):
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"training needs {module}: pip install 'ppaudioldm[train]'")


class _StopSignals:
    """Ctrl-C or SIGTERM ends training after the current step, with its state saved; a second one at once.

    is_alone: False for one of several processes. Their launcher repeats its signals, and kills those that do not end.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, is_alone: bool) -> None:
        self._requested, self._is_alone = False, is_alone
        self._former_handlers = {number: signal.signal(number, self._on_signal) for number in self.SIGNALS}

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._requested and self._is_alone:
            raise KeyboardInterrupt
        self._requested = True

    def is_requested(self) -> bool:
        return self._requested

    def restore(self) -> None:
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)


def _line(step: int, steps: int, values: dict[str, float]) -> str:
    return f"{step}/{steps}  {_values(values)}"


def _values(values: dict[str, float]) -> str:
    shown = [f"{name} {value:.4g}" for name, value in values.items() if name != LEFT]
    return "  ".join([*shown, f"{_duration(values[LEFT])} left"] if LEFT in values else shown)


def _duration(seconds: float) -> str:
    """Such as 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
