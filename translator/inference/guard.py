"""The failure guard: finds translations that have failed and decodes them again in other ways.

The next hypotheses of the beam come first, then constraints against the failure, then the sentence in parts, and last
what was lost is copied from the source. The candidate with the fewest failures is kept; ties: the highest score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from translator.config import DecodingOptions, change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Engine
from translator.engines.coverage import uses_coverage, with_coverage
from translator.inference.failures import find_failures, lost_spans, merged
from translator.inference.pieces import as_inside
from translator.inference.splitting import split_text
from translator.tokenizer import EOS_ID, Tokenizer, Tokenizers

_MIN_BEAM = 5  # hypotheses to choose from, also if the search was greedy
_NGRAM = 3  # n-gram length that breaks a loop
_MIN_LENGTH_SHARE = 0.6  # of the source, in tokens, where the translation was too short
_MIN_PART = 4  # tokens; shorter parts say too little
_MIN_NAME_PIECES = 4
_MAX_PIECE = 1.8  # mean letters per piece of a word that the vocabulary does not know
_REPETITIVE = {"looping", "length", "copied"}
_SHORT = {"empty", "length"}
_BETWEEN = re.compile(r"(\W*)(.*?)([\s(\[{«“\"]*)", re.DOTALL)
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[,;:.!?…»”)\]}])")

Found = dict[Request, list[Candidate]]
MakeRequest = Callable[[Sequence[int]], Request]


@dataclass(frozen=True)
class Repair:
    """Failures that the guard found in a translation, and its repair.

    Attributes:
        failures: kinds of failures of the search's own translation; see `failures.KINDS`.
        steps: steps of the chain that gave the translation: `next_hypothesis`, `block_ngrams`, `min_length`, `parts`,
            `copy`; empty if it is the search's own.
        remaining: kinds of failures of the translation.
    """

    failures: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()

    @classmethod
    def joined(cls, repairs: Sequence[Repair]) -> Repair:
        """Return the report on a text from those on its parts."""
        columns = zip(*((each.failures, each.steps, each.remaining) for each in repairs), strict=True)
        return cls(*(tuple(dict.fromkeys(kind for kinds in column for kind in kinds)) for column in columns))


@dataclass
class _Case:
    """A request whose translation has failed, and the best translation so far."""

    request: Request
    text: str
    best: Candidate
    failures: tuple[str, ...]
    repair: Repair


class Guard:
    """Repairs failed translations.

    Args:
        engine: decodes.
        tokenizers: tokenizers of the model.
        options: options of the search whose results are checked.
        make_request: returns the request to translate a part, given its ids.
        masks: words that a translation has once, if its text has them.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizers: Tokenizers,
        options: DecodingOptions,
        make_request: MakeRequest,
        masks: Collection[str] = (),
    ) -> None:
        self._engine = engine
        self._source, self._target = tokenizers.source, tokenizers.target
        beam = max(options.beam_size, _MIN_BEAM)
        changes = {"beam_size": beam, "num_beam_groups": 1, "num_hypotheses": 1, "mbr_candidates": 0, "sample": False}
        self._options = options.model_copy(update=changes)
        self._make_request = make_request
        self._masks = [_word_pattern([mask]) for mask in sorted(masks)]
        self._is_rare = lru_cache(maxsize=1024)(lambda word: is_rare(word, self._source))

    def repaired(self, found: Found) -> tuple[Found, dict[Request, Repair]]:
        """Return the candidates of each request, the repaired one first, and the reports on requests that failed."""
        cases = list(self._failed(found))
        steps = {
            "next_hypothesis": self._next_hypotheses,
            "block_ngrams": self._without_repetition,
            "min_length": self._with_min_length,
            "parts": self._in_parts,
            "copy": self._with_copies,
        }
        for name, step in steps.items():
            pending = [case for case in cases if case.failures]
            for case, candidates in step(pending):
                self._keep_best(case, candidates, name)
        results = dict(found)
        for case in cases:
            if case.repair.steps:
                others = [each for each in found[case.request] if each.tokens != case.best.tokens]
                results[case.request] = [case.best, *others][: len(found[case.request])]
        return results, {case.request: case.repair for case in cases}

    def _failed(self, found: Found) -> Iterator[_Case]:
        for request, candidates in found.items():
            text = self._source.decode(request.source)
            if failures := find_failures(text, self._target.decode(candidates[0].tokens), self._is_rare):
                yield _Case(request, text, candidates[0], failures, Repair(failures, (), failures))

    def _keep_best(self, case: _Case, candidates: Sequence[Candidate], step: str) -> None:
        """Replace the best candidate of a case by a better one; the search's own only by one with fewer failures."""
        for candidate in candidates:
            text = self._target.decode(candidate.tokens)
            if not self._is_complete(case, text):
                continue
            failures = find_failures(case.text, text, self._is_rare)
            rank, best = _rank(failures, candidate), _rank(case.failures, case.best)
            if rank[0] < best[0] or (case.repair.steps and candidate.tokens != case.best.tokens and rank < best):
                case.best, case.failures = candidate, failures
                case.repair = replace(case.repair, steps=(step,), remaining=failures)

    def _next_hypotheses(self, cases: Sequence[_Case]) -> Iterator[tuple[_Case, list[Candidate]]]:
        options = change_decoding(self._options, {"num_hypotheses": self._options.beam_size})
        return self._search(cases, [case.request for case in cases], options)

    def _without_repetition(self, cases: Sequence[_Case]) -> Iterator[tuple[_Case, list[Candidate]]]:
        chosen = [case for case in cases if _REPETITIVE & set(case.failures)]
        options = change_decoding(self._options, {"no_repeat_ngram": _NGRAM})
        return self._search(chosen, [case.request for case in chosen], options)

    def _with_min_length(self, cases: Sequence[_Case]) -> Iterator[tuple[_Case, list[Candidate]]]:
        chosen, requests = [], []
        for case in cases:
            shortest = int(_MIN_LENGTH_SHARE * len(case.request.source))
            if _SHORT & set(case.failures) and len(case.best.tokens) < shortest < case.request.max_length:
                chosen.append(case)
                requests.append(replace(case.request, min_length=max(shortest, case.request.min_length)))
        return self._search(chosen, requests, self._options)

    def _search(
        self, cases: Sequence[_Case], requests: Sequence[Request], options: DecodingOptions
    ) -> Iterator[tuple[_Case, list[Candidate]]]:
        return zip(cases, self._engine.search(requests, options) if requests else [], strict=True)

    def _in_parts(self, cases: Sequence[_Case]) -> Iterator[tuple[_Case, list[Candidate]]]:
        """Return translations in halves and in quarters, cut at clauses or else at words."""
        proposals: dict[int, list[Candidate]] = {}
        for divisor in (2, 4):
            chosen, pieces = [], []
            for number, case in enumerate(cases):
                parts = self._parts(case.text, max(len(case.request.source) // divisor + 1, _MIN_PART))
                if not case.request.prefix and len(parts) > 1:
                    chosen.append(number)
                    pieces.append([(part, " ") for part in parts])
            for number, candidate in zip(chosen, self._joined([cases[n] for n in chosen], pieces), strict=True):
                proposals.setdefault(number, []).extend(candidate)
        return ((cases[number], candidates) for number, candidates in proposals.items())

    def _parts(self, text: str, longest: int) -> list[str]:
        return split_text(text, lambda part: len(self._source.encode(part)) <= longest)

    def _with_copies(self, cases: Sequence[_Case]) -> Iterator[tuple[_Case, list[Candidate]]]:
        """Return candidates that copy what the best translation has lost, with the text between it translated."""
        chosen, pieces = [], []
        for case in cases:
            spans = lost_spans(case.text, self._target.decode(case.best.tokens), self._is_rare)
            if not case.request.prefix and spans:
                spans += [
                    match.span()
                    for word in (*self._masks_of(case), *self._terms(case))
                    for match in word.finditer(case.text)
                ]
                chosen.append(case)
                pieces.append(list(_around(case.text, merged(spans))))
        return zip(chosen, self._joined(chosen, pieces), strict=True)

    def _joined(
        self, cases: Sequence[_Case], pieces: Sequence[Sequence[tuple[str, str] | str]]
    ) -> list[list[Candidate]]:
        """Translate the pieces of each text and join them; a joined text has the score that the model gives it.

        Args:
            cases: one for each text.
            pieces: of each text, pairs of a piece to translate and the white space after it, or strings to copy.

        Returns:
            For each text its candidate, or none if the model has no positions for it.
        """
        encoded = {
            piece[0]: self._make_request(ids)
            for each in pieces
            for piece in each
            if isinstance(piece, tuple) and (ids := self._source.encode(piece[0]))
        }
        unique = list(dict.fromkeys(encoded.values()))
        found = dict(zip(unique, self._engine.search(unique, self._options), strict=True)) if unique else {}
        texts = []
        for each in pieces:
            written = [
                piece if isinstance(piece, str) else self._piece(piece, number, len(each), encoded, found)
                for number, piece in enumerate(each)
            ]
            texts.append(" ".join("".join(written).split()))
        targets = [tuple(self._target.encode(text)) for text in texts]
        fitting = [
            (case.request.source, target)
            for case, target in zip(cases, targets, strict=True)
            if _positions(self._engine, case.request.source, target) <= self._engine.max_positions
        ]
        values = (
            dict(zip(fitting, self._engine.score(fitting, self._options.batch_tokens), strict=True)) if fitting else {}
        )
        results, alpha = [], self._options.length_penalty
        for case, target in zip(cases, targets, strict=True):
            scores = values.get((case.request.source, target))
            results.append([] if scores is None else [Candidate.from_tokens([*target, EOS_ID], scores, alpha)])
        if not uses_coverage(self._options):
            return results
        return with_coverage([case.request for case in cases], results, self._engine.cross_attention, self._options)

    def _terms(self, case: _Case) -> list[re.Pattern[str]]:
        """Return a pattern for each term that a translation must have."""
        terms = [(*term.forms, *term.initial_forms) for term in case.request.terms]
        return [_word_pattern({self._target.decode(form) for form in forms}) for forms in terms]

    def _masks_of(self, case: _Case) -> list[re.Pattern[str]]:
        """Return a pattern for each mask that a translation must have once."""
        return [mask for mask in self._masks if mask.search(case.text)]

    def _is_complete(self, case: _Case, text: str) -> bool:
        """Return True if a translation has its terms and masks."""
        has_masks = all(len(mask.findall(text)) == 1 for mask in self._masks_of(case))
        return has_masks and all(term.search(text) for term in self._terms(case))

    def _piece(
        self,
        piece: tuple[str, str],
        number: int,
        count: int,
        encoded: Mapping[str, Request],
        found: Mapping[Request, Sequence[Candidate]],
    ) -> str:
        """Return the translation of a piece, with the white space after it; a piece without ids is copied."""
        text, space = piece
        if text not in encoded or not any(map(str.isalnum, text)):
            return text + space
        translated = self._target.decode(found[encoded[text]][0].tokens)
        return as_inside(text, translated, is_first=number == 0, is_last=number == count - 1) + space


def _word_pattern(spellings: Collection[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of the spellings as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(spellings)))})(?!\w)")


