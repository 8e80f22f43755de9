"""The route that OpenAI's clients call: text to speech."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ppaudioldm.serving.answers import audio, audio_responses, in_thread, outcome
from ppaudioldm.serving.elevenlabs import spoken
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice

# Theirs to ours; there is no encoder for their "aac".
FORMATS = {"mp3": "mp3", "opus": "opus", "flac": "flac", "wav": "wav", "pcm": "pcm_24000"}
CHUNK = 24_000  # bytes of sound in an event


class VoiceId(BaseModel):
    id: str


class Speech(BaseModel):
    """What is not here is ignored."""

    model_config = ConfigDict(strict=True)

    input: str = Field(min_length=1, max_length=4096, description="what to say, in English")
    model: str = Field(description="one of /v1/models; another name is the default")
    voice: str | VoiceId = Field(description="one of /v1/voices")
    instructions: str | None = Field(None, description="who speaks and how, in place of the voice's description")
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = Field(
        "mp3", description="pcm is 24 kHz, 16 bits, mono"
    )
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    seed: int | None = Field(None, ge=0, le=2**63 - 1, description="says it the same again")


def routes(service: Service, voices: dict[str, Voice]) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"])
    told = audio_responses(404, 429, 503, 504)
    told[200]["content"]["text/event-stream"] = {}

    @router.post("/audio/speech", response_class=Response, responses=told, summary="A text, said by a voice")
    async def speech(wanted: Speech, request: Request) -> Response:
        service.models.of("speak")
        voice_id = wanted.voice if isinstance(wanted.voice, str) else wanted.voice.id
        if voice_id not in voices:
            raise HTTPException(422, f"voice is {voice_id[:100]!r}, allowed: {', '.join(voices)}"[:1000])
        instructions = (wanted.instructions or "").strip()
        speaker = instructions or voices[voice_id].description
        work = spoken(service, wanted.model, speaker, wanted.input, wanted.speed, wanted.seed)
        job = await in_thread(service.submit, work, kept=False)
        made = await audio(await outcome(service, job, request), FORMATS[wanted.response_format])
        if wanted.stream_format == "audio":
            return made
        headers = {"X-Seed": made.headers["x-seed"]}
        return StreamingResponse(_events(bytes(made.body)), media_type="text/event-stream", headers=headers)

    return router


def _events(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), CHUNK):
        piece = base64.b64encode(content[start : start + CHUNK]).decode()
        yield f"data: {json.dumps({'type': 'speech.audio.delta', 'audio': piece})}\n\n"
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield f"data: {json.dumps({'type': 'speech.audio.done', 'usage': usage})}\n\n"
