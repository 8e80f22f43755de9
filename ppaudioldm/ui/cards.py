"""Jobs as HTML cards: progress, and results with a player, a spectrogram and downloads of each sound."""

from __future__ import annotations

import html
import re
import time

from ppaudioldm.audio.names import safe_name
from ppaudioldm.choices import AUDIO_FORMATS
from ppaudioldm.serving.job import CANCELLED, FAILED, QUEUED, RUNNING, Job, SoundInfo
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import Service
from ppaudioldm.tasks.registry import TASKS

STAGES = {
    "load": "Loading the networks",
    "encode": "Encoding the recording",
    "text": "Reading the prompt",
    "denoise": "Denoising",
    "decode": "Decoding",
    "vocoder": "Generating the waveform",
    "rank": "Comparing with the prompt",
}
NON_COMMERCIAL = "-NC"  # in the name of a licence
MAX_TITLE = 120  # characters


def progress(job: Job, service: Service) -> str:
    """How far `job` is, as a line and a bar; "" once it is finished."""
    state = job.state
    if state.is_finished:
        return ""
    if not service.is_ready and state.status == QUEUED:
        return _bar("The model is being prepared; the first time, this takes a minute or two", None)
    if state.status == QUEUED:
        ahead = service.queue.position(job)
        return _bar(f"Waiting, {ahead} ahead in the queue" if ahead else "Waiting, next in the queue", None)
    at = state.progress
    if at is None:
        return _bar("Starting", None)
    return _bar(f"{STAGES.get(at.stage, at.stage)}: {at.done} of {at.total}", at.done / max(1, at.total))


def _bar(line: str, share: float | None) -> str:
    """A line of text and a bar. share: from 0 to 1, None for one that only moves."""
    value = "" if share is None else f' value="{share:.3f}"'
    return (
        f'<div class="progress"><p role="status">{html.escape(line)}</p>'
        f'<progress max="1"{value} aria-label="Progress"></progress></div>'
    )


def message(text: str, kind: str = "error") -> str:
    """`text` as one line for the user. kind: "error" or "note"."""
    role = "alert" if kind == "error" else "status"
    line = re.sub(r"(--[a-z-]+)", r'<span class="flag">\1</span>', html.escape(" ".join(text.split())))
    return f'<p class="message {kind}" role="{role}">{line}</p>'


def licences(service: Service) -> str:
    """The checkpoints of the server, with the licences of their weights."""
    lines = []
    for model in service.models.all:
        forbids = ": <strong>not for commercial use</strong>" if NON_COMMERCIAL in model.licence else ""
        noise = "; random weights, which generate noise" if model.is_random else ""
        name, licence = html.escape(model.name), html.escape(model.licence)
        lines.append(
            f'<p>Model: <b translate="no">{name}</b>, {model.sample_rate / 1000:g} kHz, licence: {licence}'
            f"{forbids}{noise}</p>"
        )
    return "".join(lines)


def result(job: Job, service: Service) -> str:
    """The card of a finished `job`; "" before."""
    return _card(job, service, folded=False) if job.is_finished else ""


def history(jobs: list[Job], service: Service) -> str:
    """The cards of `jobs`, which show the best sound of each; the others are folded away."""
    if not jobs:
        return '<p class="empty">Your sounds appear here, and stay after a reload.</p>'
    return "".join(_card(job, service, folded=True) for job in jobs)


def _card(job: Job, service: Service, folded: bool) -> str:
    state, title = job.state, title_of(job.request)
    sections = [
        f'<h3 translate="no">{html.escape(title)}</h3>' if title else "<h3>Like the recording</h3>",
        f'<p class="facts">{_facts(job, service)}</p>',
    ]
    if state.error is not None:
        sections.append(message(f"It failed: {state.error}"))
    elif state.status == CANCELLED:
        sections.append(message("It was cancelled", "note"))
    elif state.sounds and not state.complete:
        sections.append(message("It was stopped early. This is the best sound that was complete", "note"))
    shown = list(enumerate(state.sounds))
    has_variations = job.request.options.variations > 1
    if len(shown) > 1 and not has_variations:  # the first repeats the best of the others
        shown = sorted(shown[1:], key=lambda pair: -(pair[1].score or 0.0))
    sounds = [_sound(job, index, info, rank, len(shown), folded) for rank, (index, info) in enumerate(shown)]
    if folded and len(sounds) > 1:
        others = f"<details><summary>{len(sounds) - 1} more</summary><ol>{''.join(sounds[1:])}</ol></details>"
        sections.append(f"<ol>{sounds[0]}</ol>{others}")
    elif sounds:
        sections.append(f"<ol>{''.join(sounds)}</ol>")
    sections.append(f'<p class="actions">{_actions(job)}</p>')
    return f'<article class="job {state.status}" data-job="{job.id}">{"".join(sections)}</article>'


