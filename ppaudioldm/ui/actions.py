"""What the page does with the server: submits its jobs, follows them, and tells the user's mistakes in one line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ppaudioldm.audio.names import safe_name
from ppaudioldm.audio.write import write_audio
from ppaudioldm.serving.generations import save_upload
from ppaudioldm.serving.job import Job
from ppaudioldm.serving.service import ModelNotFound, QueueClosed, QueueFull, Service
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Use
from ppaudioldm.ui import cards
from ppaudioldm.ui.form import Form, form_of, preset_of, request_of, tab_of

MISTAKES = (ValueError, LookupError, QueueFull, QueueClosed)  # what is told to the user, in one line
AT_MOST_EVERY = 0.15  # seconds: more often nobody sees


class Actions:
    """uploads: the folder of the recordings that browsers sent; nothing else is opened."""

    def __init__(self, service: Service, uploads: Path) -> None:
        self.service, self.uploads = service, uploads

    def submit(self, tab: str, form: Form) -> Job:
        """The job that the button of `tab` asks for. Raises one of MISTAKES."""
        request = request_of(tab, form, self.service)
        if TASKS[request.task].audio is not Use.REQUIRED:
            return self.service.submit(request)
        path = self.recording(form.get("recording"))
        if path is None:
            raise ValueError("there is no recording: choose a file, or record one")
        copy = self._copied(path)
        try:
            return self.service.submit(request, audio=copy)
        finally:
            copy.unlink(missing_ok=True)

    def _copied(self, path: Path) -> Path:
        """Of a recording, which the page goes on to show. Raises ValueError for what is none."""
        try:
            with path.open("rb") as file:
                return save_upload(file, self.service)
        except ValueError as error:
            raise ValueError(f"the recording is not one: {str(error).removeprefix('audio: ')}") from None

    def recording(self, path: Any) -> Path | None:
        """`path` if a browser sent it here. Raises ValueError for another."""
        if not path:
            return None
        found = Path(str(path)).resolve()
        if not found.is_relative_to(self.uploads.resolve()) or not found.is_file():
            raise ValueError("the recording is not there any more: choose it again")
        return found

    def hint(self, job: Job) -> str:
        """What the user should know of a job that was taken, as HTML."""
        model = self.service.models.of(job.request.task, job.request.model)
        known = model.pipeline.checkpoint.known_sounds
        if not known or not job.request.prompt or known.named_in(job.request.prompt):
            return ""
        told = f"{model.name} knows {len(known.sounds)} kinds of sound, and this prompt names none: try an example"
        return cards.message(told, "note")

    def find(self, job_id: str) -> Job:
        """Raises LookupError."""
        job = self.service.find(job_id)
        if job is None:
            raise LookupError("this sound is not there any more")
        return job

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """The job, and again whenever it has changed, until it is finished: no thread waits for that."""
        job = self.service.find(job_id)
        if job is None:
            return
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(changed.set)

        end = job.watch(tell)
        try:
            while True:
                changed.clear()
                finished = job.is_finished
                yield job
                if finished:
                    return
                await asyncio.sleep(AT_MOST_EVERY)
                await changed.wait()
        finally:
            end()

    def unfinished(self) -> str:
        """The id of the job that was submitted last, if it is being made or waits; "" if not."""
        jobs = self.service.history()
        return jobs[0].id if jobs and not jobs[0].is_finished else ""

    def history(self, count: int, without: str = "") -> tuple[str, bool]:
        """Up to `count` jobs but for that of the id `without`, as HTML, and whether there are more."""
        jobs = [job for job in self.service.history() if job.id != without]
        return cards.history(jobs[:count], self.service), len(jobs) > count

    def again(self, job_id: str) -> tuple[str, dict[str, Any]]:
        """The tab and the values of its fields with which the job was made. Raises LookupError."""
        request = self.find(job_id).request
        values = form_of(request)
        return tab_of(request.task), values | {"preset": preset_of(values)}

    def edited(self, job_id: str, index: int) -> Path:
        """A sound of a job as a recording for the other tabs. Raises LookupError, or OSError for a full disk."""
        job = self.find(job_id)
        sound = self.service.sound(job, index)
        name = safe_name(job.request.parameters.get("text") or job.request.prompt or job.request.task)
        return write_audio(
            self.uploads / f"{job.id}-{index}" / f"{name}.wav", sound.waveform, sound.sample_rate, sound.subtype
        )


def told(error: BaseException, service: Service) -> str:
    """One of MISTAKES as a line for the user."""
    if isinstance(error, QueueFull):
        return f"The queue is full: try again in {service.seconds_until_room()} seconds"
    if isinstance(error, QueueClosed):
        return "The server is stopping and takes no more jobs"
    if isinstance(error, ModelNotFound):
        return str(error)
    line = " ".join(str(error).split())
    return line[:1].upper() + line[1:]
