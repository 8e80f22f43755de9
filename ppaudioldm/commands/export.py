"""`export`: a checkpoint as programs for Paddle Inference, or models for OpenVINO."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ppaudioldm.commands.arguments import add_ema, add_merged_lora
from ppaudioldm.commands.console import notify

FORMATS = ("paddle", "openvino")


def add(commands: Any) -> None:
    command = commands.add_parser("export", help="write a checkpoint as programs for Paddle Inference or OpenVINO")
    add = command.add_argument
    add("checkpoint", metavar="NAME|PATH")
    add("folder", type=Path, metavar="FOLDER", help="what is written; it must not exist")
    add("--format", choices=FORMATS, default="paddle", help="default: paddle")
    add("--half", action="store_true", help="of openvino: weights as float16, half the size")
    add_ema(command)
    add_merged_lora(command)
    add("--prompt", action="append", default=[], metavar="TEXT", help="store its token ids; may be repeated")
    add("--functions", nargs="+", metavar="NAME", help="write only these; default: all of the checkpoint")
    add("--overwrite", action="store_true", help="replace what is there")
    command.set_defaults(run=export)


def export(options: argparse.Namespace) -> None:
    if os.path.lexists(options.folder) and not options.overwrite:
        raise ValueError(f"{options.folder} exists: choose another name, or add --overwrite")
    if options.half and options.format != "openvino":
        raise ValueError("--half is for --format openvino")
    from ppaudioldm.export.export import export as write
    from ppaudioldm.weights.checkpoint import open_checkpoint
    from ppaudioldm.weights.lora_merge import with_lora

    checkpoint = with_lora(open_checkpoint(options.checkpoint, ema=options.ema), options.lora)
    if options.format == "openvino":
        from ppaudioldm.export.openvino_models import OpenVINOModels

        save: Any = OpenVINOModels(checkpoint, options.half)
    else:
        from ppaudioldm.export.paddle_programs import PaddlePrograms

        save = PaddlePrograms(checkpoint)
    write(checkpoint, options.folder, options.format, save, options.functions, options.prompt, notify)
    print(options.folder)
