"""Measurements of the server in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "translator_requests", "Requests, by path and status.", ["path", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "translator_request_seconds",
            "Time from a request's headers to the end of its response, by path.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batch_texts = Histogram(
            "translator_batch_texts", "Texts per batch.", buckets=_TEXTS, registry=self._registry
        )
        self._batch_seconds = Histogram(
            "translator_batch_seconds", "Time per batch.", buckets=_SECONDS, registry=self._registry
        )
        self._characters = Counter(
            "translator_source_characters", "Characters of source text translated.", registry=self._registry
        )
        self._waiting = Gauge("translator_waiting_characters", "Characters in the queue.", registry=self._registry)

    def observe_request(self, path: str, status: int, seconds: float) -> None:
        """Count a response."""
        self._requests.labels(path, str(status)).inc()
        self._latency.labels(path).observe(seconds)

    def observe_batch(self, num_texts: int, num_characters: int, seconds: float) -> None:
        """Count a batch."""
        self._batch_texts.observe(num_texts)
        self._batch_seconds.observe(seconds)
        self._characters.inc(num_characters)

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Report the number of waiting characters that the function returns."""
        self._waiting.set_function(waiting)

    def page(self) -> bytes:
        """Return all measurements in the text format."""
        return generate_latest(self._registry)
