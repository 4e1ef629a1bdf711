"""Searches that look at text: distinct hypotheses, minimum Bayes risk, and translations with given terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from translator.config import DecodingOptions, change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request, Term
from translator.engines.base import Engine
from translator.inference.mbr import expected_utilities
from translator.tokenizer import EOS_ID, Tokenizer

Found = dict[Request, list[Candidate]]

_MAX_TERM_COST = 1.0  # of the score; a translation that costs more has its terms in the wrong place


class Searcher:
    """Searches for the candidates of requests.

    Args:
        engine: decodes.
        target: tokenizer of the target language.
        options: the decoding options.
    """

    def __init__(self, engine: Engine, target: Tokenizer, options: DecodingOptions) -> None:
        self._engine = engine
        self._target = target
        self._options = options

    def search(self, requests: Sequence[Request], switched: Mapping[Request, tuple[int, ...]]) -> Found:
        """Return the candidates of each request, best first; equal requests are searched once.

        A translation without terms is kept if it has them by itself. Else terms are forced. Where this costs much, the
        model does not see where a term belongs: it reads the term itself in place of the source's words.

        Args:
            requests: the requests.
            switched: for requests with terms, the source with the terms in place of its words.
        """
        unique = list(dict.fromkeys(requests))
        free = {request: _without_terms(request) for request in unique if request in switched}
        found = self._search([free.get(request, request) for request in unique])
        results = {request: found[free.get(request, request)] for request in unique}
        for request in free:
            results[request] = [each for each in results[request] if _has_terms(each, request.terms)]
        lacking = [request for request in free if not results[request]]
        results.update(self._search(lacking))
        costly = [
            request for request in lacking if found[free[request]][0].score - results[request][0].score > _MAX_TERM_COST
        ]
        reads = {request: replace(request, source=switched[request]) for request in costly}
        again = self._search(list(reads.values()))
        return results | self._rescored({request: again[read] for request, read in reads.items()})

    def _search(self, requests: Sequence[Request]) -> Found:
        """Return the distinct candidates of each request, whose terms are forced."""
        options = self._options
        unique = list(dict.fromkeys(requests))
        if not unique:
            return {}
        if options.mbr_candidates:
            return self._search_by_risk(unique)
        found = dict(zip(unique, self._engine.search(unique, options), strict=True))
        if options.is_random or options.num_hypotheses == 1:
            return found
        distinct = {request: self._distinct(candidates) for request, candidates in found.items()}
        if options.num_hypotheses < options.beam_size:  # the places of equal texts go to others of the beam
            short = [request for request in unique if len(distinct[request]) < len(found[request])]
            wider = change_decoding(options, {"num_hypotheses": options.beam_size})
            for request, candidates in zip(short, self._engine.search(short, wider), strict=True):
                distinct[request] = self._distinct(candidates)[: options.num_hypotheses]
        return distinct

    def _search_by_risk(self, requests: Sequence[Request]) -> Found:
        """Return the candidates of minimum Bayes risk, best first, no two with the same text.

        Samples count as references alike, results of a beam by their probability.
        """
        options = self._options
        more = options.model_copy(update={"num_hypotheses": options.mbr_candidates, "mbr_candidates": 0})
        chosen = {}
        for request, candidates in zip(requests, self._engine.search(requests, more), strict=True):
            texts = [self._target.decode(candidate.tokens) for candidate in candidates]
            best = max(candidate.log_probability for candidate in candidates)
            weights = [
                1.0 if options.is_random else math.exp(candidate.log_probability - best) for candidate in candidates
            ]
            utilities = expected_utilities(texts, weights)
            order = sorted(range(len(texts)), key=lambda number: -utilities[number])
            chosen[request] = self._distinct([candidates[number] for number in order])[: options.num_hypotheses]
        return chosen

    def _distinct(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates without those that differ from a better one in their tokens only."""
        best: dict[str, Candidate] = {}
        for candidate in candidates:
            best.setdefault(self._target.decode(candidate.tokens), candidate)
        return list(best.values())

    def _rescored(self, found: Found) -> Found:
        """Return candidates that were found with another source, with their scores for the source of their request."""
        pairs = [
            (request.source, candidate.tokens) for request, candidates in found.items() for candidate in candidates
        ]
        scores = iter(self._engine.score(pairs, self._options.batch_tokens) if pairs else [])
        alpha = self._options.length_penalty
        return {
            request: sorted(
                (_with_scores(candidate, next(scores), alpha) for candidate in candidates),
                key=lambda candidate: -candidate.score,
            )
            for request, candidates in found.items()
        }


def _with_scores(candidate: Candidate, log_probabilities: Sequence[float], alpha: float) -> Candidate:
    """Return a candidate with other log-probabilities: of its tokens and of EOS."""
    if not candidate.is_finished:
        return Candidate.from_tokens(candidate.tokens, log_probabilities[:-1], alpha)
    return Candidate.from_tokens([*candidate.tokens, EOS_ID], log_probabilities, alpha)


def _without_terms(request: Request) -> Request:
    """Return a request without terms that the text may have several times, which are those that a user gives."""
    return replace(request, terms=tuple(term for term in request.terms if term.is_unique))


def _has_terms(candidate: Candidate, terms: Sequence[Term]) -> bool:
    """Return True if a candidate has each term, in one of its forms, as whole words."""
    return all(_has_term(candidate.tokens, term) for term in terms)


def _has_term(tokens: tuple[int, ...], term: Term) -> bool:
    continuations: frozenset[int] = frozenset() if term.continuations is None else term.continuations.ids
    spelled = [(form, 0, 1) for form in term.initial_forms]
    spelled += [(form, 0, len(tokens) - len(form) + 1) for form in term.forms]
    return any(
        tokens[start : start + len(form)] == form and not continuations.intersection(tokens[start + len(form) :][:1])
        for form, first, last in spelled
        for start in range(first, last)
    )
