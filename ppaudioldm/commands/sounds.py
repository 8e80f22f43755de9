"""`sounds`: examples of the sounds with captions that built-in models are trained on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MOST_PER_KIND = 100
DURATION_S = 5.12

EXAMPLES = """\
examples:
  ppaudioldm sounds
  ppaudioldm sounds examples --kinds dog,piano,sequence --per-kind 4
  ppaudioldm sounds examples --language zh --split test
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "sounds",
        help="list the sounds that built-in models are trained on, or write examples",
        description="Lists the kinds of sound, or writes clips, their captions and a sheet of spectrograms to FOLDER.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("folder", nargs="?", type=Path, metavar="FOLDER", help="where to write examples")
    add("--kinds", default="", metavar="NAMES", help="NAME,NAME of the list; default: all")
    add("--per-kind", type=int, default=4, metavar="N", help="clips of each; default: 4")
    add("-d", "--duration", type=float, default=DURATION_S, metavar="S", help=f"default: {DURATION_S}")
    add("--split", choices=("train", "test"), default="train", help="test: held out from training")
    add("--language", choices=("en", "zh"), help="of the captions; default: either")
    add("--seed", type=int, default=0)
    add("--json", action="store_true", help="print JSON")
    command.set_defaults(run=sounds)


def sounds(options: argparse.Namespace) -> None:
    from ppaudioldm.sounds.collection import KINDS, SINGLE_KINDS, describe

    kinds = [name.strip() for name in options.kinds.split(",") if name.strip()] or list(KINDS)
    unknown = [name for name in kinds if name not in KINDS]
    if unknown:
        raise ValueError(f"--kinds has {unknown[0]!r}, choose from {', '.join(KINDS)}")
    if not 1 <= options.per_kind <= MOST_PER_KIND:
        raise ValueError(f"--per-kind is {options.per_kind}, allowed: 1 to {MOST_PER_KIND}")
    if options.folder:
        _write(options, kinds)
        return
    described = describe(kinds)
    if options.json:
        print(json.dumps([dict(zip(("name", "title", "prompt"), row, strict=True)) for row in described], indent=1))
        return
    name_width, title_width = (max(len(row[column]) for row in described) for column in (0, 1))
    for name, title, prompt in described:
        chinese = f"; {SINGLE_KINDS[name].words.title[1]}" if name in SINGLE_KINDS else ""
        print(f"{name:{name_width}}  {title:{title_width}}  such as: {prompt}{chinese}")


def _write(options: argparse.Namespace, kinds: list[str]) -> None:
    from ppaudioldm.audio.mel import log_mel
    from ppaudioldm.audio.sheet import write_sheet
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.sounds.clips import SAMPLE_RATE, example
    from ppaudioldm.storage.atomic import atomic_path

    rows: list[list[np.ndarray]] = []
    lines: list[str] = []
    options.folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        rows.append([])
        for number in range(options.per_kind):
            clip = example(number, (kind,), options.duration, options.split, options.language, options.seed)
            name = f"{kind}-{number:02d}.wav"
            write_audio(options.folder / name, clip.waveform, SAMPLE_RATE)
            rows[-1].append(log_mel(clip.waveform))
            facts = {"name": name, "caption": clip.caption, "kind": kind, "language": clip.language}
            lines.append(json.dumps(facts | {"parameters": clip.parameters}, ensure_ascii=False))
    write_sheet(options.folder / "spectrograms.png", rows, kinds)
    with atomic_path(options.folder / "captions.jsonl") as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    listed = {"folder": str(options.folder), "clips": len(lines), "rows": kinds}
    print(
        json.dumps(listed)
        if options.json
        else f"{options.folder}: {len(lines)} clips, captions.jsonl, spectrograms.png"
    )
