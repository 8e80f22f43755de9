"""Measurements of a server, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ppaudioldm.serving.job import FINISHED, Job
from ppaudioldm.serving.service import Service

BUCKETS_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
BUCKETS_SIZE = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The measurements of `service`, to which this object listens. Each server has a registry of its own."""

    def __init__(self, service: Service) -> None:
        registry = self._registry = CollectorRegistry()
        self._jobs = Counter("ppaudioldm_jobs", "Jobs that ended", ["task", "status"], registry=registry)
        self._waited = Histogram(
            "ppaudioldm_job_wait_seconds",
            "Seconds from a job's arrival to its start",
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._took = Histogram(
            "ppaudioldm_batch_seconds", "Seconds that a batch ran", buckets=BUCKETS_S, registry=registry
        )
        self._sizes = Histogram("ppaudioldm_batch_size", "Jobs in a batch", buckets=BUCKETS_SIZE, registry=registry)
        self._sound = Counter("ppaudioldm_sound_seconds", "Seconds of sound that were generated", registry=registry)
        self._requests = Counter(
            "ppaudioldm_http_requests", "Requests that were answered", ["method", "route", "status"], registry=registry
        )
        for name, description, value in (
            ("queue_length", "Jobs that wait", lambda: len(service.queue)),
            ("running", "Jobs that run", lambda: len(service.running)),
            ("ready", "1 when jobs are accepted", lambda: float(service.is_ready)),
            ("disk_bytes", "Bytes of all jobs on disk", lambda: service.store.size),
        ):
            Gauge(f"ppaudioldm_{name}", description, registry=registry).set_function(value)
        ProcessCollector(registry=registry)
        for task in service.models.tasks():
            for status in FINISHED:
                self._jobs.labels(task, status)
        service.hooks.batch.add(self._count_batch)
        service.hooks.job_end.add(self._count_job)

    def _count_batch(self, jobs: Sequence[Job], seconds: float) -> None:
        self._took.observe(seconds)
        self._sizes.observe(len(jobs))

    def _count_job(self, job: Job) -> None:
        state = job.state
        self._jobs.labels(job.request.task, state.status).inc()
        if state.started is not None:
            self._waited.observe(max(0.0, state.started - job.created))
        if state.sounds:
            self._sound.inc(state.sounds[0].duration)

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count an answered request; route: the template of its path."""
        self._requests.labels(method, route, status).inc()

    def text(self) -> bytes:
        """All measurements, in the text format of Prometheus."""
        return generate_latest(self._registry)
