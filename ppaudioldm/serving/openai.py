"""The route that OpenAI's clients call: text to speech."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Response
from fastapi import Request as HTTPRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.serving.responses import audio_response, audio_responses, in_thread, sound_when_finished
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.speech_requests import UnknownVoice, speech_request, voice_called
from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.registry import MAX_SPEED

# OpenAI's names of formats to ours; there is no encoder for their "aac".
FORMATS = {"mp3": "mp3", "opus": "opus", "flac": "flac", "wav": "wav", "pcm": "pcm_24000"}
EVENT_BYTES = 24_000  # of sound in an event


class VoiceId(BaseModel):
    id: str


class Speech(BaseModel):
    """A request for speech. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    input: str = Field(min_length=1, max_length=4096, description="what to say, in English")
    model: str = Field(description="one of /v1/models; another name is the default")
    voice: str | VoiceId = Field(description="one of /v1/voices")
    instructions: str | None = Field(None, description="who speaks and how, in place of the voice's description")
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = Field(
        "mp3", description="pcm is 24 kHz, 16 bits, mono"
    )
    speed: Annotated[float, Field(ge=1 / MAX_SPEED, le=MAX_SPEED)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="generates the same speech again")


def routes(service: Service, voices: dict[str, Voice]) -> APIRouter:
    """The route, with these voices by id."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])
    responses = audio_responses(404, 429, 503, 504)
    responses[200]["content"]["text/event-stream"] = {}

    @router.post("/audio/speech", response_class=Response, responses=responses, summary="A text, spoken by a voice")
    async def speech(body: Speech, http_request: HTTPRequest) -> Response:
        try:
            voice = voice_called(service, voices, body.voice if isinstance(body.voice, str) else body.voice.id)
        except UnknownVoice as error:
            raise HTTPException(422, str(error)) from None
        speaker = (body.instructions or "").strip() or voice.description
        request = speech_request(service, body.model, speaker, body.input, body.speed, body.seed)
        job = await in_thread(service.submit, request, kept=False)
        sound = await sound_when_finished(service, job, http_request)
        response = await audio_response(sound, FORMATS[body.response_format])
        if body.stream_format == "audio":
            return response
        headers = {"X-Seed": response.headers["x-seed"]}
        return StreamingResponse(_events(bytes(response.body)), media_type="text/event-stream", headers=headers)

    return router


def _events(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), EVENT_BYTES):
        piece = base64.b64encode(content[start : start + EVENT_BYTES]).decode()
        yield f"data: {json.dumps({'type': 'speech.audio.delta', 'audio': piece})}\n\n"
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield f"data: {json.dumps({'type': 'speech.audio.done', 'usage': usage})}\n\n"
