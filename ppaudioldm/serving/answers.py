"""What the routes share: errors as JSON, waiting for a job while its client is there, and sounds as answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import compile_path

from ppaudioldm.serving.formats import FORMATS, MEDIA_TYPES, checked_format, encode
from ppaudioldm.serving.guard import error_body
from ppaudioldm.serving.job import BROKEN, INVALID, STOPPED, TOO_LATE, Job
from ppaudioldm.serving.service import NotHere, QueueClosed, QueueFull, Service
from ppaudioldm.serving.work import Sound

Result = TypeVar("Result")

# The name of a format, as a query says it.
FormatName = Annotated[str, AfterValidator(checked_format), Query(json_schema_extra={"enum": list(FORMATS)})]
CLIENT_GONE = 499  # as nginx calls it; nobody reads it
STATUS_OF_REASON = {INVALID: 422, TOO_LATE: 504, STOPPED: 503, BROKEN: 500}


class Error(BaseModel):
    """What went wrong, in one line, twice: OpenAI's clients show `message`."""

    detail: str
    message: str


# For the OpenAPI document.
_TOLD = {
    400: "The request is malformed",
    401: "The key is missing or wrong",
    404: "There is no such thing on this server",
    408: "The body came too slowly",
    409: "It is not finished, or it failed",
    413: "The body is too large",
    415: "The body is of another content type",
    422: "A value is not allowed",
    429: "The queue is full: try again after the seconds of Retry-After",
    431: "There are too many headers",
    503: "The server is starting, or stopping",
    504: "It was not made within the time limit",
}
_EVERYWHERE = (400, 401, 408, 413, 422, 431)
RETRY_AFTER = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route's errors are documented: those of every route, and these."""
    told: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*_EVERYWHERE, *statuses}):
        told[status] = {"model": Error, "description": _TOLD[status]}
        if status in (429, 503):
            told[status]["headers"] = RETRY_AFTER
    return told


def audio_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route that answers with a sound is documented."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    found = {
        "description": "The sound",
        "content": {media_type: binary for media_type in MEDIA_TYPES},
        "headers": {"X-Seed": {"description": "makes the same sound again", "schema": {"type": "integer"}}},
    }
    return {200: found, **errors(*statuses)}


def add_error_handlers(app: FastAPI, service: Service) -> None:
    def handler(status: int) -> Callable[[Request, Exception], JSONResponse]:
        def handle(request: Request, error: Exception) -> JSONResponse:
            detail = str(error) or _TOLD[status]
            headers = {"Retry-After": str(service.seconds_until_room())} if status in (429, 503) else None
            return JSONResponse(error_body(detail), status, headers)

        return handle

    app.add_exception_handler(NotHere, handler(404))
    app.add_exception_handler(QueueFull, handler(429))
    app.add_exception_handler(QueueClosed, handler(503))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse(error_body(one_line(error.errors())), 422)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return JSONResponse(error_body(str(error.detail)), error.status_code, headers)


def _methods(request: Request) -> list[str]:
    """What may be asked of the request's path: the framework knows the first route of several."""
    found = set()
    for path, methods in request.app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.url.path):
            found |= {method.upper() for method in methods}
    return sorted(found) or ["GET"]


def one_line(problems: Any) -> str:
    """What pydantic says of up to three values."""
    told = []
    for problem in list(problems)[:3]:
        place = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query", "path"))
        message = problem["msg"].removeprefix("Value error, ")
        told.append(f"{place}: {message}" if place else message)
    return " ".join("; ".join(told).split())[:1000]


def new_seed(seed: int | None) -> int:
    return secrets.randbelow(2**32) if seed is None else seed


@contextlib.contextmanager
def refusing() -> Any:
    """A ValueError of the block is the client's: 422."""
    try:
        yield
    except ValueError as error:
        raise HTTPException(422, " ".join(str(error).split())[:1000]) from None


async def in_thread(function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
    """`function` called in a thread, for it waits for the disk or computes; its ValueError is the client's."""
    with refusing():
        return await run_in_threadpool(function, *arguments, **keywords)


async def outcome(service: Service, job: Job, request: Request) -> Sound:
    """The sound of `job`, once it is made. A client that goes away cancels it.

    Raises HTTPException for a job that fails.
    """
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def tell() -> None:
        if job.is_finished:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(finished.set)

    end = job.watch(tell)
    tell()
    gone = asyncio.create_task(_disconnected(request))
    done = asyncio.create_task(finished.wait())
    try:
        await asyncio.wait((gone, done), timeout=max(0.0, job.seconds_left), return_when=asyncio.FIRST_COMPLETED)
        if not job.is_finished and job.seconds_left <= 0:
            service.expire(job)
    finally:
        end()
        gone.cancel()
        done.cancel()
        if not job.is_finished:
            await run_in_threadpool(service.cancel, job)
    state = job.state
    if state.error is not None:
        raise failed(service, job)
    if not state.sounds:
        raise HTTPException(CLIENT_GONE, "the client went away")
    return service.sound(job)


def failed(service: Service, job: Job) -> HTTPException:
    """What is told of a job that failed."""
    state = job.state
    status = STATUS_OF_REASON[state.reason or BROKEN]
    headers = {}
    if state.reason == TOO_LATE:
        headers["X-Should-Retry"] = "false"  # OpenAI's clients would, and wait as long again
    if state.reason == STOPPED:
        headers["Retry-After"] = str(service.seconds_until_room())
    return HTTPException(status, state.error, headers)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def audio(sound: Sound, name: str) -> Response:
    """`sound` in the format `name`."""
    content = await in_thread(encode, sound, name)
    return Response(content, media_type=FORMATS[name].media_type, headers={"X-Seed": str(sound.seed)})
