"""Speech requests, as the routes of OpenAI's and ElevenLabs' clients share them."""

from __future__ import annotations

from collections.abc import Mapping

from ppaudioldm.serving.request import Request
from ppaudioldm.serving.responses import new_seed
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice


class UnknownVoice(LookupError):
    """No voice has the requested id."""


def model_or_default(service: Service, name: str | None) -> str:
    """`name` if a model has it, else "", which is the default: clients name the models of other servers."""
    return name if name in [model.name for model in service.models.all] else ""


def voice_called(service: Service, voices: Mapping[str, Voice], voice_id: str) -> Voice:
    """The voice with this id. Raises ModelNotFound where no model speaks, UnknownVoice."""
    service.models.of("speak")
    if voice_id not in voices:
        raise UnknownVoice(f"unknown voice {voice_id[:100]!r}, choose from {', '.join(voices)}"[:1000])
    return voices[voice_id]


def speech_request(
    service: Service, model: str | None, speaker: str, text: str, speed: float = 1.0, seed: int | None = None
) -> Request:
    """A request for `text`, spoken by `speaker`, a description. Raises ModelNotFound where no model speaks."""
    return Request(
        model=service.models.of("speak", model_or_default(service, model)).name,
        task="speak",
        prompt=speaker,
        parameters={"text": text, "speed": speed},
        options=service.options(),
        seed=new_seed(seed),
    )
