"""Requests of a search from the texts that a translator has read."""

from __future__ import annotations

from collections.abc import Sequence

from translator.config import DecodingOptions
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request, Term
from translator.decoding.terms import required_length
from translator.engines.base import Engine
from translator.errors import shorten
from translator.inference.protection import Masked, mask_pattern
from translator.inference.purpose import allows_terms
from translator.inference.reading import Line
from translator.inference.splitting import sentences_of
from translator.inference.terms import Match, TermMatcher, mask_term
from translator.tokenizer import Tokenizers


class RequestWriter:
    """Writes requests.

    Args:
        engine: decodes them.
        tokenizers: tokenizers of the model.
        options: the decoding options.
        matcher: finds terms in texts; None if there are none.

    Attributes:
        switched: for each request with terms of the matcher, its source with the terms in place of its words.
    """

    def __init__(
        self, engine: Engine, tokenizers: Tokenizers, options: DecodingOptions, matcher: TermMatcher | None = None
    ) -> None:
        self._engine = engine
        self._source, self._target = tokenizers.source, tokenizers.target
        self._options = options
        self._matcher = matcher
        self._allows_terms = allows_terms(engine, options)
        self.switched: dict[Request, tuple[int, ...]] = {}

    def requests(self, line: Line, source: Masked, prefix: str) -> list[Request]:
        """Return the requests of the parts of a line; the sentences of the prefix go to them in order.

        Args:
            line: the line.
            source: its text with masks.
            prefix: text that the translation begins with; empty for none.

        Raises:
            DecodingError: if a prefix or the terms of a part do not fit the model's positions.
        """
        prefixes = [prefix]
        if len(line.parts) > 1:
            sentences, last = sentences_of(prefix), len(line.parts) - 1
            prefixes = [*sentences[:last], " ".join(sentences[last:]), *[""] * last]
        return [
            self._of_part(part, text, source, beginning)
            for part, text, beginning in zip(line.parts, line.texts, prefixes, strict=False)
        ]

    def _of_part(self, part: Sequence[int], text: str, source: Masked, prefix: str) -> Request:
        match = self._matcher.match(text, prefix) if self._matcher is not None else Match((), (), "")
        terms = match.hard
        begun = self._target.encode(prefix) if prefix else ()
        if source.masks and self._allows_terms:
            pattern = mask_pattern(list(source.masks))
            used = set(pattern.findall(prefix))
            masks = [mask for mask in dict.fromkeys(pattern.findall(text)) if mask not in used]
            masked = (*terms, *(mask_term(mask, self._target) for mask in masks))
            if len(begun) + required_length(masked) < self._positions(part):  # else the pieces around the masks
                terms = masked
        request = self.request(part, begun, terms, match.soft)
        if match.hard:
            ids = tuple(self._source.encode(match.switched))
            self.switched[request] = ids if len(ids) < self._engine.max_positions else request.source
        return request

    def request(
        self,
        source: Sequence[int],
        prefix: Sequence[int] = (),
        terms: tuple[Term, ...] = (),
        soft_terms: tuple[tuple[int, ...], ...] = (),
    ) -> Request:
        """Return the request to translate `source`, ids without EOS, by an output that begins with `prefix`.

        The output has at most `max_length_factor` tokens per source token, or as many as prefix and terms need, plus
        10, and fits the model's positions. The maximum length wins over `min_length`.

        Raises:
            DecodingError: if the prefix or the terms do not fit the model's positions.
        """
        positions = self._positions(source)
        if len(prefix) >= positions:
            raise DecodingError(
                f"target_prefix must have at most {positions - 1} tokens. Received: {len(prefix)} tokens, "
                f"{shorten(self._target.decode(prefix), 60)!r}. Shorten it, or translate the text in parts."
            )
        required = len(prefix) + required_length(terms)
        if required > positions:
            raise DecodingError(
                f"The prefix and the hard terms of a text must have at most {positions - 1} tokens. "
                f"Received: {required - 1} tokens. Remove terms, or translate the text in parts."
            )
        max_length = int(min(positions, max(self._options.max_length_factor * len(source), required - 1) + 10 + 1))
        return Request(tuple(source), max_length, self._options.min_length, tuple(prefix), terms, soft_terms)

    def _positions(self, source: Sequence[int]) -> int:
        """Return the maximum length of the output, EOS included."""
        return self._engine.max_positions - self._engine.shares_positions * (len(source) + 1)
