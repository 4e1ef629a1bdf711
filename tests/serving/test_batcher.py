from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from running_server import busy

from translator import Translation, Translator
from translator.config import ConfigError, DecodingChanges
from translator.serving.batcher import MAX_BATCH_CHARACTERS, Batcher
from translator.serving.errors import ServingError

TEXTS = ["Le chat dort.", "", "Où est la gare ?", "Je n'ai pas vu l'homme."]

Run = Callable[[Callable[[Batcher], Awaitable[None]]], None]


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
def run(random_translator: Translator, batches: Batches) -> Run:
    """Return a function that runs a test in an event loop, with a batcher that is closed at its end."""

    def start(test: Callable[[Batcher], Awaitable[None]]) -> None:
        async def main() -> None:
            async with Batcher(random_translator, max_waiting=50_000, observe=batches) as batcher:
                await test(batcher)

        asyncio.run(main())

    return start


def test_results_are_those_of_the_translator(run: Run, random_translator: Translator) -> None:
    async def test(batcher: Batcher) -> None:
        assert await asyncio.gather(*batcher.submit(TEXTS)) == random_translator.translate(TEXTS)

    run(test)


def test_options_change_the_search(run: Run, random_translator: Translator) -> None:
    async def test(batcher: Batcher) -> None:
        [future] = batcher.submit(TEXTS[:1], {"num_hypotheses": 3})
        found = await future
        assert found == random_translator.translate(TEXTS[0], num_hypotheses=3)
        assert len(found.hypotheses) > 1

    run(test)


def test_waiting_requests_form_one_batch(run: Run, batches: Batches) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            futures = [future for _ in range(5) for future in batcher.submit(TEXTS)]
        assert len(await asyncio.gather(*futures)) == 20

    run(test)
    assert batches.sizes == [20]


def test_requests_of_one_turn_of_the_event_loop_form_one_batch(run: Run, batches: Batches) -> None:
    async def test(batcher: Batcher) -> None:
        async def request() -> None:
            await batcher.submit(["Bonjour."])[0]

        await asyncio.gather(*(request() for _ in range(5)))

    run(test)
    assert batches.sizes == [5]


def test_clients_that_answer_at_once_stay_in_one_batch(run: Run, batches: Batches) -> None:
    async def test(batcher: Batcher) -> None:
        async def client(number: int) -> None:
            for _ in range(4):
                await batcher.submit([" ".join(TEXTS)])[0]
                for _ in range(number):  # requests follow in different turns of the event loop
                    await asyncio.sleep(0)

        await asyncio.gather(*map(client, range(8)))

    run(test)
    assert batches.sizes == [8] * 4


def test_texts_with_different_options_are_not_in_one_batch(run: Run, batches: Batches) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            futures = [batcher.submit(TEXTS, {"beam_size": 1 + number % 2})[0] for number in range(4)]
        assert all(isinstance(found, Translation) for found in await asyncio.gather(*futures))

    run(test)
    assert batches.sizes == [8, 8]


@pytest.mark.parametrize("changes", [{}, {"beam_size": 1}])
def test_a_long_request_delays_a_short_one_by_one_batch_at_most(
    run: Run, batches: Batches, changes: DecodingChanges
) -> None:
    text = "Où est la gare ? " * 20
    count = 3 * MAX_BATCH_CHARACTERS // len(text)

    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            long = batcher.submit([text] * count)
            [short] = batcher.submit(["Bonjour."], changes)
        await short
        assert not long[-1].done()
        assert all(found.text for found in await asyncio.gather(*long))

    run(test)
    assert sum(batches.sizes) == count + 1 and len(batches.sizes) >= 3


def test_a_full_queue_refuses_texts_with_a_time_to_wait(run: Run) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            first = batcher.submit(["a" * 60_000])
            with pytest.raises(
                ServingError, match=r"at most 50,000 characters\. Received: 21,001 characters"
            ) as caught:
                batcher.submit(["b" * 21_000])
            assert caught.value.status == 429
            assert caught.value.retry_after == 31  # 60,001 characters at the 2,000 per second of a server's beginning
            for future in first:
                future.cancel()
        await batcher.submit(["Bonjour."])[0]
        assert batcher.waiting == 0

    run(test)


