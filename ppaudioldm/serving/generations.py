"""`/v1/generations`: every task of the pipeline as a job whose progress and result are requested later."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi import Request as HTTPRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from ppaudioldm.audio.read import count_frames, sound_file
from ppaudioldm.audio.tagging.files import tags_in
from ppaudioldm.generation.options import Progress
from ppaudioldm.serving.changes import changes_of
from ppaudioldm.serving.generation_fields import answer_from, list_fields, request_from, request_model
from ppaudioldm.serving.job import STATUSES, Job
from ppaudioldm.serving.responses import (
    FormatName,
    audio_response,
    audio_responses,
    error_responses,
    in_thread,
    validation_message,
)
from ppaudioldm.serving.service import Service, StoreBroken
from ppaudioldm.serving.store import UPLOAD
from ppaudioldm.tasks.stored_settings import settings_in

HEARTBEAT_S = 15.0  # seconds without a change after which a stream of events sends a comment
MAX_FIELDS = 64  # of a form
MAX_FIELD_BYTES = 1 << 20


class SoundAnswer(BaseModel):
    """A sound of the result. url: of its file."""

    seed: int
    score: float | None
    duration: float
    sample_rate: int
    channels: int
    url: str


class ProgressAnswer(BaseModel):
    """`done` of `total` steps of a stage."""

    stage: str
    done: int
    total: int

    @classmethod
    def of(cls, progress: Progress) -> ProgressAnswer:
        """The answer for `progress`."""
        return cls(stage=progress.stage, done=progress.done, total=progress.total)


class Generation(BaseModel):
    """A job. created, started, finished: seconds since 1970. position: how many jobs wait before it, while it waits.

    sounds: the best, then all candidates where they were requested. complete: false where it was stopped early, and the
    sound is the best until then. seconds: of each stage.
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
        """The answer for `job`."""
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
            progress=ProgressAnswer.of(progress) if progress else None,
            error=state.error,
            reason=state.reason,
            sounds=sounds,
            complete=state.complete,
            seconds=state.seconds,
            request=answer_from(job.request),
        )


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of the body: JSON, or a form with the recording."""
    schema = model.model_json_schema()
    recording = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "the recording, of any format",
    }
    like = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "a sound file that was generated, whose tags give the fields that are absent; see /v1/info",
    }
    properties = schema["properties"] | {"audio": recording, "like": like}
    form = schema | {"properties": properties, "title": "GenerationForm"}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def routes(service: Service) -> APIRouter:
    """The routes; the fields of a request are those of the settings and tasks that exist now."""
    router = APIRouter(prefix="/v1/generations", tags=["generations"])
    model = request_model()

    def job_of(id: str) -> Job:
        job = service.find(id)
        if job is None:
            raise HTTPException(404, f"generation {id[:100]!r} does not exist, or no longer exists")
        return job

    @router.post(
        "",
        status_code=202,
        response_model=Generation,
        responses=error_responses(404, 415, 429, 503),
        openapi_extra=_body(model),
        summary="Generate a sound; returns at once",
    )
    async def create(http_request: HTTPRequest, response: Response) -> Generation:
        body, upload = await _parsed(model, http_request)
        path = None
        try:
            if upload is not None:
                path = await in_thread(save_upload, upload.file, service)
            job = await in_thread(_submit, service, body, path)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)
        response.headers["Location"] = f"/v1/generations/{job.id}"
        return Generation.of(job, service)

    @router.get(
        "/{id}", response_model=Generation, responses=error_responses(404), summary="Its status, progress and result"
    )
    async def show(id: str) -> Generation:
        return Generation.of(job_of(id), service)

    @router.get(
        "/{id}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "The generation after every change, as server-sent events named after its status",
                "content": {"text/event-stream": {}},
            },
            **error_responses(404),
        },
        summary="Follow its progress",
    )
    async def events(id: str) -> StreamingResponse:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # proxies hold nothing back
        return StreamingResponse(_events(job_of(id), service), media_type="text/event-stream", headers=headers)

    @router.get(
        "/{id}/audio",
        response_class=Response,
        responses=audio_responses(404, 409),
        summary="The sound, once it is finished",
    )
    async def sound(
        id: str,
        format: FormatName = "wav",
        candidate: Annotated[int, Query(ge=0, description="0 is the best")] = 0,
    ) -> Response:
        job = job_of(id)
        if not job.is_finished:
            raise HTTPException(409, f"the generation is {job.state.status}")
        if job.state.error is not None:
            raise HTTPException(409, f"the generation failed: {job.state.error}")
        try:
            found = await in_thread(service.sound, job, candidate)
        except LookupError as error:
            raise HTTPException(404, str(error)) from None
        return await audio_response(found, format)

    @router.delete(
        "/{id}",
        response_model=Generation,
        responses=error_responses(404, 503),
        summary="Cancel it, or remove a finished one",
    )
    async def delete(id: str) -> Generation:
        job = job_of(id)
        if not await in_thread(service.cancel, job):
            await in_thread(service.remove, job)
        return Generation.of(job, service)

    return router


async def _parsed(model: type[BaseModel], request: HTTPRequest) -> tuple[BaseModel, UploadFile | None]:
    """The fields of the body, and the recording in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _validated(partial(model.model_validate_json, strict=True), await request.body()), None
    if kind != "multipart/form-data":
        raise HTTPException(415, f"content-type is {kind[:100]!r}, allowed: application/json, multipart/form-data")
    try:
        form = await request.form(max_files=2, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except OSError as error:  # a large recording is a temporary file meanwhile
        raise StoreBroken.of("the recording cannot be received", error) from error
    values: dict[str, Any] = {}
    uploads: dict[str, UploadFile] = {}
    repeated = list_fields()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in ("audio", "like"):
                raise HTTPException(422, f"{name[:100]}: a file is only allowed as audio or like")
            if name in uploads:
                raise HTTPException(400, f"Too many files are called {name}, allowed: one")
            uploads[name] = value
        elif name in repeated:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    if "like" in uploads:
        stored = await in_thread(_stored, uploads["like"].file, "audio" in uploads, values)
        values = stored | values
    return _validated(model.model_validate, values), uploads.get("audio")


def _stored(like: BinaryIO, has_audio: bool, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request from the tags of the file `like`. Raises ValueError for a file that says too little."""
    if "preset" in values:
        raise ValueError("preset and like are both present, allowed: one of them")
    stored = settings_in(tags_in(like), "like")
    if stored.has_recording and not has_audio:
        raise ValueError("like was made from a recording, which is not in it: send that as audio")
    return stored.fields()


def _validated(validate: Callable[[Any], BaseModel], values: Any) -> BaseModel:
    try:
        return validate(values)
    except ValidationError as error:
        raise HTTPException(422, validation_message(error.errors())) from None


def save_upload(upload: BinaryIO, service: Service) -> Path:
    """A file with the content of `upload`, a recording.

    Raises ValueError if it is none, or is too long; StoreBroken if the disk does not take it.
    """
    path = service.settings.folder / f"{UPLOAD}{secrets.token_hex(16)}"
    try:
        with path.open("xb") as file:
            shutil.copyfileobj(upload, file)
        with sound_file(path) as opened:
            limit = service.settings.limits.duration_s
            seconds = count_frames(opened, limit * opened.samplerate) / opened.samplerate
        if seconds > limit:
            raise ValueError(f"the recording lasts {seconds:.1f} seconds, allowed on this server: up to {limit:g}")
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreBroken.of("the recording cannot be kept", error) from error
        if isinstance(error, ValueError):
            raise ValueError(f"audio: {str(error).replace(str(path), 'the recording')}") from None
        raise
    return path


def _submit(service: Service, body: BaseModel, path: Path | None) -> Job:
    return service.submit(request_from(body, service), audio=path)


async def _events(job: Job, service: Service) -> AsyncIterator[str]:
    with changes_of(job) as changed:
        while True:
            changed.clear()
            generation = Generation.of(job, service)
            yield f"event: {generation.status}\ndata: {generation.model_dump_json()}\n\n"
            if job.is_finished and generation.finished is not None:
                return
            while True:
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
                    break
                except asyncio.TimeoutError:
                    yield ": no change\n\n"
