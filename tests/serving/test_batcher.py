from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
from running_server import busy

from translator import Translation, Translator
from translator.config import ConfigError, DecodingChanges
from translator.serving.batcher import MAX_BATCH_CHARACTERS, Batcher
from translator.serving.errors import ServingError

TEXTS = ["Le chat dort.", "", "Où est la gare ?", "Je n'ai pas vu l'homme."]


class Batches:
    """Observes the number of texts of each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, num_texts: int, num_characters: int, seconds: float) -> None:
        self.sizes.append(num_texts)


class FailingTranslator(Translator):
    """Fails if one of the texts is `FAIL`."""

    def translate(self, texts: Any, **changes: Any) -> Any:
        if "FAIL" in ([texts] if isinstance(texts, str) else texts):
            raise RuntimeError("this text fails")
        return super().translate(texts, **changes)


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
def batcher(random_translator: Translator, batches: Batches) -> Iterator[Batcher]:
    found = Batcher(random_translator, max_waiting=50_000, observe=batches)
    yield found
    found.close()


def test_results_are_those_of_the_translator(batcher: Batcher, random_translator: Translator) -> None:
    found = [future.result() for future in batcher.submit(TEXTS)]
    assert found == random_translator.translate(TEXTS)


def test_options_change_the_search(batcher: Batcher, random_translator: Translator) -> None:
    [future] = batcher.submit(TEXTS[:1], {"num_hypotheses": 3})
    assert future.result() == random_translator.translate(TEXTS[0], num_hypotheses=3)
    assert len(future.result().hypotheses) > 1


def test_waiting_requests_form_one_batch(batcher: Batcher, batches: Batches) -> None:
    with busy(batcher):
        futures = [future for _ in range(5) for future in batcher.submit(TEXTS)]
    assert len([future.result() for future in futures]) == 20
    assert batches.sizes[0] == 20


def test_texts_with_different_options_are_not_in_one_batch(batcher: Batcher, batches: Batches) -> None:
    with busy(batcher):
        futures = [batcher.submit(TEXTS, {"beam_size": 1 + number % 2})[0] for number in range(4)]
    assert all(isinstance(future.result(), Translation) for future in futures)
    batcher.close()
    assert batches.sizes == [8, 8]


@pytest.mark.parametrize("changes", [{}, {"beam_size": 1}])
def test_a_long_request_delays_a_short_one_by_one_batch_at_most(
    batcher: Batcher, batches: Batches, changes: DecodingChanges
) -> None:
    text = "Où est la gare ? " * 20
    count = 3 * MAX_BATCH_CHARACTERS // len(text)
    with busy(batcher):
        long = batcher.submit([text] * count)
        [short] = batcher.submit(["Bonjour."], changes)
    short.result()
    assert not long[-1].done()
    assert all(future.result().text for future in long)
    batcher.close()
    assert sum(batches.sizes) == count + 1 and len(batches.sizes) >= 3


def test_a_full_queue_refuses_texts_with_a_time_to_wait(batcher: Batcher) -> None:
    with busy(batcher):
        first = batcher.submit(["a" * 60_000])
        with pytest.raises(ServingError, match=r"at most 50,000 characters\. Received: 21,001 characters") as caught:
            batcher.submit(["b" * 21_000])
        assert caught.value.status == 429
        assert caught.value.retry_after == 31  # 60,001 characters at the 2,000 per second of a server that just began
        for future in first:
            future.cancel()
    batcher.submit(["Bonjour."])[0].result()
    assert batcher.waiting == 0


def test_the_limit_of_the_queue_is_exact(batcher: Batcher) -> None:
    with busy(batcher):
        futures = batcher.submit(["a" * 29_999])
        with pytest.raises(ServingError, match=r"Received: 20,001 characters, with 30,000 waiting"):
            batcher.submit(["b" * 20_000])
        futures += batcher.submit(["b" * 19_999])
        assert batcher.waiting == 50_000
        assert all(future.cancel() for future in futures)


def test_an_empty_queue_accepts_a_request_of_any_size(batcher: Batcher) -> None:
    with busy(batcher):
        [future] = batcher.submit(["a" * 60_000])
        assert future.cancel()


def test_cancelled_texts_are_not_translated(batcher: Batcher, batches: Batches) -> None:
    with busy(batcher):
        futures = batcher.submit(TEXTS)
        assert futures[2].cancel()
    futures[3].result()
    with pytest.raises(CancelledError):
        futures[2].result()
    batcher.close()
    assert batches.sizes == [3]


def test_a_text_that_fails_does_not_fail_its_batch(random_translator: Translator) -> None:
    failing = FailingTranslator(random_translator.engine, random_translator.tokenizers, random_translator.decoding)
    batcher = Batcher(failing)
    with busy(batcher):
        futures = batcher.submit([*TEXTS, "FAIL", "Bonjour."])
        [alone] = batcher.submit(["FAIL"], {"beam_size": 1})
    for future in (futures[4], alone):
        with pytest.raises(RuntimeError, match="this text fails"):
            future.result()
    del futures[4]
    expected = random_translator.translate([*TEXTS, "Bonjour."])
    assert [future.result().text for future in futures] == [translation.text for translation in expected]
    batcher.close()


def test_close_translates_the_queue_and_refuses_more(batcher: Batcher) -> None:
    futures = batcher.submit(TEXTS)
    batcher.close()
    assert all(future.done() for future in futures)
    with pytest.raises(ServingError, match="The server is stopping") as caught:
        batcher.submit(TEXTS)
    assert caught.value.status == 503
    with pytest.raises(ServingError, match="The server is stopping"):
        batcher.call(lambda translator: None)


def test_a_call_runs_in_the_thread_that_owns_the_translator(batcher: Batcher, random_translator: Translator) -> None:
    future = batcher.call(lambda translator: (translator, threading.current_thread().name))
    assert future.result() == (random_translator, "batcher")


def test_the_error_of_a_call_reaches_its_caller_only(batcher: Batcher) -> None:
    with pytest.raises(ZeroDivisionError):
        batcher.call(lambda translator: 1 / 0).result()
    assert batcher.submit(TEXTS)[0].result().text


def test_a_cancelled_call_does_not_run(batcher: Batcher) -> None:
    called: list[Translator] = []
    with busy(batcher):
        assert batcher.call(called.append).cancel()
    batcher.close()
    assert not called


def test_invalid_options_are_refused_before_they_are_queued(batcher: Batcher) -> None:
    with pytest.raises(ConfigError, match="beam_size"):
        batcher.submit(TEXTS, {"beam_size": 0})
    assert batcher.waiting == 0
