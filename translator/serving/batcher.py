"""`Batcher`: one thread that owns the translator and translates the texts of all requests in batches."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from translator.config import DecodingChanges, change_decoding
from translator.inference.results import Translation
from translator.inference.translator import Translator
from translator.serving.errors import ServingError

Result = TypeVar("Result")

MAX_BATCH_CHARACTERS = 8192  # about 2,000 tokens; a new request waits for at most one batch in progress
_INITIAL_SPEED = 2000.0  # characters per second, until a batch has been measured
_MAX_RETRY_AFTER = 60  # seconds
_PAUSE = 1 / 16  # of the time of the last batch; if no request arrives for so long, the next batch starts
_MAX_PAUSES = 4


class BatchObserver(Protocol):
    """Receives the size of each batch."""

    def __call__(self, num_texts: int, num_characters: int, seconds: float) -> None: ...


@dataclass
class _Job:
    """The texts of one request that have not been translated yet.

    Attributes:
        changes: options of the search; a batch has texts of equal options only.
        is_html: whether the texts are HTML with inline tags; those of a batch all are, or none.
        texts: texts and the futures of their translations.
    """

    changes: DecodingChanges
    is_html: bool
    texts: deque[tuple[str, asyncio.Future[Translation]]]


@dataclass
class _Batch:
    changes: DecodingChanges
    is_html: bool
    texts: list[str] = field(default_factory=list)
    futures: list[asyncio.Future[Translation]] = field(default_factory=list)
    num_finished: int = 0  # requests without further texts in the queue


class Batcher:
    """A queue of texts and the thread that translates them, as an asynchronous context.

    When the context ends, the texts in the queue are translated and further texts refused. All methods must be called
    in the event loop of the context. The thread wakes the event loop once per batch.

    A batch takes one text of each waiting request in turn, so that a long request does not delay short ones by more
    than one batch. A request at an idle server is a batch at once. After a batch of several requests, the next batch
    starts when as many requests have arrived, or when no more arrive: clients that send their next request when they
    have an answer would otherwise be served in batches of a few texts and of all others in turn.

    Args:
        translator: translator, used by the thread of the batcher alone.
        max_waiting: maximum number of characters in the queue; `submit` refuses further texts.
        observe: called after each batch.
    """

    def __init__(
        self, translator: Translator, max_waiting: int = 1_000_000, observe: BatchObserver | None = None
    ) -> None:
        self.decoding = translator.decoding
        self.places_tags = not translator.engine.unsupported(translator.decoding.model_copy(update={"alignment": True}))
        self._translator = translator
        self._max_waiting = max_waiting
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, "batcher")
        self._jobs: deque[_Job] = deque()
        self._calls: deque[tuple[Callable[[Translator], Any], asyncio.Future[Any]]] = deque()
        self._num_expected = 1  # requests in the queue at which the next batch starts
        self._is_ready = asyncio.Event()
        self._waiting = 0  # characters
        self._speed = _INITIAL_SPEED
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closed = True
        self._is_ready.set()
        await self._worker
        self._thread.shutdown()

    @property
    def waiting(self) -> int:
        """Number of characters in the queue."""
        return self._waiting

    def submit(
        self, texts: Sequence[str], changes: DecodingChanges | None = None, *, is_html: bool = False
    ) -> list[asyncio.Future[Translation]]:
        """Queue texts, all or none, and return the futures of their translations. A future may be cancelled.

        Args:
            texts: the texts.
            changes: options of the search.
            is_html: whether the texts are HTML with inline tags, which requires `places_tags`.

        Raises:
            ConfigError: if an option is unknown or out of range.
            ServingError: if the queue is full, or the batcher closed.
        """
        changes = changes or {}
        if changes:  # of few requests
            change_decoding(self.decoding, changes)
        self._require_open()
        size = sum(map(_cost, texts))
        if self._waiting and self._waiting + size > self._max_waiting:
            raise ServingError(
                f"The queue holds at most {self._max_waiting:,} characters. Received: {size:,} characters, with "
                f"{self._waiting:,} waiting. Try again later.",
                status=429,
                retry_after=max(1, min(_MAX_RETRY_AFTER, math.ceil(self._waiting / self._speed))),
            )
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Translation]] = [loop.create_future() for _ in texts]
        if texts:
            self._waiting += size
            self._jobs.append(_Job(changes, is_html, deque(zip(texts, futures, strict=True))))
            if len(self._jobs) >= self._num_expected:
                self._is_ready.set()
        return futures

    def call(self, function: Callable[[Translator], Result]) -> asyncio.Future[Result]:
        """Run a function of the translator between two batches.

        Raises:
            ServingError: if the batcher is closed.
        """
        self._require_open()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._calls.append((function, future))
        self._is_ready.set()
        return future

    def _require_open(self) -> None:
        if self._is_closed:
            raise ServingError("The server is stopping.", status=503, retry_after=1)

    async def _work(self) -> None:
        """Run calls and batches until the batcher is closed and the queue is empty."""
        while self._jobs or self._calls or not self._is_closed:
            if self._calls:
                await self._run_call(*self._calls.popleft())
            if self._jobs and (batch := self._next_batch()) is not None:
                await self._run_batch(batch)
            if not self._jobs and not self._calls and not self._is_closed:
                self._is_ready.clear()
                await self._is_ready.wait()

    async def _run_call(self, function: Callable[[Translator], Result], future: asyncio.Future[Result]) -> None:
        if not future.done():
            [result] = await self._in_thread(lambda: _attempt(lambda: [function(self._translator)]))
            _finish(future, result)

    async def _run_batch(self, batch: _Batch) -> None:
        start = time.perf_counter()
        results = await self._in_thread(lambda: self._translate(batch.texts, batch))
        seconds = time.perf_counter() - start
        self._measure(batch, seconds)  # before the results: a client that has its answer finds it in the metrics
        for future, result in zip(batch.futures, results, strict=True):
            _finish(future, result)
        await self._pause(batch.num_finished, seconds)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _pause(self, num_finished: int, seconds: float) -> None:
        """Give clients time to send their next requests.

        Args:
            num_finished: number of requests that the last batch finished.
            seconds: time of the last batch.
        """
        self._num_expected = len(self._jobs) + num_finished
        for _ in range(_MAX_PAUSES):
            num_waiting = len(self._jobs)
            if num_waiting >= self._num_expected or self._waiting >= MAX_BATCH_CHARACTERS or self._is_closed:
                break
            self._is_ready.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE * seconds):
                    await self._is_ready.wait()
            if len(self._jobs) == num_waiting:
                break
        self._num_expected = 1

    def _next_batch(self) -> _Batch | None:
        """Remove the texts of the next batch from the queue: one of each job in turn, as far as options agree."""
        batch = _Batch(self._jobs[0].changes, self._jobs[0].is_html)
        characters = 0
        others: deque[_Job] = deque()
        while self._jobs and characters < MAX_BATCH_CHARACTERS:
            job = self._jobs.popleft()
            if (job.changes, job.is_html) != (batch.changes, batch.is_html):
                others.append(job)
                continue
            text, future = job.texts.popleft()
            self._waiting -= _cost(text)
            if not future.done():
                batch.texts.append(text)
                batch.futures.append(future)
                characters += _cost(text)
            if job.texts:
                self._jobs.append(job)
            else:
                batch.num_finished += 1
        self._jobs.extendleft(reversed(others))  # they wait for one batch at most
        return batch if batch.texts else None

    def _translate(self, texts: Sequence[str], batch: _Batch) -> Sequence[Translation | Exception]:
        """Return the translation of each text, or its error. Called in the thread of the batcher.

        After an error each text is translated alone, so that no text fails because of another.
        """
        results = _attempt(lambda: self._translate_texts(texts, batch))
        if isinstance(results[0], Exception) and len(texts) > 1:
            return [result for text in texts for result in self._translate([text], batch)]
        return results

    def _translate_texts(self, texts: Sequence[str], batch: _Batch) -> list[Translation]:
        if batch.is_html:
            return self._translator.translate_markup(texts, html=True, **batch.changes)
        return self._translator.translate(texts, **batch.changes)

    def _measure(self, batch: _Batch, seconds: float) -> None:
        characters = sum(map(_cost, batch.texts))
        self._speed += (characters / max(seconds, 1e-6) - self._speed) / 8
        if self._observe is not None:
            self._observe(len(batch.texts), characters, seconds)


def _attempt(function: Callable[[], Sequence[Result]]) -> Sequence[Result | Exception]:
    """Return the results of a function, or its error, of any class: it must not end the work for all clients."""
    try:
        return function()
    except Exception as error:
        return [error]


def _finish(future: asyncio.Future[Result], result: Result | Exception) -> None:
    """Give a future its result or error, unless it is cancelled."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # asyncio logs errors that nothing has asked for, as when the client has gone
    else:
        future.set_result(result)


def _cost(text: str) -> int:
    """Return the characters of a text in the queue; an empty one counts too."""
    return len(text) + 1
