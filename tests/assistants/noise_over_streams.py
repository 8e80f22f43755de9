"""A server over stdin and stdout whose pipeline generates noise, and prints: `python -m` this, and a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from ppaudioldm.assistants.calls import Calls
from ppaudioldm.assistants.protocol import protocol_server
from ppaudioldm.assistants.sounds import SoundFolder
from ppaudioldm.assistants.standard_streams import serve_standard_streams
from ppaudioldm.serving.models import Model, Models
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.settings import Settings
from ppaudioldm.serving.voices import all_voices
from tests.imitation import ImitationPipeline


class PrintingPipeline(ImitationPipeline):
    def generate(self, *arguments, **keywords):
        print("printed by the pipeline")
        return super().generate(*arguments, **keywords)


def main(folder: Path) -> None:
    service = Service(Models([Model("fake", PrintingPipeline())]), Settings(folder / "jobs"))
    calls = Calls(service, SoundFolder(folder / "sounds", 1 << 20), all_voices())
    serve_standard_streams(service, protocol_server(calls), 1 << 20)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
