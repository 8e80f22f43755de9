"""HTTP responses that the routes share: errors as JSON, sounds, and waiting for a job while its client is connected."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi import Request as HTTPRequest
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import compile_path

from ppaudioldm.serving.formats import FORMATS, MEDIA_TYPES, checked_format, encode
from ppaudioldm.serving.job import BROKEN, INVALID, STOPPED, TOO_LATE, Job
from ppaudioldm.serving.request_gate import error_body
from ppaudioldm.serving.result import Sound
from ppaudioldm.serving.service import ModelNotFound, QueueClosed, QueueFull, Service, StoreBroken

Value = TypeVar("Value")

# The name of a format in a query.
FormatName = Annotated[str, AfterValidator(checked_format), Query(json_schema_extra={"enum": list(FORMATS)})]
NEW_SEEDS = 2**32  # a new seed is below: short enough to be copied by hand
CLIENT_CLOSED = 499  # nginx's status for a client that closed the connection; it is only logged
STATUS_OF_REASON = {INVALID: 422, TOO_LATE: 504, STOPPED: 503, BROKEN: 500}


class Error(BaseModel):
    """What went wrong, in one line, twice: OpenAI's clients show `message`."""

    detail: str
    message: str


# ---- The OpenAPI document

_DESCRIPTIONS = {
    400: "The request is malformed",
    401: "The key is missing or wrong",
    403: "It comes from another site's page, or asks for a host that is not the server's",
    404: "It does not exist on this server",
    408: "The body came too slowly",
    409: "It is not finished, or it failed",
    413: "The body is too large",
    415: "The body is of another content type",
    422: "A value is not allowed",
    429: "The queue is full, or too much is uploaded at once: try again after the seconds of Retry-After",
    431: "There are too many headers",
    503: "The server is starting or stopping, or its disk does not take the job",
    504: "It was not finished within the time limit",
}
_OF_EVERY_ROUTE = (400, 401, 403, 408, 413, 422, 429, 431)
RETRY_AFTER = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's errors: those of every route, and these."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*_OF_EVERY_ROUTE, *statuses}):
        responses[status] = {"model": Error, "description": _DESCRIPTIONS[status]}
        if status in (429, 503):
            responses[status]["headers"] = RETRY_AFTER
    return responses


def audio_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route that answers with a sound, and of its errors."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    sound = {
        "description": "The sound",
        "content": {media_type: binary for media_type in MEDIA_TYPES},
        "headers": {"X-Seed": {"description": "generates the same sound again", "schema": {"type": "integer"}}},
    }
    return {200: sound, **error_responses(*statuses)}


# ---- Errors


def add_error_handlers(app: FastAPI, service: Service) -> None:
    """Answer the exceptions of `service`, and those of the framework, with an `Error`."""

    def handler(status: int) -> Callable[[HTTPRequest, Exception], JSONResponse]:
        def handle(request: HTTPRequest, error: Exception) -> JSONResponse:
            detail = str(error) or _DESCRIPTIONS[status]
            headers = {"Retry-After": str(service.seconds_until_room())} if status in (429, 503) else None
            return JSONResponse(error_body(detail), status, headers)

        return handle

    app.add_exception_handler(ModelNotFound, handler(404))
    app.add_exception_handler(QueueFull, handler(429))
    app.add_exception_handler(QueueClosed, handler(503))
    app.add_exception_handler(StoreBroken, handler(503))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http_error)


def _invalid(request: HTTPRequest, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse(error_body(validation_message(error.errors())), 422)


def _http_error(request: HTTPRequest, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return JSONResponse(error_body(str(error.detail)), error.status_code, headers)


def _methods(request: HTTPRequest) -> list[str]:
    """The methods of all routes with the request's path; the framework names those of the first only."""
    found = set()
    for path, methods in request.app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.url.path):
            found |= {method.upper() for method in methods}
    return sorted(found) or ["GET"]


def validation_message(problems: Any) -> str:
    """Up to three of pydantic's errors in one line."""
    lines = []
    for problem in list(problems)[:3]:
        place = ".".join(str(key) for key in problem["loc"] if key not in ("body", "query", "path"))
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return " ".join("; ".join(lines).split())[:1000]


@contextlib.contextmanager
def value_errors_as_422() -> Iterator[None]:
    """Answer a ValueError of the block, which is the client's mistake, with status 422."""
    try:
        yield
    except ValueError as error:
        raise HTTPException(422, " ".join(str(error).split())[:1000]) from None


async def in_thread(function: Callable[..., Value], *arguments: Any, **keywords: Any) -> Value:
    """`function`, which waits for the disk or computes, called in a thread; its ValueError is answered with 422."""
    with value_errors_as_422():
        return await run_in_threadpool(function, *arguments, **keywords)


# ---- Sounds


def new_seed(seed: int | None) -> int:
    """`seed`, or a random one for None."""
    return secrets.randbelow(NEW_SEEDS) if seed is None else seed


async def sound_when_finished(service: Service, job: Job, request: HTTPRequest) -> Sound:
    """The sound of `job`, which is cancelled if the client of `request` disconnects before.

    Raises HTTPException for a job that fails.
    """
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def notify() -> None:
        if job.is_finished:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finished.set)

    end_watch = job.watch(notify)
    notify()
    disconnected = asyncio.create_task(_disconnected(request))
    done = asyncio.create_task(finished.wait())
    try:
        await asyncio.wait(
            (disconnected, done), timeout=max(0.0, job.seconds_left), return_when=asyncio.FIRST_COMPLETED
        )
        if not job.is_finished and job.seconds_left <= 0:
            service.expire(job)
    finally:
        end_watch()
        disconnected.cancel()
        done.cancel()
        if not job.is_finished:
            await run_in_threadpool(service.cancel, job)
    state = job.state
    if state.error is not None:
        raise error_of(service, job)
    if not state.sounds:
        raise HTTPException(CLIENT_CLOSED, "the client disconnected")
    return service.sound(job)


def error_of(service: Service, job: Job) -> HTTPException:
    """The answer for a job that failed."""
    state = job.state
    status = STATUS_OF_REASON[state.reason or BROKEN]
    headers = {}
    if state.reason == TOO_LATE:
        headers["X-Should-Retry"] = "false"  # OpenAI's clients would, and wait as long again
    if state.reason == STOPPED:
        headers["Retry-After"] = str(service.seconds_until_room())
    return HTTPException(status, state.error, headers)


async def _disconnected(request: HTTPRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def audio_response(sound: Sound, name: str) -> Response:
    """`sound` in the format `name`."""
    content = await in_thread(encode, sound, name)
    return Response(content, media_type=FORMATS[name].media_type, headers={"X-Seed": str(sound.seed)})
