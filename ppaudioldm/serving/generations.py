"""`/v1/generations`: everything the pipeline does, as jobs that are asked after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from ppaudioldm.audio.read import sound_file
from ppaudioldm.diffusion.noise import MAX_SEED
from ppaudioldm.generation.options import MAX_DURATION, MIN_DURATION, Options, Progress, settings
from ppaudioldm.serving.answers import FormatName, audio, audio_responses, errors, in_thread, new_seed, one_line
from ppaudioldm.serving.job import STATUSES, Job
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.store import UPLOAD
from ppaudioldm.serving.work import Work
from ppaudioldm.tasks.speak import SPEAKER

HEARTBEAT = 15.0  # seconds after which a stream of events says that it is still there
MAX_FIELDS = 64  # of a form
MAX_FIELD = 1 << 20  # bytes


def _pair(value: Any) -> Any:
    """START:END, or JSON, as two numbers: what a form can hold."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    with contextlib.suppress(ValueError):
        found = json.loads(value)
        if isinstance(found, list):
            return tuple(found)
    with contextlib.suppress(ValueError):
        start, end = value.split(":")
        return tuple(float(part) if part.strip() else None for part in (start, end))
    return value


def _listed(value: Any) -> Any:
    """One, or JSON of several, as a list."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0].startswith("[["):
        with contextlib.suppress(ValueError):
            return json.loads(value[0])
    return value


Number = Annotated[float, Field(allow_inf_nan=False)]
Pair = Annotated[tuple[Number | None, Number | None], BeforeValidator(_pair)]
Interval = Annotated[tuple[Number, Number], BeforeValidator(_pair)]
Pairs = Annotated[list[Pair], Field(max_length=100), BeforeValidator(_listed)]


class GenerationRequest(BaseModel):
    """What is to be made. What is left out is as on the command line; a field that the task does not use is ignored."""

    model_config = ConfigDict(extra="forbid")

    task: Literal["generate", "speak", "vary", "restyle", "inpaint", "extend", "loop", "upscale"] = "generate"
    model: str | None = Field(None, description="one of /v1/models; the one for the task by default")
    prompt: str | None = Field(None, description="what it should sound like; for `speak` the speaker")
    text: str | None = Field(None, description="what `speak` says")
    phonemes: bool = Field(False, description="the text is phonemes as espeak writes them")
    speed: float = Field(1.0, ge=0.25, le=4.0, description="of `speak`; 2 takes half the time")
    negative_prompt: str | None = Field(None, description="what it should not sound like")
    duration: float | None = Field(None, ge=MIN_DURATION, le=MAX_DURATION, description="seconds")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="makes the same sound again")
    preset: Literal["fast", "fine", "draft", "original"] | None = Field(None, description="fast by default")
    num_inference_steps: int | None = Field(None, ge=1)
    guidance_scale: float | None = Field(None, ge=-100, le=100)
    sampler: Literal["ddim", "plms", "ddpm", "dpm++"] | None = None
    eta: float | None = Field(None, ge=0, le=1)
    spacing: Literal["leading", "linear", "log-snr", "karras"] | None = None
    num_waveforms_per_prompt: int | None = Field(None, ge=1, description="candidates, of which the best is kept")
    guidance_interval: Interval | None = Field(None, description="the part of the steps that is guided, 0 to 1")
    reuse: int | None = Field(None, ge=1, le=settings()["reuse"].maximum)
    strength: float = Field(0.5, gt=0, le=1, description="of `restyle`")
    ranges: Pairs = Field([], description="seconds that `inpaint` makes anew: START:END, or [start, end]")
    frequencies: Pairs = Field([], description="Hz that `inpaint` makes anew: LOW:HIGH, or [low, high]")
    cutoff: float | None = Field(None, gt=0, description="Hz above which `upscale` generates")
    loudness: float | None = Field(None, ge=-70, le=-5, description="LUFS")
    keep_candidates: bool = Field(False, description="keep all candidates, not only the best")
    with_scores: bool = Field(False, description="have CLAP score the only candidate, too")

    def work(self, service: Service) -> Work:
        """Raises ValueError for a combination that cannot be, NotHere where no model can."""
        model = service.models.of(self.task, self.model or "")
        given = {name: getattr(self, name) for name in Options.__dataclass_fields__ if name in type(self).model_fields}
        given["duration"] = service.duration(model, self.duration)
        if self.preset is None and self.num_inference_steps is None:
            given["num_inference_steps"] = service.settings.steps
        options = Options.from_preset(self.preset or "fast", **given)
        return Work(
            model=model.name,
            task=self.task,
            prompt=SPEAKER if self.prompt is None and self.task == "speak" else self.prompt,
            options=options,
            seed=new_seed(self.seed),
            duration=self.duration,
            text=self.text,
            phonemes=self.phonemes,
            speed=self.speed,
            strength=self.strength,
            ranges=tuple(self.ranges),
            frequencies=tuple(self.frequencies),
            cutoff=self.cutoff,
            loudness=self.loudness,
            keep_candidates=self.keep_candidates,
            with_scores=self.with_scores,
        )


class SoundAnswer(BaseModel):
    """A sound that was made. url: where it is."""

    seed: int
    score: float | None
    duration: float
    sample_rate: int
    channels: int
    url: str


class ProgressAnswer(BaseModel):
    """done of total steps of a stage."""

    stage: str
    done: int
    total: int

    @classmethod
    def of(cls, progress: Progress) -> ProgressAnswer:
        return cls(stage=progress.stage, done=progress.done, total=progress.total)


class Generation(BaseModel):
    """A job. created, started, finished: seconds since 1970. position: how many wait before it, while it waits.

    sounds: the best, then all candidates where these were wanted. complete: false where it was stopped early, and the
    sound is the best by then. seconds: that each stage took.
    """

    id: str
    status: Literal[STATUSES]  # type: ignore[valid-type]
    created: float
    started: float | None
    finished: float | None
    position: int | None
    progress: ProgressAnswer | None
    error: str | None
    reason: str | None
    sounds: list[SoundAnswer]
    complete: bool
    seconds: dict[str, float]
    request: dict[str, Any]

    @classmethod
    def of(cls, job: Job, service: Service) -> Generation:
        state, progress = job.state, job.state.progress
        sounds = [
            SoundAnswer(
                seed=sound.seed,
                score=sound.score,
                duration=sound.duration,
                sample_rate=sound.sample_rate,
                channels=sound.channels,
                url=f"/v1/generations/{job.id}/audio" + (f"?candidate={index}" if index else ""),
            )
            for index, sound in enumerate(state.sounds)
        ]
        return cls(
            id=job.id,
            status=state.status,
            created=job.created,
            started=state.started,
            finished=state.finished,
            position=service.queue.position(job),
            progress=ProgressAnswer(stage=progress.stage, done=progress.done, total=progress.total)
            if progress
            else None,
            error=state.error,
            reason=state.reason,
            sounds=sounds,
            complete=state.complete,
            seconds=state.seconds,
            request=job.work.to_dict(),
        )


def _body() -> dict[str, Any]:
    """The OpenAPI description of the body: JSON, or a form with the recording."""
    schema = GenerationRequest.model_json_schema()
    recording = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "the recording, of any format",
    }
    form = schema | {"properties": schema["properties"] | {"audio": recording}, "title": "GenerationForm"}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1/generations", tags=["generations"])

    def found(id: str) -> Job:
        job = service.find(id)
        if job is None:
            raise HTTPException(404, f"there is no generation {id[:100]!r}, or not any more")
        return job

    @router.post(
        "",
        status_code=202,
        response_model=Generation,
        responses=errors(404, 415, 429, 503),
        openapi_extra=_body(),
        summary="Make a sound; returns at once",
    )
    async def create(request: Request, response: Response) -> Generation:
        wanted, upload = await _parsed(request)
        path = None
        try:
            if upload is not None:
                path = await in_thread(received, upload.file, service)
            job = await in_thread(_submitted, service, wanted, path)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)
        response.headers["Location"] = f"/v1/generations/{job.id}"
        return Generation.of(job, service)

    @router.get("/{id}", response_model=Generation, responses=errors(404), summary="How far it is")
    async def show(id: str) -> Generation:
        return Generation.of(found(id), service)

    @router.get(
        "/{id}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "The generation after every change, as server-sent events named after its status",
                "content": {"text/event-stream": {}},
            },
            **errors(404),
        },
        summary="Follow it as it is made",
    )
    async def events(id: str) -> StreamingResponse:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # proxies hold nothing back
        return StreamingResponse(_events(found(id), service), media_type="text/event-stream", headers=headers)

    @router.get(
        "/{id}/audio",
        response_class=Response,
        responses=audio_responses(404, 409),
        summary="The sound, once it is made",
    )
    async def sound(
        id: str,
        format: FormatName = "wav",
        candidate: Annotated[int, Query(ge=0, description="0 is the best")] = 0,
    ) -> Response:
        job = found(id)
        if not job.is_finished:
            raise HTTPException(409, f"the generation is {job.state.status}")
        if job.state.error is not None:
            raise HTTPException(409, f"the generation failed: {job.state.error}")
        try:
            made = await in_thread(service.sound, job, candidate)
        except LookupError as error:
            raise HTTPException(404, str(error)) from None
        return await audio(made, format)

    @router.delete(
        "/{id}",
        response_model=Generation,
        responses=errors(404),
        summary="Cancel it; one that is finished is removed",
    )
    async def delete(id: str) -> Generation:
        job = found(id)
        if not await in_thread(service.cancel, job):
            await in_thread(service.remove, job)
        return Generation.of(job, service)

    return router


async def _parsed(request: Request) -> tuple[GenerationRequest, UploadFile | None]:
    """What a body says, and the recording in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _checked(partial(GenerationRequest.model_validate_json, strict=True), await request.body()), None
    if kind != "multipart/form-data":
        raise HTTPException(415, f"content-type is {kind[:100]!r}, allowed: application/json, multipart/form-data")
    form = await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD)
    values: dict[str, Any] = {}
    upload = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "audio":
                raise HTTPException(422, f"{name[:100]}: a file is not allowed here, but as audio")
            upload = value
        elif name in ("ranges", "frequencies"):
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return _checked(GenerationRequest.model_validate, values), upload


