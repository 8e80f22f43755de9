"""What the buttons of the page do: submit jobs to the server, follow them, and find their settings and sounds again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ppaudioldm.audio.names import safe_name
from ppaudioldm.audio.tagging.files import read_tags
from ppaudioldm.audio.write import write_audio
from ppaudioldm.errors import quoted
from ppaudioldm.serving.changes import changes_of
from ppaudioldm.serving.generations import save_upload
from ppaudioldm.serving.job import Job
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import ModelNotFound, QueueClosed, QueueFull, Service, StoreBroken
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.stored_settings import settings_in
from ppaudioldm.tasks.task import Task, Use
from ppaudioldm.text.language import NOT_ENGLISH
from ppaudioldm.ui import cards
from ppaudioldm.ui.field import SCHEDULE, Form, parameter_fields, setting_fields
from ppaudioldm.ui.form import form_of, preset_of, request_of, shown_diffusion
from ppaudioldm.ui.uploads import BLOCK_BYTES, UploadRoom, UploadsFull

MISTAKES = (
    ValueError,
    LookupError,
    QueueFull,
    QueueClosed,
    StoreBroken,
    UploadsFull,
)  # the page shows them, as one line
UPDATE_EVERY_S = 0.15  # faster changes of a job cannot be seen


class Actions:
    """uploads: the folder of the recordings that browsers sent. No other file is opened as a recording.

    room: for further ones.
    """

    def __init__(self, service: Service, uploads: Path, room: UploadRoom) -> None:
        self.service, self.uploads, self.room = service, uploads, room

    def submit(self, task: Task, form: Form) -> Job:
        """Queue what the button of the task's tab stands for. Raises one of MISTAKES."""
        request = request_of(task, form, self.service)
        path = None if task.audio is Use.UNUSED else self.recording(form.get("recording"))
        if path is None:
            if task.audio is Use.REQUIRED:
                raise ValueError("there is no recording: choose a file, or record one")
            return self.service.submit(request)
        copy = self._copied(path)
        try:
            return self.service.submit(request, audio=copy)
        finally:
            copy.unlink(missing_ok=True)

    def _copied(self, path: Path) -> Path:
        """A copy of a recording, since the page goes on to show it. Raises ValueError for what is not a sound file."""
        try:
            with path.open("rb") as file:
                return save_upload(file, self.service)
        except ValueError as error:
            raise ValueError(f"the recording cannot be used: {str(error).removeprefix('audio: ')}") from None

    def recording(self, path: Any) -> Path | None:
        """`path` if a browser sent that file; None for an empty field. Raises ValueError for any other path."""
        if not path:
            return None
        found = Path(str(path)).resolve()
        if not found.is_relative_to(self.uploads.resolve()) or not found.is_file():
            raise ValueError("the recording was removed meanwhile: choose it again")
        return found

    def hint(self, job: Job) -> str:
        """HTML of what the user should know about a job that was accepted; "" if there is nothing."""
        model, request, lines = self.service.models.of(job.request.task, job.request.model), job.request, []
        prompts = [request.prompt, *(cue.prompt for cue in request.options.prompt_schedule)]
        if unknown := [prompt for prompt in prompts if not model.knows(prompt)]:
            examples = ", ".join(model.known_prompts) if model.speaks else "an example"
            subject = "this prompt" if len(prompts) == 1 else quoted(unknown[0])
            lines.append(f"{model.name} knows {model.known_kinds}, and {subject} names none: try {examples}")
        if model.cannot_pronounce(request):
            lines.append(f"The text {NOT_ENGLISH}")
        return cards.message(". ".join(lines), "note") if lines else ""

    def find(self, job_id: str) -> Job:
        """The job of that id. Raises LookupError."""
        job = self.service.find(job_id)
        if job is None:
            raise LookupError("this sound does not exist any more")
        return job

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """The job, again after each of its changes, until it is finished. No thread waits meanwhile."""
        job = self.service.find(job_id)
        if job is None:
            return
        with changes_of(job) as changed:
            while True:
                changed.clear()
                is_last = job.is_finished
                yield job
                if is_last:
                    return
                await asyncio.sleep(UPDATE_EVERY_S)
                await changed.wait()

    def unfinished(self) -> str:
        """The id of the newest job if it waits or runs; "" if not."""
        jobs = self.service.history(1)
        return jobs[0].id if jobs and not jobs[0].is_finished else ""

    def history(self, count: int, without: str = "") -> tuple[str, bool]:
        """HTML of up to `count` jobs, without the one of that id, and whether there are more."""
        jobs = [job for job in self.service.history(count + 2) if job.id != without]
        return cards.history(jobs[:count], self.service), len(jobs) > count

    def settings_of(self, job_id: str) -> tuple[Task, dict[str, Any], str]:
        """The task of a job, the values of the components that repeat it, and what they leave out, in a line.

        Raises LookupError.
        """
        return self._form_of(self.find(job_id).request)

    def settings_of_file(self, path: Any) -> tuple[Task, dict[str, Any], str]:
        """The same for a sound file that a browser sent, from its tags. Raises ValueError for one that has too few."""
        found = self.recording(path)
        if found is None:
            raise ValueError("there is no file: choose one")
        stored = settings_in(read_tags(found), found.name)
        request = Request(
            stored.checkpoint,
            stored.task.name,
            stored.prompt,
            stored.options,
            stored.seed,
            stored.parameters,
            stored.loudness,
        )
        task, values, left_out = self._form_of(request)
        if stored.checkpoint not in [model.name for model in self.service.models.all]:
            left_out += (
                f" It was made with {stored.checkpoint}, which this server does not have: it will sound different."
            )
        return task, values, left_out.strip()

    def _form_of(self, request: Request) -> tuple[Task, dict[str, Any], str]:
        diffusion = shown_diffusion(self.service)
        task, values = TASKS[request.task], form_of(request, diffusion)
        left_out = [
            f"{field.label}: the page takes the first of the {len(request.parameters[name])} ranges of this sound."
            for name, field in parameter_fields(task).items()
            if field.is_list and len(request.parameters.get(name, ())) > 1
        ]
        return task, values | {"preset": preset_of(values, diffusion)}, " ".join(left_out)

    def sound_as_recording(self, job_id: str, index: int) -> Path:
        """Write sound number `index` of a job among the uploads.

        Raises LookupError, UploadsFull, or OSError for a full disk.
        """
        job = self.find(job_id)
        sound = self.service.sound(job, index)
        name = safe_name(cards.title_of(job.request) or job.request.task)
        path = self.uploads / f"{job.id}-{index}" / f"{name}.wav"
        with self.room.reserved(sound.waveform.nbytes + 2 * BLOCK_BYTES):
            return write_audio(path, sound.waveform, sound.sample_rate, sound.subtype, sound.tags)


def message_of(error: BaseException, service: Service) -> str:
    """One of MISTAKES as a line for the user, with the labels of the page in place of names of settings."""
    if isinstance(error, QueueFull):
        return f"The queue is full: try again in {service.seconds_until_room()} seconds"
    if isinstance(error, QueueClosed):
        return "The server is stopping and accepts no more jobs"
    if isinstance(error, ModelNotFound):
        return str(error)
    name, space, rest = " ".join(str(error).split()).partition(" ")
    name = _labels().get(name, name)
    return f"{name[:1].upper()}{name[1:]}{space}{rest}"


def _labels() -> dict[str, str]:
    """Setting, parameter or component -> label on the page."""
    fields = [
        SCHEDULE,
        *setting_fields().values(),
        *(field for task in TASKS.values() for field in parameter_fields(task).values()),
    ]
    labels = {name: field.label for field in fields for name in (field.name, *field.components)}
    return labels | {"duration": "Length"}
