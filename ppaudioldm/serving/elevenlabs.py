"""The routes that ElevenLabs' clients call: sound effects, text to speech, voices."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ppaudioldm.serving.answers import FormatName, audio, audio_responses, errors, in_thread, new_seed, outcome
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice
from ppaudioldm.serving.work import Work

MAX_SEED = 2**32 - 1  # as these clients know it
DEFAULT_FORMAT = "mp3_44100_128"
MOST_INFLUENCE = 25 / 3  # what a prompt_influence of 1 adds to the guidance scale: the default, 0.3, makes it 3.5


class SoundGeneration(BaseModel):
    """What is not here is ignored."""

    model_config = ConfigDict(strict=True)

    text: str = Field(min_length=1, description="what it should sound like")
    duration_seconds: float | None = Field(None, ge=0.5, le=30, description="null: what the checkpoint does best")
    prompt_influence: float | None = Field(
        0.3, ge=0, le=1, description="how closely to follow the text: the guidance scale is 1 + 25/3 of it"
    )
    loop: bool | None = Field(False, description="its end meets its start")
    model_id: str | None = Field(None, description="one of /v1/models; another name is the default")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="makes the same sound again")


class VoiceSettings(BaseModel):
    """What is not here is ignored."""

    model_config = ConfigDict(strict=True)

    speed: float | None = Field(None, ge=0.25, le=4.0)


class TextToSpeech(BaseModel):
    """What is not here is ignored."""

    model_config = ConfigDict(strict=True)

    text: str = Field(min_length=1, description="what to say, in English")
    model_id: str | None = Field(None, description="one of /v1/models; another name is the default")
    voice_settings: VoiceSettings | None = None
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="says it the same again")


class VoiceAnswer(BaseModel):
    voice_id: str
    name: str
    description: str
    category: str = "premade"
    labels: dict[str, str] = {}

    @classmethod
    def of(cls, voice: Voice) -> VoiceAnswer:
        return cls(voice_id=voice.id, name=voice.name, description=voice.description)


class Voices(BaseModel):
    voices: list[VoiceAnswer]


def guidance_scale(influence: float | None) -> float:
    """What a prompt_influence, 0 to 1, is in the pipeline's terms."""
    return 1 + MOST_INFLUENCE * (0.3 if influence is None else influence)


def known(service: Service, name: str | None) -> str:
    """`name` if it is a model's, else "": clients name the models of other servers."""
    return name if name in [model.name for model in service.models.all] else ""


def spoken(
    service: Service, model: str | None, speaker: str, text: str, speed: float = 1.0, seed: int | None = None
) -> Work:
    """`text` said by `speaker`. Raises NotHere where no model speaks."""
    one = service.models.of("speak", known(service, model))
    return Work(
        model=one.name,
        task="speak",
        prompt=speaker,
        text=text,
        speed=speed,
        options=service.options(service.duration(one)),
        seed=new_seed(seed),
    )


def routes(service: Service, voices: dict[str, Voice]) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["ElevenLabs"])

    def voice_of(voice_id: str) -> Voice:
        service.models.of("speak")
        if voice_id not in voices:
            raise HTTPException(404, f"there is no voice {voice_id[:100]!r}, choose from {', '.join(voices)}"[:1000])
        return voices[voice_id]

    @router.post(
        "/sound-generation",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="A sound effect of a text",
    )
    async def sound_generation(
        wanted: SoundGeneration, request: Request, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        model = service.models.of("generate", known(service, wanted.model_id))
        duration = service.duration(model, wanted.duration_seconds)
        work = Work(
            model=model.name,
            task="loop" if wanted.loop else "generate",
            prompt=wanted.text,
            options=service.options(duration, guidance_scale=guidance_scale(wanted.prompt_influence)),
            seed=new_seed(wanted.seed),
            duration=duration,
        )
        job = await in_thread(service.submit, work, kept=False)
        return await audio(await outcome(service, job, request), output_format)

    async def speech(voice_id: str, wanted: TextToSpeech, request: Request, output_format: str) -> Response:
        voice = voice_of(voice_id)
        speed = wanted.voice_settings and wanted.voice_settings.speed
        work = spoken(service, wanted.model_id, voice.description, wanted.text, speed or 1.0, wanted.seed)
        job = await in_thread(service.submit, work, kept=False)
        return await audio(await outcome(service, job, request), output_format)

    @router.post(
        "/text-to-speech/{voice_id}",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="A text, said by a voice",
    )
    async def text_to_speech(
        voice_id: str, wanted: TextToSpeech, request: Request, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        return await speech(voice_id, wanted, request, output_format)

    @router.post(
        "/text-to-speech/{voice_id}/stream",
        response_class=Response,
        responses=audio_responses(404, 429, 503, 504),
        summary="The same: it is sent when all of it is said",
    )
    async def text_to_speech_stream(
        voice_id: str, wanted: TextToSpeech, request: Request, output_format: FormatName = DEFAULT_FORMAT
    ) -> Response:
        return await speech(voice_id, wanted, request, output_format)

    @router.get("/voices", response_model=Voices, responses=errors(), summary="The voices of text to speech")
    async def list_voices() -> Voices:
        there = voices.values() if service.models.speaks() else ()
        return Voices(voices=[VoiceAnswer.of(voice) for voice in there])

    @router.get("/voices/{voice_id}", response_model=VoiceAnswer, responses=errors(404), summary="One of them")
    async def show_voice(voice_id: str) -> VoiceAnswer:
        return VoiceAnswer.of(voice_of(voice_id))

    return router
