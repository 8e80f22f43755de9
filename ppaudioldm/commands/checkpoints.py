"""`checkpoints`, `convert` and `random-checkpoint`: the models themselves."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.commands.arguments import (
    add_ema,
    add_framework,
    add_merged_lora,
    add_without,
    choose_framework,
)
from ppaudioldm.commands.console import notify


def add(commands: Any) -> None:
    command = commands.add_parser("checkpoints", help="list the published checkpoints, or what one of them knows")
    command.add_argument("name", nargs="?", metavar="NAME|PATH", help="list the sounds that this one was trained on")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=checkpoints)

    command = commands.add_parser("convert", help="write a checkpoint as a folder of this project's layout")
    command.add_argument("source", metavar="NAME|PATH")
    command.add_argument("destination", type=Path, metavar="FOLDER")
    command.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="default: float32")
    add_without(command)
    add_ema(command)
    add_merged_lora(command)
    _add_overwrite_and_framework(command)
    command.set_defaults(run=convert)

    command = commands.add_parser("random-checkpoint", help="write a full-size checkpoint of random values")
    command.add_argument("name", metavar="NAME", choices=list(CHECKPOINTS), help="whose configuration to take")
    command.add_argument("destination", type=Path, metavar="PATH")
    command.add_argument("--layout", choices=("original", "diffusers", "native", "consistencytta"), default="native")
    command.add_argument("--seed", type=int, default=0)
    _add_overwrite_and_framework(command)
    command.set_defaults(run=random_checkpoint)


def checkpoints(options: argparse.Namespace) -> None:
    if options.name is not None:
        _tell_sounds(options.name, options.json)
        return
    if options.json:
        table = {
            name: {
                field: getattr(info, field)
                for field in ("summary", "layout", "repo", "zenodo", "licence", "download_gb")
            }
            | {"sample_rate": info.config.sample_rate}
            for name, info in CHECKPOINTS.items()
        }
        print(json.dumps(table, indent=1))
        return
    width = max(map(len, CHECKPOINTS))
    for name, info in CHECKPOINTS.items():
        size = f"{info.download_gb:4.1f} GB" if info.download_gb else "built in"
        print(f"{name:{width}}  {info.config.sample_rate // 1000} kHz  {size:>8}  {info.licence}  {info.summary}")


def _tell_sounds(name: str, as_json: bool) -> None:
    """What a checkpoint knows, if that is listed."""
    info = CHECKPOINTS.get(name)
    known = None
    if info is None or info.layout == "built-in":  # what is published is not downloaded for this
        from ppaudioldm.weights.locate import locate
        from ppaudioldm.weights.native import read_known_sounds

        located = locate(name)
        known = read_known_sounds(located.path) if located.path else None
    if as_json:
        print(json.dumps({"name": name, "knows": known and known.to_dict()}, indent=1))
    elif known is None:
        print(f"{name}: {info.summary if info else 'nobody has listed what it knows'}")
    else:
        width = max(len(sound.title) for sound in known.sounds)
        for sound in known.sounds:
            print(f"{sound.title:{width}}  such as: {sound.prompt}")


def convert(options: argparse.Namespace) -> None:
    choose_framework(options)
    _check_free(options.destination, options.overwrite)
    from ppaudioldm.weights.checkpoint import open_checkpoint, without_networks
    from ppaudioldm.weights.convert import check_names_folder, write_native
    from ppaudioldm.weights.lora_merge import with_lora

    check_names_folder(options.destination)  # before anything is downloaded
    checkpoint = with_lora(open_checkpoint(options.source, ema=options.ema), options.lora)
    checkpoint = without_networks(checkpoint, options.without)
    write_native(checkpoint, options.destination, options.dtype, notify=notify)
    print(options.destination)


def random_checkpoint(options: argparse.Namespace) -> None:
    choose_framework(options)
    _check_free(options.destination, options.overwrite)
    from ppaudioldm.weights.convert import write_random

    write_random(options.name, options.destination, options.layout, options.seed, notify=notify)
    print(options.destination)


def _add_overwrite_and_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace what stands at the destination")
    add_framework(command)


def _check_free(destination: Path, overwrite: bool) -> None:
    if os.path.lexists(destination) and not overwrite:
        raise ValueError(f"{destination} exists: choose another name, or add --overwrite")
