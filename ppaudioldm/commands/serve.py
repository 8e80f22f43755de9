"""`serve`: a server that existing clients can talk to."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppaudioldm.checkpoints import DEFAULT_CHECKPOINT
from ppaudioldm.commands.arguments import add_checkpoint, choose_framework
from ppaudioldm.commands.console import notify

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
SIZES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}

EXAMPLES = """\
examples:
  ppaudioldm serve --checkpoint cvssp/audioldm2
  ppaudioldm serve -c cvssp/audioldm2 --speech-checkpoint anhnct/audioldm2_gigaspeech --port 8000
  curl localhost:8000/v1/sound-generation --json '{"text": "a dog barks"}' -o dog.mp3

Existing clients of ElevenLabs and OpenAI need only this server's address. docs/server.md tells of every endpoint.
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "serve",
        help="answer over HTTP, as ElevenLabs and OpenAI do",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(command)
    command.set_defaults(run=serve)


def add_options(command: argparse.ArgumentParser) -> None:
    """What a server can be told."""
    add = command.add_argument
    add("--host", default="127.0.0.1", help="default: 127.0.0.1, which only this machine reaches")
    add("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")
    add_checkpoint(command, DEFAULT_CHECKPOINT)
    add("--speech-checkpoint", metavar="NAME|PATH", help="one that speaks, besides; default: none")
    add("--voices", type=Path, metavar="FILE", help='JSON of further voices: {"id": "A man speaks slowly", ...}')
    add(
        "--api-keys",
        type=Path,
        metavar="FILE",
        help="one a line; or $PPAUDIOLDM_API_KEYS, with commas; default: none",
    )
    add("--data", type=Path, metavar="FOLDER", help="of finished jobs; default: $PPAUDIOLDM_DATA, or the user's own")
    add("--keep", type=_seconds, default="7d", metavar="TIME", help="how long they stay, such as 12h; default: 7d")
    add("--disk", type=_bytes, default="1GB", metavar="SIZE", help="that they may take; default: 1GB")
    add("--steps", type=int, metavar="N", help="of requests that say neither steps nor preset; default: 10")
    add("--queue", type=int, default=32, metavar="N", help="requests that wait; default: 32")
    add("--batch", type=int, default=4, metavar="N", help="clips made at once; default: 4")
    add("--max-duration", type=float, default=60.0, metavar="S", help="seconds of a clip; default: 60")
    add("--max-steps", type=int, default=200, metavar="N", help="denoising steps; default: 200")
    add("--max-candidates", type=int, default=8, metavar="N", help="of a request; default: 8")
    add("--max-text", type=int, default=5000, metavar="N", help="characters; default: 5000")
    add("--max-body", type=_bytes, default="64MB", metavar="SIZE", help="of a request; default: 64MB")
    add("--time-limit", type=_seconds, default="600s", metavar="TIME", help="of a request; default: 600s")
    add("--grace", type=_seconds, default="30s", metavar="TIME", help="for what runs when it is stopped; default: 30s")


def _number_with(units: dict[str, int], example: str) -> Callable[[str], float]:
    def parsed(text: str) -> float:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-z]*)", text.strip().lower())
        if match is None or match[2] not in units:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number with a unit, such as {example}")
        return float(match[1]) * units[match[2]]

    return parsed


_seconds = _number_with(UNITS, "90s, 12h or 7d")
_bytes = _number_with(SIZES, "500MB or 2GB")


def serve(options: argparse.Namespace) -> None:
    run(options, lambda service, app: app)


def run(options: argparse.Namespace, finish: Callable[[Any, Any], Any]) -> None:
    """Serve as the options say; what answers is what `finish` makes of the service and its application."""
    choose_framework(options)
    try:
        from ppaudioldm.serving.app import create_app
        from ppaudioldm.serving.run import serve as run_server
    except ModuleNotFoundError as error:
        raise ValueError(f"serve needs {error.name}: pip install 'ppaudioldm[serve]'") from error
    from ppaudioldm.serving.models import Models
    from ppaudioldm.serving.service import Service
    from ppaudioldm.serving.voices import all_voices

    settings = settings_of(options)
    voices = all_voices(options.voices)
    names = [options.checkpoint, *([options.speech_checkpoint] if options.speech_checkpoint else [])]
    models = Models.open(
        names,
        engine=options.engine,
        device=options.device,
        precision=options.precision,
        ema=options.ema,
        compile_step=options.compile,
        vocoder=options.vocoder,
        low_memory=bool(options.low_memory),
    )
    check_speech(options, models)
    service = Service(models, settings)
    tell_what_is_served(models, settings, options.host)
    run_server(service, finish(service, create_app(service, voices)), options.host, options.port, notify)


def settings_of(options: argparse.Namespace) -> Any:
    """Raises ValueError for a value that cannot be, OSError for a file of keys that cannot be read."""
    from ppaudioldm.serving.settings import Limits, Settings, read_api_keys
    from ppaudioldm.storage.folders import data_folder

    limits = Limits(
        duration_s=options.max_duration,
        steps=options.max_steps,
        candidates=options.max_candidates,
        text_characters=options.max_text,
        body_bytes=int(options.max_body),
        timeout_s=options.time_limit,
    )
    return Settings(
        folder=(options.data or data_folder()) / "jobs",
        limits=limits,
        default_steps=options.steps,
        queue_size=options.queue,
        batch_size=options.batch,
        keep_s=options.keep,
        disk_bytes=int(options.disk),
        grace_s=options.grace,
        api_keys=read_api_keys(options.api_keys),
    )


def check_speech(options: argparse.Namespace, models: Any) -> None:
    """Raise ValueError for a speech checkpoint that does not speak, or without what reads text aloud."""
    if options.speech_checkpoint and not models.all[-1].speaks:
        raise ValueError(f"{options.speech_checkpoint} does not speak, but is --speech-checkpoint")
    if models.speaks():
        from ppaudioldm.text.phonemes import to_phonemes

        to_phonemes("a")


def tell_what_is_served(models: Any, settings: Any, host: str) -> None:
    for model in models.all:
        random = "; random weights, so it makes noise" if model.is_random else ""
        notify(f"{model.name}: {', '.join(model.tasks)}; {model.sample_rate} Hz; licence: {model.licence}{random}")
    if not settings.api_keys and not _is_loopback(host):
        notify(f"warning: whoever reaches {host} may use this server: --api-keys asks for a key")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