def test_the_limit_of_the_queue_is_exact(run: Run) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            futures = batcher.submit(["a" * 29_999])
            with pytest.raises(ServingError, match=r"Received: 20,001 characters, with 30,000 waiting"):
                batcher.submit(["b" * 20_000])
            futures += batcher.submit(["b" * 19_999])
            assert batcher.waiting == 50_000
            assert all(future.cancel() for future in futures)

    run(test)


def test_an_empty_queue_accepts_a_request_of_any_size(run: Run) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            [future] = batcher.submit(["a" * 60_000])
            assert future.cancel()

    run(test)


def test_cancelled_texts_are_not_translated(run: Run, batches: Batches) -> None:
    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            futures = batcher.submit(TEXTS)
            assert futures[2].cancel()
        await futures[3]
        assert futures[2].cancelled()

    run(test)
    assert batches.sizes == [3]


def test_a_text_that_is_cancelled_while_it_is_translated_leaves_the_others(
    random_translator: Translator, batches: Batches
) -> None:
    started, end = threading.Event(), threading.Event()

    class SlowTranslator(Translator):
        """Waits before it translates."""

        def translate(self, texts: Any, **changes: Any) -> Any:
            started.set()
            end.wait()
            return super().translate(texts, **changes)

    async def test() -> None:
        slow = SlowTranslator(random_translator.engine, random_translator.tokenizers, random_translator.decoding)
        async with Batcher(slow, observe=batches) as batcher:
            futures = batcher.submit(TEXTS)
            await asyncio.to_thread(started.wait)
            assert futures[0].cancel()
            end.set()
            found = await asyncio.gather(*futures[1:])
            assert [each.text for each in found] == [each.text for each in random_translator.translate(TEXTS[1:])]
            assert (await batcher.submit(["Bonjour."])[0]).text

    asyncio.run(test())
    assert batches.sizes == [4, 1]


def test_a_text_that_fails_does_not_fail_its_batch(random_translator: Translator) -> None:
    async def test() -> None:
        failing = FailingTranslator(random_translator.engine, random_translator.tokenizers, random_translator.decoding)
        async with Batcher(failing) as batcher:
            async with busy(batcher):
                futures = batcher.submit([*TEXTS, "FAIL", "Bonjour."])
                [alone] = batcher.submit(["FAIL"], {"beam_size": 1})
            for future in (futures[4], alone):
                with pytest.raises(RuntimeError, match="this text fails"):
                    await future
            del futures[4]
            expected = random_translator.translate([*TEXTS, "Bonjour."])
            assert [(await future).text for future in futures] == [translation.text for translation in expected]

    asyncio.run(test())


def test_close_translates_the_queue_and_refuses_more(random_translator: Translator) -> None:
    async def test() -> None:
        async with Batcher(random_translator) as batcher:
            futures = batcher.submit(TEXTS) + batcher.submit(TEXTS, {"beam_size": 1})
            call = batcher.call(lambda translator: threading.current_thread())
        assert all(future.done() and future.result() for future in futures)
        assert not call.result().is_alive()
        with pytest.raises(ServingError, match="The server is stopping") as caught:
            batcher.submit(TEXTS)
        assert caught.value.status == 503
        with pytest.raises(ServingError, match="The server is stopping"):
            batcher.call(lambda translator: None)

    asyncio.run(test())


def test_calls_and_batches_share_the_thread_that_owns_the_translator(run: Run, random_translator: Translator) -> None:
    async def test(batcher: Batcher) -> None:
        calls = [batcher.call(lambda translator: (translator, threading.get_ident())) for _ in range(2)]
        (owner, thread), second = await asyncio.gather(*calls)
        assert owner is random_translator
        assert second == (owner, thread) and thread != threading.get_ident()

    run(test)


def test_the_error_of_a_call_reaches_its_caller_only(run: Run) -> None:
    async def test(batcher: Batcher) -> None:
        with pytest.raises(ZeroDivisionError):
            await batcher.call(lambda translator: 1 / 0)
        assert (await batcher.submit(TEXTS)[0]).text

    run(test)


def test_a_cancelled_call_does_not_run(run: Run) -> None:
    called: list[Translator] = []

    async def test(batcher: Batcher) -> None:
        async with busy(batcher):
            assert batcher.call(called.append).cancel()

    run(test)
    assert not called


def test_invalid_options_are_refused_before_they_are_queued(run: Run) -> None:
    async def test(batcher: Batcher) -> None:
        with pytest.raises(ConfigError, match="beam_size"):
            batcher.submit(TEXTS, {"beam_size": 0})
        assert batcher.waiting == 0

    run(test)
