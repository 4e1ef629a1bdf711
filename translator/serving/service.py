"""Translation of requests: languages, units, time limits and cancellation, independent of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from translator.config import DecodingChanges
from translator.errors import shorten
from translator.inference.results import Translation
from translator.inference.texts import clean
from translator.inference.translator import Translator
from translator.serving.batcher import Batcher
from translator.serving.errors import ServingError
from translator.serving.languages import LanguageDetector, language_name
from translator.serving.schema import Detection, Language, StreamRequest, TranslateRequest
from translator.serving.units import Units, html_units, text_units

Result = TypeVar("Result")
AUTO = "auto"


@dataclass(frozen=True)
class Limits:
    """Limits of the server.

    Attributes:
        max_request_bytes: maximum size of a request.
        max_waiting: maximum number of characters that wait for translation; further requests receive status 429.
        timeout: maximum time to receive a request, and to translate it, in seconds.
    """

    max_request_bytes: int = 500_000
    max_waiting: int = 1_000_000
    timeout: float = 60.0


@dataclass(frozen=True)
class Translated:
    """A translated text.

    Attributes:
        texts: the best translation, then the alternatives.
        detected: its language, if it was detected.
    """

    texts: list[str]
    detected: Detection | None


@dataclass(frozen=True)
class StreamedSentence:
    """A sentence of a text and its translation.

    Attributes:
        line: number of its line or paragraph, from 0; blank lines are not counted.
        source: the sentence.
        translation: its translation.
    """

    line: int
    source: str
    translation: str


class Service:
    """Serves one language pair.

    Args:
        batcher: queue in front of the translator.
        source: code of the source language.
        target: code of the target language.
        timeout: maximum time to translate a request, in seconds.
    """

    def __init__(self, batcher: Batcher, source: str, target: str, timeout: float) -> None:
        self.batcher = batcher
        self.source = source
        self.target = target
        self._timeout = timeout
        self._detector = LanguageDetector(source, target)

    @property
    def languages(self) -> list[Language]:
        """The source language, and the target language, from which nothing is translated."""
        pair = [(self.source, [self.target]), (self.target, [])]
        return [Language(code=code, name=language_name(code), targets=targets) for code, targets in pair]

    @property
    def codes(self) -> dict[str, list[str]]:
        """Codes that the fields `source` and `target` of a request may have."""
        return {"source": [self.source, AUTO], "target": [self.target]}

    async def detect(self, text: str) -> Detection:
        """Return the more probable of the two languages."""
        code, probability = await asyncio.to_thread(self._detector.detect, text)
        return Detection(confidence=round(100 * probability, 1), language=code)

    async def translate(self, request: TranslateRequest) -> list[Translated]:
        """Translate the texts of a request.

        Raises:
            ServingError: if the server does not translate between these languages, the queue is full, or time is over.
        """
        self._check_languages(request.source, request.target)
        texts = [clean(text) for text in ([request.q] if isinstance(request.q, str) else request.q)]
        detected = [await self._detected(text, request.source) for text in texts]
        is_html = request.format == "html" and self.batcher.places_tags
        units = [
            self._untranslated(text)
            if found is not None and found.language == self.target
            else html_units(text, keeps_inline=self.batcher.places_tags)
            if request.format == "html"
            else text_units(text)
            for text, found in zip(texts, detected, strict=True)
        ]
        futures = self.batcher.submit(
            [text for unit in units for text in unit.texts], self._changes(request), is_html=is_html
        )
        following = iter(await self._before(self._deadline(), _all(futures)))
        results = []
        for unit, found in zip(units, detected, strict=True):
            translations = [next(following) for _ in unit.texts]
            results.append(Translated(_ranked(unit, translations, request.alternatives), found))
        return results

    def stream(self, request: StreamRequest) -> AsyncIterator[StreamedSentence]:
        """Translate a text sentence by sentence. The text is queued at once, results are yielded in order.

        Raises:
            ServingError: if the server does not translate between these languages or the queue is full; while
                iterating, if time is over.
        """
        self._check_languages(request.source, request.target)
        units = text_units(clean(request.q), by_sentence=True)
        return self._follow(units, self.batcher.submit(units.texts, _guard(request)))

    async def _follow(
        self, units: Units, futures: Sequence[asyncio.Future[Translation]]
    ) -> AsyncIterator[StreamedSentence]:
        deadline = self._deadline()
        with _cancelled_at_end(futures):
            for line, text, future in zip(units.lines, units.texts, futures, strict=True):
                translation = await self._before(deadline, future)
                yield StreamedSentence(line, text, translation.text)

    async def call(self, function: Callable[[Translator], Result]) -> Result:
        """Run a function of the translator in its thread.

        Raises:
            ServingError: if time is over.
        """
        return await self._before(self._deadline(), self.batcher.call(function))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def _before(self, deadline: float, work: Awaitable[Result]) -> Result:
        """Return the result of an awaitable; raise ServingError at `deadline`, a time of the event loop."""
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            raise ServingError(
                f"The translation took longer than {self._timeout:g} seconds. Send the text in parts.", status=504
            ) from None

    def _check_languages(self, source: str, target: str) -> None:
        if source not in self.codes["source"] or target not in self.codes["target"]:
            raise ServingError(
                f"This server translates from {self.source} (or {AUTO}) to {self.target}. "
                f"Received: source={shorten(source, 20)}, target={shorten(target, 20)}."
            )

    async def _detected(self, text: str, source: str) -> Detection | None:
        return await self.detect(text) if source == AUTO else None

    def _untranslated(self, text: str) -> Units:
        return Units([], [], lambda _: text)

    def _changes(self, request: TranslateRequest) -> DecodingChanges:
        changes = _guard(request)
        if request.alternatives:
            count = request.alternatives + 1
            changes |= {"num_hypotheses": count, "beam_size": max(count, self.batcher.decoding.beam_size)}
        return changes


def _guard(request: TranslateRequest | StreamRequest) -> DecodingChanges:
    """Return the option that turns the guard off, if the request does."""
    return {} if request.guard else {"guard": False}


async def _all(futures: Sequence[asyncio.Future[Translation]]) -> list[Translation]:
    """Return the results of futures. `asyncio.gather` takes 0.02 ms more."""
    with _cancelled_at_end(futures):
        return [await future for future in futures]


@contextmanager
def _cancelled_at_end(futures: Sequence[asyncio.Future[Translation]]) -> Iterator[None]:
    """Cancel futures that are not done at the end of the context, so that their texts are not translated."""
    try:
        yield
    finally:
        for future in futures:
            future.cancel()


def _ranked(unit: Units, translations: Sequence[Translation], alternatives: int) -> list[str]:
    """Join the n-th hypotheses of the units, best first, without duplicates."""
    count = max((len(found.hypotheses) for found in translations), default=1)
    texts = [
        unit.join([found.hypotheses[min(number, len(found.hypotheses) - 1)].text for found in translations])
        for number in range(min(count, alternatives + 1))
    ]
    return list(dict.fromkeys(texts))