def is_rare(word: str, tokenizer: Tokenizer) -> bool:
    """Return True if the vocabulary spells a word with many short pieces, capitalized or not."""
    pieces = min(len(tokenizer.encode(word)), len(tokenizer.encode(word.lower())))
    return pieces >= _MIN_NAME_PIECES and _MAX_PIECE * pieces >= len(word)


def _around(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[str, str] | str]:
    """Yield the pieces between spans, each with what separates it from the next span, and as strings what is copied.

    Punctuation at the beginning of a piece, and brackets and quotation marks before a span, are copied.
    """
    place = 0
    for start, end in [*spans, (len(text), len(text))]:
        between = _BETWEEN.fullmatch(text[place:start])
        assert between is not None
        yield _SPACE_BEFORE_MARK.sub("", between[1]) if place else between[1]
        if between[2]:
            yield between[2], between[3]
        yield text[start:end]
        place = end


def _rank(failures: Sequence[str], candidate: Candidate) -> tuple[int, float]:
    """Return the key by which candidates of a text are compared; a cut one counts as one failure more."""
    return len(failures) + (not candidate.is_finished), -candidate.score


def _positions(engine: Engine, source: Sequence[int], target: Sequence[int]) -> int:
    """Return the number of positions that a pair takes."""
    return len(source) + len(target) + 2 if engine.shares_positions else len(target) + 1