def _checked(validate: Any, values: Any) -> GenerationRequest:
    try:
        return validate(values)
    except ValidationError as error:
        raise HTTPException(422, one_line(error.errors())) from None


def received(upload: BinaryIO, service: Service) -> Path:
    """The file that a recording was written to, if it is one. Raises ValueError for none, or too long a one."""
    path = service.settings.folder / f"{UPLOAD}{secrets.token_hex(16)}"
    try:
        with path.open("xb") as file:
            shutil.copyfileobj(upload, file)
        with sound_file(path) as opened:
            seconds, most = opened.frames / opened.samplerate, service.settings.limits.duration
            if seconds > most:
                raise ValueError(f"it lasts {seconds:.1f} seconds, allowed on this server: up to {most:g}")
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, ValueError):
            raise ValueError(f"audio: {str(error).replace(str(path), 'the recording')}") from None
        raise
    return path


def _submitted(service: Service, wanted: GenerationRequest, path: Path | None) -> Job:
    return service.submit(wanted.work(service), audio=path)


async def _events(job: Job, service: Service) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(changed.set)

    end = job.watch(tell)
    try:
        while True:
            changed.clear()
            told = Generation.of(job, service)
            yield f"event: {told.status}\ndata: {told.model_dump_json()}\n\n"
            if job.is_finished and told.finished is not None:
                return
            while True:
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT)
                    break
                except asyncio.TimeoutError:
                    yield ": still there\n\n"
    finally:
        end()
