"""`mcp`: tools for assistants, over stdin and stdout or over HTTP."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.commands.console import notify
from ppaudioldm.commands.serve import add_options, end_abandoned, opened, run, settings_of
from ppaudioldm.serving.settings import all_options

if TYPE_CHECKING:
    from fastapi import FastAPI
    from mcp.server.lowlevel import Server

    from ppaudioldm.serving.service import Service
    from ppaudioldm.serving.settings import ServerSettings
    from ppaudioldm.serving.voices import Voice

EXAMPLES = """\
examples:
  ppaudioldm mcp --output ~/Music/generated
  ppaudioldm mcp -c cvssp/audioldm2 --speech-checkpoint anhnct/audioldm2_gigaspeech
  ppaudioldm mcp --http --port 8000 --api-keys keys.txt

An assistant starts the first itself: docs/mcp.md says what to write into the settings of common ones. With --http it is
the server of `ppaudioldm serve`, which answers assistants at http://127.0.0.1:8000/mcp.
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "mcp",
        help="let assistants generate and edit sounds, by the Model Context Protocol",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--http", action="store_true", help="answer over HTTP; default: over stdin and stdout")
    option, _ = all_options()["output"]
    command.add_argument(
        "-o",
        option.flag,
        dest="output",
        metavar="FOLDER",
        help="of all sounds: they are written there, and only there are recordings read; default: sounds, in the folder"
        " of --data",
    )
    add_options(command)
    command.set_defaults(run=mcp)


def mcp(options: argparse.Namespace) -> None:
    if importlib.util.find_spec("mcp") is None:
        raise ValueError("mcp needs mcp: pip install 'ppaudioldm[mcp]'")
    if options.http:
        _serve_http(options)
    else:
        _serve_standard_streams(options)


def _serve_http(options: argparse.Namespace) -> None:
    def finish(service: Service, app: FastAPI, voices: dict[str, Voice]) -> FastAPI:
        from ppaudioldm.assistants.mount import with_assistants

        return with_assistants(app, _protocol_server(service, voices, settings), service.settings.limits)

    settings = settings_of(options)
    run(options, finish)


def _serve_standard_streams(options: argparse.Namespace) -> None:
    from ppaudioldm.assistants.standard_streams import serve_standard_streams, stdout_to_stderr
    from ppaudioldm.serving.request_gate import max_message_bytes
    from ppaudioldm.serving.service import Service

    # Jobs of its own: several assistants may each have started a process.
    with tempfile.TemporaryDirectory(prefix="ppaudioldm-", ignore_cleanup_errors=True) as folder:
        with stdout_to_stderr():
            settings, models, voices = opened(options)
            service = Service(models, dataclasses.replace(settings.service, folder=Path(folder)))
            server = _protocol_server(service, voices, settings)
        serve_standard_streams(service, server, max_message_bytes(settings.service.limits))
    end_abandoned(service)


def _protocol_server(service: Service, voices: dict[str, Voice], settings: ServerSettings) -> Server:
    from ppaudioldm.assistants.calls import Calls
    from ppaudioldm.assistants.protocol import protocol_server
    from ppaudioldm.assistants.sounds import SoundFolder
    from ppaudioldm.storage.folders import data_folder

    path = settings.output or (settings.data or data_folder()) / "sounds"
    folder = SoundFolder(path.expanduser(), settings.service.disk_bytes)
    notify(f"sounds are written to {folder.path}")
    return protocol_server(Calls(service, folder, voices))
