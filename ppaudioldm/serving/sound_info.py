"""`/v1/info`: what the tags of a sound file say of how it was generated."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from pydantic import BaseModel

from ppaudioldm.audio.tagging.files import tags_in
from ppaudioldm.serving.responses import error_responses, in_thread
from ppaudioldm.tasks.stored_settings import about


class SoundInfoAnswer(BaseModel):
    """What a file says of itself.

    marked: that it is generated. tags: all but the settings. settings: the fields of a request to /v1/generations that
    makes it again; null where it has none, or none that can be used: then `problem` says why. recording: it was made
    from one, which is not in it. opened_with: engine, precision and the like.
    """

    marked: bool
    tags: dict[str, str]
    settings: dict[str, Any] | None
    recording: bool
    opened_with: dict[str, Any]
    problem: str | None


def routes() -> APIRouter:
    """The route. The file is only read for its tags: it is neither decoded nor kept."""
    router = APIRouter(prefix="/v1", tags=["generations"])

    @router.post(
        "/info",
        response_model=SoundInfoAnswer,
        responses=error_responses(),
        summary="How a sound file was generated, from its tags",
    )
    async def info(audio: Annotated[UploadFile, File(description="the sound file")]) -> SoundInfoAnswer:
        tags = await in_thread(tags_in, audio.file)
        return SoundInfoAnswer(**about(tags))

    return router
