"""A call of a tool: its job in the server's queue, the progress of it, and the file with its sound."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from ppaudioldm.assistants.sounds import SoundFile, SoundFolder, decoded
from ppaudioldm.assistants.tools import Call, Tool, call_of
from ppaudioldm.serving.changes import changes_of
from ppaudioldm.serving.formats import encode
from ppaudioldm.serving.generations import save_upload
from ppaudioldm.serving.job import QUEUED, Job
from ppaudioldm.serving.models import Model
from ppaudioldm.serving.service import ModelNotFound, QueueClosed, QueueFull, Service, StoreBroken
from ppaudioldm.serving.voices import Voice
from ppaudioldm.text.language import NOT_ENGLISH

UPDATE_EVERY_S = 0.15  # faster changes of a job are one notification
HEARTBEAT_S = 5.0  # seconds without a change after which the client gets a progress notification all the same
LEAST_PERCENT = 0.001  # of progress from one notification to the next: the protocol lets it only grow
DENOISED_PERCENT = 95.0  # of the progress; what comes after the denoising is short
MISTAKES = (ValueError, ModelNotFound, QueueFull, QueueClosed, StoreBroken, OSError)  # answered with one line

SendProgress = Callable[[float, float, str], Awaitable[None]]  # progress, total, message


class CallFailed(Exception):
    """The job of a call failed, for a reason in one line."""


@dataclass(frozen=True)
class Answer:
    """What a call wrote. file: the first of several variations. content: of it. notes: lines for the user."""

    file: SoundFile
    content: bytes
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class Calls:
    """folder: of the files that are written, and the only one whose files are recordings. voices: by id."""

    def __init__(self, service: Service, folder: SoundFolder, voices: Mapping[str, Voice]) -> None:
        self.service, self.folder, self.voices = service, folder, voices

    async def run(self, tool: Tool, arguments: Mapping[str, Any], send: SendProgress) -> Answer:
        """Run a call to its end; if it is cancelled, its job is. Raises one of MISTAKES, or CallFailed."""
        # Shielded up to here: a job that is queued must be known, to be cancelled.
        with anyio.CancelScope(shield=True):
            call, job = await anyio.to_thread.run_sync(self._submitted, tool, arguments)
        try:
            await self._follow(job, send)
            return await anyio.to_thread.run_sync(self._written, call, job)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._forget, job)

    def checkpoints(self) -> list[dict[str, Any]]:
        """The checkpoints of the server, as `list_checkpoints` returns them."""
        return [_description(model) for model in self.service.models.all]

    def _submitted(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[Call, Job]:
        call = call_of(tool, arguments, self.service, self.voices)
        self.folder.check_room()
        recording = self._recording(call)
        if recording is None:
            return call, self.service.submit(call.request, kept=False)
        copy = save_upload(io.BytesIO(recording), self.service)
        try:
            return call, self.service.submit(call.request, audio=copy)
        finally:
            copy.unlink(missing_ok=True)

    def _recording(self, call: Call) -> bytes | None:
        limit = self.service.settings.limits.body_bytes
        if call.content is not None:
            return decoded(call.content, limit)
        return None if call.audio is None else self.folder.content(call.audio, limit)

    async def _follow(self, job: Job, send: SendProgress) -> None:
        """Send the progress of `job` until it is finished, or its time limit has passed."""
        sent = -LEAST_PERCENT
        with changes_of(job) as changed:
            while not job.is_finished:
                changed.clear()
                percent, line = self._progress(job)
                sent = round(max(percent, sent + LEAST_PERCENT), 3)
                await send(sent, 100.0, line)
                with anyio.move_on_after(min(HEARTBEAT_S, max(0.0, job.seconds_left))):
                    await changed.wait()
                if not job.is_finished and job.seconds_left <= 0:
                    await anyio.to_thread.run_sync(self.service.expire, job)
                if not job.is_finished:
                    await anyio.sleep(UPDATE_EVERY_S)

    def _progress(self, job: Job) -> tuple[float, str]:
        """Percent and a line."""
        at = job.state.progress
        if job.state.status == QUEUED:
            if not self.service.is_ready:
                return 0.0, "the networks are being prepared; the first time, this takes a minute or two"
            return 0.0, f"waiting, {self.service.queue.position(job) or 0} ahead in the queue"
        if at is None:
            return 0.0, "starting"
        share = at.done / max(1, at.total) if at.stage == "denoise" else 0.0
        return DENOISED_PERCENT * share, f"{at.stage}: {at.done} of {at.total}"

    def _written(self, call: Call, job: Job) -> Answer:
        state, request = job.state, job.request
        if state.error is not None or not state.sounds:
            raise CallFailed(state.error or "it was cancelled")
        sounds = [self.service.sound(job, index) for index in range(len(state.sounds))]
        content = encode(sounds[0], call.format)
        files = [
            self.folder.write(encode(one, call.format), _file_title(call, job, one.seed, number), call.format)
            for number, one in enumerate(sounds, 1)
        ]
        sound, file = sounds[0], files[0]
        model = self.service.models.of(request.task, request.model)
        facts = {
            "name": file.name,
            "address": file.address,
            "duration": round(sound.duration, 3),
            "sample_rate": sound.sample_rate,
            "seed": sound.seed,
            "score": sound.score,
            "task": request.task,
            "checkpoint": model.name,
            "licence": model.licence,
            "seconds": state.seconds,
        }
        if len(sounds) > 1:
            facts["variations"] = [
                {"name": one.name, "address": one.address, "seed": made.seed}
                for one, made in zip(files, sounds, strict=True)
            ]
        return Answer(file, content, facts, tuple(_notes(job, model)))

    def _forget(self, job: Job) -> None:
        """End `job` if it is not finished, and keep nothing of it besides the file."""
        if job.kept:
            self.service.remove(job)
        else:
            self.service.cancel(job)


def _file_title(call: Call, job: Job, seed: int, number: int) -> str:
    """What names the file of sound `number`, from 1: the call's name, numbered for variations, or prompt and seed."""
    if not call.name:
        return f"{_title(job)}-{seed}"
    return call.name if len(job.state.sounds) == 1 else f"{call.name}-{number}"


def message_of(error: BaseException, service: Service) -> str:
    """One of MISTAKES, or a CallFailed, in one line without a path of this machine."""
    if isinstance(error, QueueFull):
        return str(error) or f"the queue is full, try again in {service.seconds_until_room()} seconds"
    if isinstance(error, QueueClosed):
        return "the server is stopping and accepts no more jobs"
    if isinstance(error, OSError):
        return f"the output folder cannot be used: {error.strerror or 'an error of the disk'}"
    return " ".join(str(error).split())


def _title(job: Job) -> str:
    return str(job.request.parameters.get("text") or job.request.prompt or job.request.task)


def _notes(job: Job, model: Model) -> list[str]:
    notes = []
    if not job.state.complete:
        notes.append("it was stopped early; this is the best candidate that was complete")
    if model.is_random:
        notes.append(f"{model.name} has random weights, so this is noise and not the sound of the prompt")
    elif not model.knows(job.request.prompt):
        notes.append(f"{model.name} knows {model.known_kinds}, and this prompt names none: list_checkpoints lists them")
    if model.cannot_pronounce(job.request):
        notes.append(f"the text {NOT_ENGLISH}")
    return notes


def _description(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "tasks": list(model.tasks),
        "sample_rate": model.sample_rate,
        "default_duration": model.default_duration,
        "licence": model.licence,
        "has_random_weights": model.is_random,
        "known_prompts": list(model.known_prompts),
    }
