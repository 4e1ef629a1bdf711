from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from translator.serving.metrics import Metrics


def values(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the samples by name and label values."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_requests_and_batches_are_counted() -> None:
    metrics = Metrics()
    metrics.observe_request("/translate", 200, 0.2)
    metrics.observe_request("/translate", 200, 0.4)
    metrics.observe_request("/translate", 429, 0.001)
    metrics.observe_batch(3, 70, 0.1)
    metrics.watch_queue(lambda: 12)
    found = values(metrics)
    assert found["translator_requests_total", ("/translate", "200")] == 2
    assert found["translator_requests_total", ("/translate", "429")] == 1
    assert found["translator_request_seconds_count", ("/translate",)] == 3
    assert found["translator_batch_texts_sum", ()] == 3
    assert found["translator_source_characters_total", ()] == 70
    assert found["translator_waiting_characters", ()] == 12


def test_two_servers_have_measurements_of_their_own() -> None:
    first, second = Metrics(), Metrics()
    first.observe_batch(3, 70, 0.1)
    assert values(second)["translator_batch_texts_sum", ()] == 0
