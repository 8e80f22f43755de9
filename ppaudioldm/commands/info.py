"""`info`: what a checkpoint holds, or what the tags of a sound file say of how it was generated."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ppaudioldm.commands.arguments import add_framework, choose_framework
from ppaudioldm.errors import one_line

EXAMPLES = """\
examples:
  ppaudioldm info clip.wav
  ppaudioldm info --json one.mp3 another.mp3
  ppaudioldm info checkpoints/audioldm2-full.pth
"""
MOST_SHOWN = 500  # characters of a value


def add(commands: Any) -> None:
    command = commands.add_parser(
        "info",
        help="say how a sound file was generated, or what a checkpoint holds",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("paths", nargs="+", metavar="NAME|PATH", help="sound files or checkpoints")
    command.add_argument("--json", action="store_true", help="print JSON")
    add_framework(command)
    command.set_defaults(run=info)


def info(options: argparse.Namespace) -> None:
    choose_framework(options)
    from ppaudioldm.audio.formats import FORMATS, MEDIA_EXTENSIONS

    for path in options.paths:
        if Path(path).suffix.lower() in (*FORMATS, *MEDIA_EXTENSIONS):
            facts = sound_facts(path)
            print(json.dumps(facts) if options.json else _lines(facts))
        else:
            _show_checkpoint(path, options.json)


def _show_checkpoint(path: str, as_json: bool) -> None:
    import math

    from ppaudioldm.weights.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(path)
    sizes = {
        network: sum(math.prod(tensor.shape) for tensor in parameters.values())
        for network, parameters in checkpoint.networks.items()
    }
    if as_json:
        values = {
            "name": checkpoint.name,
            "layout": checkpoint.layout,
            "licence": checkpoint.licence,
            "parameters": sizes,
        }
        print(json.dumps(values | {"config": checkpoint.config.to_dict()}, indent=1))
        return
    config = checkpoint.config
    licence = f", weights licensed {checkpoint.licence}" if checkpoint.licence else ""
    print(f"{checkpoint.name}: {checkpoint.layout} layout, {config.sample_rate} Hz{licence}")
    by_film = ["CLAP by FiLM"] if config.unet.film_dim else []
    scale = ["guidance scale"] if config.unet.guidance_dim else []
    print(f"conditions: {', '.join([*config.contexts, *by_film, *scale])}")
    for network, size in sizes.items():
        print(f"  {network:12} {size / 1e6:8.2f} M parameters")
    print(f"  {'all':12} {sum(sizes.values()) / 1e6:8.2f} M parameters")


def sound_facts(path: str) -> dict[str, Any]:
    """What is known of the sound file `path`, as JSON takes it. Raises ValueError for what is none, OSError."""
    from ppaudioldm.audio.read import sound_file
    from ppaudioldm.audio.tagging.files import read_tags
    from ppaudioldm.tasks.stored_settings import about

    with sound_file(path) as source:
        frames, rate, channels = source.frames, source.samplerate, source.channels
    seconds = None if frames is None else round(frames / rate, 3)
    return {"file": path, "seconds": seconds, "sample_rate": rate, "channels": channels, **about(read_tags(path))}


def _lines(facts: dict[str, Any]) -> str:
    seconds = "" if facts["seconds"] is None else f"{facts['seconds']:g} s, "
    channels = "1 channel" if facts["channels"] == 1 else f"{facts['channels']} channels"
    lines = [f"{one_line(facts['file'])}: {seconds}{facts['sample_rate']} Hz, {channels}"]
    if not facts["marked"]:
        lines.append("  not marked as AI-generated")
    lines += [f"  {name.lower()}: {_shown(text)}" for name, text in facts["tags"].items()]
    for name, value in {**(facts["settings"] or {}), **facts["opened_with"]}.items():
        lines.append(f"  {name}: {_shown(value)}")
    if facts["recording"]:
        lines.append("  made from a recording, which is not in it")
    if facts["problem"]:
        lines.append(f"  {facts['problem']}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