def _facts(job: Job, service: Service) -> str:
    request, state = job.request, job.state
    facts = [TASKS[request.task].title]
    if state.status in (QUEUED, RUNNING):
        facts.append("waiting" if state.status == QUEUED else "running")
    if state.sounds:
        facts.append(f"{state.sounds[0].duration:.2f} s")
    facts += [f"{cue.prompt} from {cue.seconds:g} s" for cue in request.options.prompt_schedule]
    facts.append(f"{request.options.num_inference_steps} steps")
    if state.started is not None and state.finished is not None and state.status not in (FAILED, CANCELLED):
        facts.append(f"took {state.finished - state.started:.1f} s")
    licence = next((model.licence for model in service.models.all if model.name == request.model), None)
    model = html.escape(f"{request.model} ({licence})" if licence else request.model)
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
    spans = [f"<span>{html.escape(fact)}</span>" for fact in facts]
    return " · ".join((*spans, f'<span translate="no">{model}</span>', f"<span>{when}</span>"))


def _sound(job: Job, index: int, info: SoundInfo, rank: int, count: int, folded: bool) -> str:
    title = title_of(job.request) or job.request.task
    has_variations = job.request.options.variations > 1
    kind = "Variation" if has_variations else "Candidate"
    number = f"{kind} {rank + 1} of {count}" if count > 1 else "Sound"
    name = html.escape(f"{number}: {title}", quote=True)
    place = "Best" if rank == 0 and not has_variations else f"No. {rank + 1}"
    facts = [f"<b>{place}</b>"] if count > 1 else []
    if info.score is not None:
        facts.append(
            f'<span title="how well the sound fits the prompt, from -1 to 1">CLAP score {info.score:.3f}</span>'
        )
    facts.append(f"<span>seed {info.seed}</span>")
    picture = _spectrogram(job.id, index, info, name)
    if folded:
        picture = f"<details><summary>Spectrogram</summary>{picture}</details>"
    file_name = html.escape(f"{safe_name(title)}-{info.seed}", quote=True)
    links = " ".join(
        f'<a href="sounds/{job.id}/{index}.{kind}" download="{file_name}.{kind}"'
        f' aria-label="Download as {kind.upper()}">{kind.upper()}</a>'
        for kind in AUDIO_FORMATS
    )
    edit = f'<button type="button" data-action="edit" data-index="{index}">Edit this sound</button>'
    return (
        f'<li class="sound"><p class="score">{" · ".join(facts)}</p>{"" if folded else picture}'
        f'<audio controls preload="metadata" src="sounds/{job.id}/{index}.wav" aria-label="{name}"></audio>'
        f'<p class="files"><span>Download</span> {links} {edit}</p>{picture if folded else ""}</li>'
    )


def _spectrogram(job_id: str, index: int, info: SoundInfo, name: str) -> str:
    """The picture without axes, and their ends as text, which stays readable on a small screen."""
    address = f"sounds/{job_id}/{index}"
    return (
        f'<figure class="spectrogram"><a href="{address}.png" target="_blank" title="Show with axes, in a new tab">'
        f'<img src="{address}.plain.png" loading="lazy" width="900" height="360" alt="Spectrogram. {name}"></a>'
        f'<span class="top">{info.sample_rate / 2000:g} kHz</span><span class="playhead" aria-hidden="true"></span>'
        f"<figcaption><span>0 s</span><span>{info.duration:.2f} s</span></figcaption></figure>"
    )


def _actions(job: Job) -> str:
    if not job.is_finished:
        return _button("cancel", "Cancel")
    return _button("again", "Use these settings again") + _button("remove", "Delete")


def _button(action: str, label: str) -> str:
    return f'<button type="button" data-action="{action}">{label}</button>'


def title_of(request: Request) -> str:
    """What a person recognises the request by: the text that is spoken, or the prompt; "" without either."""
    text = " ".join(str(request.parameters.get("text") or request.prompt or "").split())
    return text if len(text) <= MAX_TITLE else f"{text[: MAX_TITLE - 1]}…"
