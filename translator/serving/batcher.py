"""`Batcher`: one thread that owns the translator and translates the texts of all requests in batches."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Protocol, TypeVar

from translator.config import DecodingChanges, change_decoding
from translator.inference.results import Translation
from translator.inference.translator import Translator
from translator.serving.errors import ServingError

Result = TypeVar("Result")

MAX_BATCH_CHARACTERS = 8192  # about 2,000 tokens; a new request waits for at most one batch in progress
_INITIAL_SPEED = 2000.0  # characters per second, until a batch has been measured
_MAX_RETRY_AFTER = 60  # seconds


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
    texts: deque[tuple[str, Future[Translation]]]


@dataclass
class _Batch:
    changes: DecodingChanges
    is_html: bool
    texts: list[str] = field(default_factory=list)
    futures: list[Future[Translation]] = field(default_factory=list)


class Batcher:
    """A queue of texts and the thread that translates them.

    A batch takes one text of each waiting request in turn, so that a long request does not delay short ones by more
    than one batch. Nothing is delayed in order to fill a batch: batches grow with the number of waiting requests.

    Args:
        translator: translator, used by the thread of the batcher alone.
        max_waiting: maximum number of characters in the queue; `submit` refuses further texts.
        observe: called after each batch, in the thread of the batcher.
    """

    def __init__(
        self, translator: Translator, max_waiting: int = 1_000_000, observe: BatchObserver | None = None
    ) -> None:
        self.decoding = translator.decoding
        self.places_tags = not translator.engine.unsupported(translator.decoding.model_copy(update={"alignment": True}))
        self._translator = translator
        self._max_waiting = max_waiting
        self._observe = observe
        self._condition = Condition()
        self._jobs: deque[_Job] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._waiting = 0  # characters
        self._speed = _INITIAL_SPEED
        self._is_closed = False
        self._thread = Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of characters in the queue."""
        return self._waiting

    def submit(
        self, texts: Sequence[str], changes: DecodingChanges | None = None, *, is_html: bool = False
    ) -> list[Future[Translation]]:
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
        change_decoding(self.decoding, changes)
        job = _Job(changes, is_html, deque((text, Future()) for text in texts))
        futures = [future for _, future in job.texts]
        size = sum(map(_cost, texts))
        with self._condition:
            self._require_open()
            if self._waiting and self._waiting + size > self._max_waiting:
                raise ServingError(
                    f"The queue holds at most {self._max_waiting:,} characters. Received: {size:,} characters, with "
                    f"{self._waiting:,} waiting. Try again later.",
                    status=429,
                    retry_after=max(1, min(_MAX_RETRY_AFTER, math.ceil(self._waiting / self._speed))),
                )
            self._waiting += size
            if job.texts:
                self._jobs.append(job)
            self._condition.notify()
        return futures

    def call(self, function: Callable[[Translator], Result]) -> Future[Result]:
        """Run a function of the translator between two batches.

        Raises:
            ServingError: if the batcher is closed.
        """
        future: Future[Result] = Future()

        def run() -> None:
            """Run the function in the thread of the batcher, unless the future is cancelled."""
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(self._translator))
            except Exception as error:  # of any class: the caller of `result` gets it, and the thread lives on
                future.set_exception(error)

        with self._condition:
            self._require_open()
            self._calls.append(run)
            self._condition.notify()
        return future

    def close(self) -> None:
        """Translate the texts in the queue, refuse further texts, and end the thread."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    def _require_open(self) -> None:
        if self._is_closed:
            raise ServingError("The server is stopping.", status=503, retry_after=1)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._jobs or self._calls or self._is_closed)
                call = self._calls.popleft() if self._calls else None
                batch = self._next_batch() if self._jobs else None
                if call is None and batch is None and self._is_closed:
                    return
            if call is not None:
                call()
            if batch is not None:
                self._translate(batch)

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
            if future.set_running_or_notify_cancel():
                batch.texts.append(text)
                batch.futures.append(future)
                characters += _cost(text)
            if job.texts:
                self._jobs.append(job)
        self._jobs.extendleft(reversed(others))  # they wait for one batch at most
        return batch if batch.texts else None

    def _translate(self, batch: _Batch) -> None:
        start = time.perf_counter()
        try:
            translations = self._translate_texts(batch.texts, batch)
        except Exception as error:  # of any class: it must not end the thread, which serves all clients
            self._translate_one_by_one(batch, error)
            self._measure(batch, time.perf_counter() - start)
        else:
            # Before the results: a client that has its answer finds it in the metrics.
            self._measure(batch, time.perf_counter() - start)
            for future, translation in zip(batch.futures, translations, strict=True):
                future.set_result(translation)

    def _translate_texts(self, texts: Sequence[str], batch: _Batch) -> list[Translation]:
        if batch.is_html:
            return self._translator.translate_markup(texts, html=True, **batch.changes)
        return self._translator.translate(texts, **batch.changes)

    def _measure(self, batch: _Batch, seconds: float) -> None:
        characters = sum(map(_cost, batch.texts))
        self._speed += (characters / max(seconds, 1e-6) - self._speed) / 8
        if self._observe is not None:
            self._observe(len(batch.texts), characters, seconds)

    def _translate_one_by_one(self, batch: _Batch, error: Exception) -> None:
        """Give each text its own result after a batch failed, so that no text fails because of another."""
        if len(batch.texts) == 1:
            batch.futures[0].set_exception(error)
            return
        for text, future in zip(batch.texts, batch.futures, strict=True):
            try:
                future.set_result(self._translate_texts([text], batch)[0])
            except Exception as own:  # of any class: the caller of `result` gets it
                future.set_exception(own)


def _cost(text: str) -> int:
    """Return the characters of a text in the queue; an empty one counts too."""
    return len(text) + 1
