"""Jobs as HTML cards."""

from __future__ import annotations

import re

import pytest

from ppaudioldm.generation.options import Progress
from ppaudioldm.serving.job import Job, SoundInfo
from ppaudioldm.ui import cards
from tests.serving.examples import PATIENCE, new_request, service_of
from tests.ui.examples import pipeline


@pytest.fixture
def service(tmp_path):
    with service_of(tmp_path, pipeline()) as started:
        yield started


def finished_job(*scores: float, prompt: str = "a bell") -> Job:
    job = Job(new_request(prompt), kept=True, timeout_s=60)
    infos = [SoundInfo(seed, score, 16000, 8000, 1) for seed, score in enumerate(scores)]
    best = max(infos, key=lambda info: info.score)
    job.finish("succeeded", sounds=tuple(infos if len(infos) == 1 else [best, *infos]))
    return job


def test_nothing_of_a_user_is_html(service):
    prompt = "<img src=x onerror=alert(1)>\" ' & bell"
    job = finished_job(0.5, prompt=prompt)
    for shown in (cards.result(job, service), cards.history([job], service), cards.message(prompt)):
        assert "<img src=x" not in shown
        assert not re.search(r'(aria-label|alt|download)="[^"]*[<>]', shown)
    assert "&lt;img src=x onerror=alert(1)&gt;" in cards.result(job, service)


def test_candidates_are_in_order_of_their_scores(service):
    shown = cards.result(finished_job(0.1, 0.5, 0.3), service)
    assert re.findall(r"CLAP score ([\d.]+)", shown) == ["0.500", "0.300", "0.100"]
    assert re.findall(r'<audio [^>]*src="sounds/\w+/(\d)\.wav"', shown) == ["2", "3", "1"]  # 0 is the best again
    assert shown.index("<b>Best</b>") < shown.index("CLAP score 0.500")
    folded = cards.history([finished_job(0.1, 0.5, 0.3)], service)
    assert "<summary>2 more</summary>" in folded


def test_every_format_can_be_had(service):
    job = finished_job(0.5)
    shown = cards.result(job, service)
    for kind in ("wav", "flac", "ogg", "mp3"):
        assert f'href="sounds/{job.id}/0.{kind}" download="a_bell-0.{kind}"' in shown


def test_progress(service):
    service.wait_until_ready(PATIENCE)
    job = Job(new_request(), kept=True, timeout_s=60)
    assert "Waiting, next in the queue" in cards.progress(job, service)
    job.start()
    assert "Starting" in cards.progress(job, service)
    job.report(Progress("denoise", 5, 20))
    shown = cards.progress(job, service)
    assert "Denoising: 5 of 20" in shown and 'value="0.250"' in shown
    job.finish("cancelled")
    assert cards.progress(job, service) == ""
    assert "It was cancelled" in cards.result(job, service)


def test_a_failed_job_says_why(service):
    job = Job(new_request(), kept=True, timeout_s=60)
    job.finish("failed", error="prompt is <b>", reason="invalid")
    assert "It failed: prompt is &lt;b&gt;" in cards.result(job, service)


def test_the_licence_is_shown(service):
    assert "licence: that of the checkpoint from which it was converted" in cards.licences(service)
