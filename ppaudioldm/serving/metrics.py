"""What Prometheus is told of a server."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ppaudioldm.serving.job import FINISHED, Job
from ppaudioldm.serving.service import Service

SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Listens to `service`. Each server has a registry of its own."""

    def __init__(self, service: Service) -> None:
        registry = self._registry = CollectorRegistry()
        self._jobs = Counter("ppaudioldm_jobs", "Jobs that ended", ["task", "status"], registry=registry)
        self._waited = Histogram(
            "ppaudioldm_job_wait_seconds", "From the arrival of a job to its start", buckets=SECONDS, registry=registry
        )
        self._took = Histogram(
            "ppaudioldm_batch_seconds", "What a batch took to make", buckets=SECONDS, registry=registry
        )
        self._sizes = Histogram("ppaudioldm_batch_size", "Jobs made at once", buckets=SIZES, registry=registry)
        self._sound = Counter("ppaudioldm_sound_seconds", "Seconds of sound that were made", registry=registry)
        self._requests = Counter(
            "ppaudioldm_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        for name, told, value in (
            ("queue_length", "Jobs that wait", lambda: len(service.queue)),
            ("running", "Jobs that are being made", lambda: len(service.running)),
            ("ready", "1 when jobs are taken", lambda: float(service.is_ready)),
            ("disk_bytes", "What the jobs take on disk", lambda: service.store.size),
        ):
            Gauge(f"ppaudioldm_{name}", told, registry=registry).set_function(value)
        ProcessCollector(registry=registry)
        for task in service.models.tasks():
            for status in FINISHED:
                self._jobs.labels(task, status)
        service.on_batch, service.on_finish = self._batch, self._finished

    def _batch(self, jobs: Sequence[Job], seconds: float) -> None:
        self._took.observe(seconds)
        self._sizes.observe(len(jobs))

    def _finished(self, job: Job) -> None:
        state = job.state
        self._jobs.labels(job.work.task, state.status).inc()
        if state.started is not None:
            self._waited.observe(max(0.0, state.started - job.created))
        if state.sounds:
            self._sound.inc(state.sounds[0].duration)

    def requested(self, method: str, route: str, status: int) -> None:
        self._requests.labels(method, route, status).inc()

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
