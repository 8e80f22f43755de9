"""`bench`: speed and peak memory of a generation, stage by stage."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from ppaudioldm.choices import ENGINES, PRECISIONS
from ppaudioldm.commands.arguments import add_framework, add_merged_lora, check_lora, choose_framework

STEPS_HELP = "default: 10, or 1 for consistencytta, 4 for what is distilled"


def add(commands: Any) -> None:
    command = commands.add_parser("bench", help="time every stage of a generation: in a new process, again, and warm")
    command.add_argument("-c", "--checkpoint", default="audioldm2-full", metavar="NAME|PATH")
    command.add_argument(
        "--random-weights", action="store_true", help="random weights of the same sizes, without a download"
    )
    command.add_argument("-d", "--duration", type=float, default=10.0, metavar="S", help="default: 10")
    command.add_argument("--steps", type=int, dest="num_inference_steps", metavar="N", help=STEPS_HELP)
    command.add_argument("--engine", choices=ENGINES)
    command.add_argument("--precision", choices=PRECISIONS, default="auto")
    command.add_argument("--low-memory", action="store_true", help="hold one network at a time")
    command.add_argument("--device", help="cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: the best there is")
    command.add_argument("--json", action="store_true", help="print JSON")
    add_merged_lora(command)
    add_framework(command)
    command.set_defaults(run=bench)


def bench(options: argparse.Namespace) -> None:
    choose_framework(options)
    check_lora(options)
    from ppaudioldm.evaluation import speed

    names = [field.name for field in dataclasses.fields(speed.Settings)]
    result = speed.bench(speed.Settings(**{name: getattr(options, name) for name in names}))
    print(json.dumps(result, indent=1) if options.json else speed.table(result))
