"""What the tests of the page share: a page whose server makes noise, when it is told to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from ppaudioldm.audio.write import write_audio
from ppaudioldm.serving.app import create_app
from ppaudioldm.serving.service import Service
from ppaudioldm.ui.mount import with_page
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.imitation import RATE, ImitationPipeline
from tests.serving.examples import service_of

KNOWN = KnownSounds(
    (Sound("bell", "bells", "a big bell"), Sound("rain", "rain", "light rain")), frozenset(("bell", "rain"))
)
# The fields of the tab "Sound" as they are at first, but for a prompt.
FORM = {
    "prompt": "a bell",
    "duration": 0.5,
    "loop": False,
    "negative_prompt": "",
    "seed": "",
    "num_waveforms_per_prompt": 1,
    "num_inference_steps": 10,
    "guidance_scale": 3.5,
    "sampler": "dpm++",
    "spacing": "",
    "eta": None,
    "reuse": 1,
    "guided_from": 0,
    "guided_to": 1,
    "loudness": None,
}


def pipeline(known_sounds: KnownSounds | None = KNOWN) -> ImitationPipeline:
    pipeline = ImitationPipeline()
    pipeline.checkpoint.known_sounds = known_sounds
    return pipeline


@dataclass(frozen=True)
class Open:
    service: Service
    app: FastAPI
    pipeline: ImitationPipeline

    @property
    def uploads(self) -> Path:
        return self.service.settings.folder / "uploads"

    def uploaded(self, seconds: float = 1.0, name: str = "recording.wav") -> Path:
        """A recording as if a browser had sent it."""
        samples = 0.5 * np.sin(np.arange(round(seconds * RATE)) / 10).astype(np.float32)
        return write_audio(self.uploads / "sent" / name, samples, RATE)


@contextlib.contextmanager
def opened(folder: Path, known_sounds: KnownSounds | None = KNOWN, **settings: Any) -> Iterator[Open]:
    made = pipeline(known_sounds)
    with service_of(folder, made, **settings) as service:
        yield Open(service, with_page(create_app(service), service), made)
