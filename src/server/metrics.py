"""Figures of the server for Prometheus. No name of a photo and no address is among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from genspot.server.batching import Answer, Batcher
from genspot.server.jobs import STATUSES, Jobs
from genspot.server.limits import HeldBytes

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # upper bounds


class Metrics(Collector):
    """Figures of one server.

    Args:
        batcher: answers questions.
        jobs: that are kept.
        held: bytes of requests in memory.
    """

    def __init__(self, batcher: Batcher, jobs: Jobs, held: HeldBytes) -> None:
        self.batcher, self.jobs, self.held = batcher, jobs, held
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._requests = Counter(
            "genspot_requests",
            "Requests that were answered",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "genspot_request_seconds",
            "Seconds from the head of a request to the end of its answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._photos = Counter(
            "genspot_photos", "Photos in answers", ("outcome",), registry=self.registry
        )

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered after `seconds`."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_photos(self, answers: Sequence[Answer]) -> None:
        """Count the photos of `answers`."""
        unreadable = sum(not answer["detectors"] for answer in answers)
        self._photos.labels("unreadable").inc(unreadable)
        self._photos.labels("examined").inc(len(answers) - unreadable)

    def text(self) -> tuple[bytes, str]:
        """Return all figures in Prometheus' text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Yield the figures that are read where they arise; called by the registry."""
        held, batches = self.batcher.held, self.batcher.batches
        yield GaugeMetricFamily("genspot_photos_held", "Photos not yet answered", held)
        yield GaugeMetricFamily("genspot_bytes_held", "Bytes of requests held", self.held.held)
        yield CounterMetricFamily("genspot_batches", "Batches of photos answered", batches)
        jobs = GaugeMetricFamily("genspot_jobs", "Jobs that are kept", labels=("status",))
        for status in STATUSES:
            jobs.add_metric((status,), self.jobs.count(status))
        yield jobs
