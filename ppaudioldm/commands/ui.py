"""`ui`: the server with its web page."""

from __future__ import annotations

import argparse
import importlib.util
from typing import TYPE_CHECKING, Any

from ppaudioldm.commands.serve import add_options, run

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ppaudioldm.serving.service import Service
    from ppaudioldm.serving.voices import Voice

EXAMPLES = """\
examples:
  ppaudioldm ui
  ppaudioldm ui -c cvssp/audioldm2 --speech-checkpoint anhnct/audioldm2_gigaspeech --port 8000

Open the address that it prints in a browser. The same server answers as `ppaudioldm serve` does.
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "ui",
        help="generate sounds on a web page",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(command)
    command.set_defaults(run=ui)


def ui(options: argparse.Namespace) -> None:
    if importlib.util.find_spec("gradio") is None:
        raise ValueError("ui needs gradio: pip install 'ppaudioldm[ui]'")

    def finish(service: Service, app: FastAPI, voices: dict[str, Voice]) -> FastAPI:
        from ppaudioldm.ui.mount import with_page

        return with_page(app, service, voices)

    run(options, finish)
