"""The routes that ElevenLabs' clients call: sound effects, text to speech, voices."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response
from fastapi import Request as HTTPRequest
from pydantic import BaseModel, ConfigDict, Field

from ppaudioldm.serving.request import Request
from ppaudioldm.serving.responses import (
    FormatName,
    audio_response,
    audio_responses,
    error_responses,
    in_thread,
    new_seed,
    sound_when_finished,
)
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.speech_requests import UnknownVoice, model_or_default, speech_request, voice_called
from ppaudioldm.serving.voices import Voice
from ppaudioldm.tasks.registry import MAX_SPEED

MAX_SEED = 2**32 - 1  # of these clients
DEFAULT_FORMAT = "mp3_44100_128"
DEFAULT_INFLUENCE = 0.3  # stands for the guidance scale that the checkpoint was published with


class SoundGeneration(BaseModel):
    """A request for a sound effect. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    text: str = Field(min_length=1, description="what it should sound like")
    duration_seconds: float | None = Field(None, ge=0.5, le=30, description="null: the checkpoint's default")
    prompt_influence: float | None = Field(
        DEFAULT_INFLUENCE,
        ge=0,
        le=1,
        description="how closely to follow the text: 0 is a guidance scale of 1, 0.3 the checkpoint's default",
    )
    loop: bool | None = Field(False, description="its end meets its start")
    model_id: str | None = Field(None, description="one of /v1/models; another name is the default")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="generates the same sound again")


class VoiceSettings(BaseModel):
    """Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    speed: float | None = Field(None, ge=1 / MAX_SPEED, le=MAX_SPEED)


class TextToSpeech(BaseModel):
    """A request for speech. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    text: str = Field(min_length=1, description="what to say, in English")
    model_id: str | None = Field(None, description="one of /v1/models; another name is the default")
    voice_settings: VoiceSettings | None = None
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="generates the same speech again")


class VoiceAnswer(BaseModel):
    """A voice, as these clients read it."""

    voice_id: str
    name: str
    description: str
    category: str = "premade"
    labels: dict[str, str] = {}

    @classmethod
    def of(cls, voice: Voice) -> VoiceAnswer:
        """The answer for `voice`."""
        return cls(voice_id=voice.id, name=voice.name, description=voice.description)


class Voices(BaseModel):
    voices: list[VoiceAnswer]


def guidance_scale(influence: float | None, default: float) -> float:
    """The guidance scale of a prompt_influence, 0 to 1; None is the checkpoint's, `default`."""
    if influence is None or influence == DEFAULT_INFLUENCE:
        return default
    return 1 + (default - 1) * influence / DEFAULT_INFLUENCE


def routes(service: Service, voices: dict[str, Voice]) -> APIRouter:
    """The routes, with these voices by id."""
    router = APIRouter(prefix="/v1", tags=["ElevenLabs"])

    def voice_of(voice_id: str) -> Voice:
        try:
            return voice_called(service, voices, voice_id)
        except UnknownVoice as error:
            raise HTTPException(404, str(error)) from None

    @router.post(
        "/sound-generation",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="A sound effect of a text",
    )
    async def sound_generation(
        body: SoundGeneration, http_request: HTTPRequest, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        model = service.models.of("generate", model_or_default(service, body.model_id))
        scale = guidance_scale(body.prompt_influence, model.pipeline.config.diffusion.guidance_scale)
        request = Request(
            model=model.name,
            task="loop" if body.loop else "generate",
            prompt=body.text,
            options=service.options(duration=body.duration_seconds, guidance_scale=scale),
            seed=new_seed(body.seed),
        )
        job = await in_thread(service.submit, request, kept=False)
        return await audio_response(await sound_when_finished(service, job, http_request), output_format)

    async def speech(voice_id: str, body: TextToSpeech, http_request: HTTPRequest, output_format: str) -> Response:
        voice = voice_of(voice_id)
        speed = body.voice_settings and body.voice_settings.speed
        request = speech_request(service, body.model_id, voice.description, body.text, speed or 1.0, body.seed)
        job = await in_thread(service.submit, request, kept=False)
        return await audio_response(await sound_when_finished(service, job, http_request), output_format)

    @router.post(
        "/text-to-speech/{voice_id}",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="A text, spoken by a voice",
    )
    async def text_to_speech(
        voice_id: str, body: TextToSpeech, http_request: HTTPRequest, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        return await speech(voice_id, body, http_request, output_format)

    @router.post(
        "/text-to-speech/{voice_id}/stream",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="The same; it is sent once all of it has been generated",
    )
    async def text_to_speech_stream(
        voice_id: str, body: TextToSpeech, http_request: HTTPRequest, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        return await speech(voice_id, body, http_request, output_format)

    @router.get("/voices", response_model=Voices, responses=error_responses(), summary="The voices of text to speech")
    async def list_voices() -> Voices:
        available = voices.values() if service.models.speaks() else ()
        return Voices(voices=[VoiceAnswer.of(voice) for voice in available])

    @router.get("/voices/{voice_id}", response_model=VoiceAnswer, responses=error_responses(404), summary="A voice")
    async def show_voice(voice_id: str) -> VoiceAnswer:
        return VoiceAnswer.of(voice_of(voice_id))

    return router
