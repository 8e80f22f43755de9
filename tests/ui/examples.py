"""What the tests of the page share: a page whose server generates noise, when the test lets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from ppaudioldm.audio.write import write_audio
from ppaudioldm.serving.app import create_app
from ppaudioldm.serving.service import Service
from ppaudioldm.ui.actions import Actions
from ppaudioldm.ui.mount import with_page
from ppaudioldm.ui.uploads import UploadRoom
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.imitation import RATE, ImitationPipeline
from tests.serving.examples import service_of

KNOWN = KnownSounds(
    (Sound("bell", "bells", "a big bell"), Sound("rain", "rain", "light rain")), frozenset(("bell", "rain"))
)
# The components of the tab "Sound" and the settings as they are at first, but with a prompt.
FORM = {
    "prompt": "a bell",
    "duration": 0.5,
    "negative_prompt": "",
    "seed": "",
    "num_waveforms_per_prompt": 1,
    "num_inference_steps": 10,
    "guidance_scale": "",
    "sampler": "dpm++",
    "spacing": "",
    "eta": "",
    "reuse": 1,
    "guidance_interval_from": 0,
    "guidance_interval_to": 1,
    "loudness": "",
}


def pipeline(known_sounds: KnownSounds | None = KNOWN) -> ImitationPipeline:
    pipeline = ImitationPipeline()
    pipeline.checkpoint.known_sounds = known_sounds
    return pipeline


@dataclass(frozen=True)
class OpenPage:
    service: Service
    pipeline: ImitationPipeline

    @cached_property
    def app(self) -> FastAPI:
        """The server with the page, which takes a second to build: most tests need only its actions."""
        return with_page(create_app(self.service), self.service)

    @property
    def uploads(self) -> Path:
        return self.service.settings.folder / "uploads"

    @property
    def actions(self) -> Actions:
        """Those of a further page, of the same service."""
        return Actions(self.service, self.uploads, UploadRoom(self.uploads, 1 << 30))

    def uploaded(self, seconds: float = 1.0, name: str = "recording.wav") -> Path:
        """A recording as if a browser had sent it."""
        samples = 0.5 * np.sin(np.arange(round(seconds * RATE)) / 10).astype(np.float32)
        return write_audio(self.uploads / "sent" / name, samples, RATE)


@contextlib.contextmanager
def opened(folder: Path, known_sounds: KnownSounds | None = KNOWN, **settings: Any) -> Iterator[OpenPage]:
    held = pipeline(known_sounds)
    with service_of(folder, held, **settings) as service:
        yield OpenPage(service, held)
