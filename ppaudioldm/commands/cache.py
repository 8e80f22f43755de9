"""`cache`: the networks that were prepared for the openvino engine."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from ppaudioldm.errors import one_line


def add(commands: Any) -> None:
    command = commands.add_parser("cache", help="show or clear the networks prepared for the openvino engine")
    command.add_argument("name", nargs="?", help="of a checkpoint: only its entries are cleared")
    command.add_argument("--clear", action="store_true", help="remove them")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=cache)


def cache(options: argparse.Namespace) -> None:
    from ppaudioldm.openvino_engine.cache import clear, entries
    from ppaudioldm.storage.folders import cache_folder

    found = clear(options.name) if options.clear else entries()
    if options.json:
        rows = [dataclasses.asdict(entry) | {"folder": str(entry.folder)} for entry in found]
        print(json.dumps({"folder": str(cache_folder()), "removed" if options.clear else "entries": rows}, indent=1))
        return
    for entry in found:
        verb = "removed " if options.clear else ""
        name = " + ".join([entry.name, *map(one_line, entry.lora)])
        print(f"{verb}{name}  {entry.precision}  {entry.size / 1e6:.0f} MB  {', '.join(entry.functions)}")
    if not found:
        print(f"nothing in {cache_folder()}")
