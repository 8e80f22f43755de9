"""The files that the page links to: the sounds of a job in every format, and their spectrograms."""

from __future__ import annotations

import re

from fastapi import APIRouter, HTTPException, Request, Response

from ppaudioldm.audio.spectrogram import png, spectrogram
from ppaudioldm.choices import AUDIO_FORMATS
from ppaudioldm.serving.formats import FORMATS, encode
from ppaudioldm.serving.responses import in_thread
from ppaudioldm.serving.result import Sound
from ppaudioldm.serving.service import Service

HEADERS = {"Cache-Control": "private, max-age=86400, immutable", "Accept-Ranges": "bytes"}  # a sound never changes


def routes(service: Service) -> APIRouter:
    """`sounds/JOB/INDEX.FORMAT`, a format being one of AUDIO_FORMATS, png, or plain.png (without axes)."""
    router = APIRouter()

    @router.get("/sounds/{job_id}/{name}", include_in_schema=False)
    async def file(job_id: str, name: str, request: Request) -> Response:
        index, _, kind = name.partition(".")
        job = service.find(job_id)
        if job is None or not (index.isascii() and index.isdigit() and len(index) < 4):
            raise HTTPException(404, "this sound does not exist, or not any more")
        try:
            sound = await in_thread(service.sound, job, int(index))
        except LookupError as error:
            raise HTTPException(404, str(error)) from None
        if kind in ("png", "plain.png"):
            content = await in_thread(picture, sound, kind == "plain.png")
            return Response(content, media_type="image/png", headers=HEADERS)
        if kind not in AUDIO_FORMATS:
            raise HTTPException(404, f"unknown format {kind[:20]!r}, choose from {', '.join(AUDIO_FORMATS)}")
        content = await in_thread(encode, sound, kind)
        return ranged(content, FORMATS[kind].media_type, request.headers.get("range", ""))

    return router


def picture(sound: Sound, plain: bool) -> bytes:
    """The spectrogram as PNG; plain: without axes."""
    return png(spectrogram(sound.waveform, sound.sample_rate, axes=not plain))


def ranged(content: bytes, media_type: str, range_header: str) -> Response:
    """`content`, or the one range of it that the request's Range header names: some browsers play nothing without."""
    match = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", range_header.strip())
    if match is None or match[0] == "bytes=-":
        return Response(content, media_type=media_type, headers=HEADERS)
    size = len(content)
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
    else:
        first, last = max(0, size - int(match[2])), size - 1  # the last bytes
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers = HEADERS | {"Content-Range": f"bytes {first}-{last}/{size}"}
    return Response(content[first : last + 1], 206, headers, media_type)
