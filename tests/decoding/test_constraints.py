"""Constraints: no search writes what is forbidden, and scores stay the model's own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from fake_model import FakeModel, assert_same, run, sources_of
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.beam import BeamSelection
from translator.decoding.candidates import Candidate, length_penalty
from translator.decoding.constraints import Constraints, NoRepeatedNgram, max_occurrences, max_repeats
from translator.decoding.greedy import GreedySelection
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request
from translator.decoding.search import decode, search
from translator.tokenizer import EOS_ID, UNK_ID


def most_repeated(tokens: Sequence[int], n: int) -> int:
    """How often the most frequent n-gram occurs."""
    return max(Counter(zip(*(tokens[start:] for start in range(n)), strict=False)).values(), default=0)


def every_search(
    model: FakeModel, sources: Sequence[Sequence[int]], limits: Sequence[int], n: int
) -> list[list[list[Candidate]]]:
    """Return the results of greedy search, beam search and sampling."""
    ways: list[dict[str, Any]] = [
        {"beam_size": 1},
        {"beam_size": 4, "num_hypotheses": 3},
        {"sample": True, "temperature": 1.5, "seed": 3, "num_hypotheses": 3},
    ]
    return [run(model, sources, limits, no_repeat_ngram=n, length_penalty=0.6, **way) for way in ways]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("vocab_size", [5, 6])
def test_no_hypothesis_repeats_an_ngram_in_any_search(vocab_size: int, n: int) -> None:
    model, source = FakeModel(vocab_size, eos_bias=-2.0), sources_of(*range(2, 14))
    limits = [6 + number for number in range(12)]
    for guarded, free in zip(
        every_search(model, source, limits, n), every_search(model, source, limits, 0), strict=True
    ):
        assert all(most_repeated(candidate.tokens, n) <= 1 for found in guarded for candidate in found)
        assert any(most_repeated(candidate.tokens, n) > 1 for found in free for candidate in found)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_that_holds_every_prefix_finds_the_best_texts_that_do_not_repeat(n: int, alpha: float) -> None:
    model, max_length = FakeModel(vocab_size=6, eos_bias=-1.0), 6
    source = sources_of(2, 3, 4)
    options = {"beam_size": 1000, "num_hypotheses": 12, "length_penalty": alpha, "no_repeat_ngram": n}
    found = run(model, source, [max_length] * 3, **options)
    for ids, candidates in zip(source, found, strict=True):
        every = model.every_translation(ids, max_length, alpha)
        allowed = [candidate for candidate in every if most_repeated(candidate.tokens, n) <= 1]
        assert len(allowed) < len(every)
        for left, right in zip(candidates, allowed[:12], strict=True):
            assert_same(left, right)  # the model's own log-probabilities: what is forbidden gives nothing to the rest


def test_a_constraint_that_forbids_nothing_changes_no_bit() -> None:
    model, source = FakeModel(vocab_size=200, eos_bias=4.0), sources_of(*range(2, 12))
    for guarded, free in zip(
        every_search(model, source, [9] * 10, 3), every_search(model, source, [9] * 10, 0), strict=True
    ):
        assert guarded == free


def test_other_sentences_in_the_batch_change_nothing() -> None:
    model = FakeModel(vocab_size=6, eos_bias=-1.0)
    mixed = [(3, 4, 5), (3, 3, 3), (), (3, 4, 3, 4, 3, 4), (5,), (4, 5, 4)]
    limits = [12, 5, 9, 14, 3, 10]
    together = every_search(model, mixed, limits, 2)
    for sentence, (ids, limit) in enumerate(zip(mixed, limits, strict=True)):
        for all_found, [alone] in zip(together, every_search(model, [ids], [limit], 2), strict=True):
            assert all_found[sentence] == alone


def test_each_row_may_repeat_as_often_as_its_own_source() -> None:
    class Stuck(FakeModel):
        """Says the same for ever."""

        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = torch.zeros(self.vocab_size)
            logits[3] = 9.0
            return logits

    sources = [(5, 6, 7), (5, 5, 5, 6), (5, 6, 5, 6, 5, 6, 5, 6)]
    found = run(Stuck(9), sources, [30] * 3, no_repeat_ngram=2)
    at_first = [next(i for i, token in enumerate((*c.tokens, 0)) if token != 3) for [c] in found]
    assert at_first == [2, 3, 4]  # one pair; as many in a row as in the source


@pytest.mark.parametrize("cycle", [(3,), (3, 4), (3, 4, 5)])
def test_a_cycle_shorter_than_an_ngram_comes_three_times_at_most_or_as_often_as_in_the_source(
    cycle: tuple[int, ...],
) -> None:
    class Cycling(FakeModel):
        """Says one thing after the other, for ever; its second choice is the highest id."""

        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = torch.arange(float(self.vocab_size))
            logits[cycle[(len(prefix) - 1) % len(cycle)]] = 99.0
            return logits

    sources = [(5, 6), (5, 6, 5, 6, 5, 6, 5, 6, 5, 6)]
    found = run(Cycling(20), sources, [40] * 2, no_repeat_ngram=12)
    in_cycle = [next(i for i, token in enumerate(c.tokens) if token != cycle[i % len(cycle)]) for [c] in found]
    assert in_cycle == [4 * len(cycle) - 1, 6 * len(cycle) - 1]  # the fourth and the sixth turn lack their ends


def matching(row: list[int], distance: int) -> int:
    """The number of tokens at the end of a row that are those before them at a distance."""
    pairs = zip(reversed(row), reversed(row[:-distance]), strict=False)
    return next((count for count, (last, earlier) in enumerate(pairs) if last != earlier), len(row) - distance)


def forbidden_by_counting(row: list[int], n: int, occurrences: int, repeats: int) -> set[int]:
    """The tokens of a row that would end one n-gram, or one turn of a cycle, too many."""
    found = set()
    for token in row:
        longer = [*row, token]
        grams = [longer[place : place + n] for place in range(len(longer) - n + 1)]
        turns = [matching(longer, distance) // distance for distance in range(1, len(longer))]
        if grams[:-1].count(longer[-n:]) >= occurrences or max(turns) >= repeats:
            found.add(token)
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_exactly_the_tokens_that_repeat_too_much_are_forbidden(n: int) -> None:
    rule, seen = NoRepeatedNgram(n), 0
    sources = [(5, 6, 7), (5, 5, 5, 5, 6), (5, 6, 5, 6, 5, 6, 5, 6, 5, 6)]
    limits = rule.start([Request(source, 30) for source in sources], torch.device("cpu"))
    generator = torch.Generator().manual_seed(n)
    for length in [*range(14), 14, 14, 14]:
        written = torch.randint(3, 5, (3, length), generator=generator)
        ids = rule.forbidden(limits, written)
        found = [set(row) - {UNK_ID} for row in ([[]] * 3 if ids is None else ids.tolist())]
        most = torch.cat((limits.max_occurrences, limits.max_repeats), dim=1).tolist()
        assert found == [forbidden_by_counting(row, n, *each) for row, each in zip(written.tolist(), most, strict=True)]
        seen += sum(map(len, found))
    assert seen > 3


@pytest.mark.parametrize(
    ("ids", "occurrences", "turns"),
    [
        ([], 1, 1),
        ([7], 1, 1),
        ([7, 8, 9, 7, 8, 6], 1, 1),
        ([7, 8, 9, 4, 7, 8, 9], 2, 1),
        ([7, 7], 1, 2),
        ([7, 7, 7, 7, 8], 2, 4),
        ([7, 8, 7, 8, 7], 2, 2),
        ([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4], 3, 3),
        ([7, 7, 8, 7, 7], 1, 2),
    ],
)
def test_what_a_source_repeats_is_counted(ids: list[int], occurrences: int, turns: int) -> None:
    assert (max_occurrences(ids, 3), max_repeats(ids)) == (occurrences, turns)


@pytest.mark.parametrize("way", [{"beam_size": 1}, {"beam_size": 4, "num_hypotheses": 4}, {"sample": True}])
def test_no_sequence_ends_before_its_own_minimum_length(way: dict[str, Any]) -> None:
    model, minima = FakeModel(vocab_size=12, eos_bias=4.0), [0, 1, 2, 5, 9, 0, 7]
    requests = [Request(source, 12, minimum) for source, minimum in zip(sources_of(*range(2, 9)), minima, strict=True)]
    options = DecodingOptions.model_validate(way)
    found = search(model, requests, options)
    for request, minimum, candidates in zip(requests, minima, found, strict=True):
        assert all(len(candidate.tokens) >= minimum for candidate in candidates)
        assert search(model, [request], options) == [candidates]  # rows with other minima change nothing
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            expected = model.token_log_probabilities(request.source, tokens)
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
    free = search(model, [replace(request, min_length=0) for request in requests], options)
    assert min(len(candidates[0].tokens) for candidates in free) < 5
    assert free[0] == found[0] and free[4] != found[4]
    eager = search(FakeModel(vocab_size=12, eos_bias=99.0), requests, options)  # ends as soon as it may
    assert [len(candidates[0].tokens) for candidates in eager] == [1, 1, 2, 5, 9, 1, 7]


def test_probabilities_are_normalized_before_masking() -> None:
    logits = torch.randn(3, 10)
    expected = logits.log_softmax(-1)
    ids = torch.tensor([[5, UNK_ID], [UNK_ID, UNK_ID], [4, 9]])
    first, later, guarded = (
        rules.log_probabilities(logits)
        for rules in (NextTokens.in_step(0), NextTokens.in_step(3), NextTokens.in_step(3, [None, ids]))
    )
    assert torch.equal(later[:, EOS_ID:], expected[:, EOS_ID:])
    assert torch.isneginf(later[:, :EOS_ID]).all() and torch.isneginf(first[:, : EOS_ID + 1]).all()
    assert [row.isneginf().nonzero().flatten().tolist() for row in guarded] == [[0, 1, 5], [0, 1], [0, 1, 4, 9]]
    kept = ~guarded.isneginf()
    assert torch.equal(guarded[kept], expected[kept])
    values, _, tokens = NextTokens.in_step(3, [ids]).top_tokens(logits, 6)
    assert torch.equal(values, guarded.sort(dim=1, descending=True).values[:, :6])
    assert torch.equal(values, guarded.gather(1, tokens))


def test_scores_of_constrained_searches_are_the_models_own() -> None:
    model, sources = FakeModel(vocab_size=6, eos_bias=-1.0), sources_of(3, 4)
    for found in every_search(model, sources, [8, 8], 1):
        for source, candidates in zip(sources, found, strict=True):
            for candidate in candidates:
                tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
                expected = model.token_log_probabilities(source, tokens)
                assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)


def test_a_sequence_that_cannot_go_on_is_returned_unfinished() -> None:
    class NoEnd:
        """Forbids EOS, and so everything once each token has been written."""

        def start(self, requests: Sequence[Request], device: torch.device) -> int:
            return len(requests)

        def forbidden(self, state: int, written: Tensor) -> Tensor:
            return torch.full((state, 1), EOS_ID)

        def reorder(self, state: int, rows: Tensor) -> int:
            return len(rows)

    model, requests = FakeModel(vocab_size=6), [Request((4,), 9), Request((5,), 2)]
    rules = Constraints([NoRepeatedNgram(1), NoEnd()])
    for selection in (GreedySelection(), BeamSelection(8)):
        [stuck], [cut, *_] = decode(model, requests, selection, rules, 1, 0.6, torch.device("cpu"))
        assert sorted(stuck.tokens) == [3, 4, 5] and not stuck.is_finished
        assert math.isfinite(stuck.score) and len(stuck.token_log_probabilities) == 3
        assert len(cut.tokens) == 2 and not cut.is_finished


@pytest.mark.parametrize("way", [{"beam_size": 1}, {"beam_size": 4, "num_hypotheses": 4}, {"sample": True}])
def test_every_result_begins_with_the_prefix_of_its_request(way: dict[str, Any]) -> None:
    model, prefixes = FakeModel(vocab_size=12, eos_bias=3.0), [(), (7,), (5, 5, 5, 5), (), (9, 8, 7), (3, 4)]
    sources = sources_of(*range(2, 8))
    requests = [Request(source, 10, 0, prefix) for source, prefix in zip(sources, prefixes, strict=True)]
    options = DecodingOptions.model_validate(way | {"no_repeat_ngram": 2})  # a prefix may break other constraints
    found = search(model, requests, options)
    for request, candidates in zip(requests, found, strict=True):
        assert all(candidate.tokens[: len(request.prefix)] == request.prefix for candidate in candidates)
        assert search(model, [request], options) == [candidates]
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            expected = model.token_log_probabilities(request.source, tokens)
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
    free = search(model, [replace(request, prefix=()) for request in requests], options)
    assert free[0] == found[0] and free[2] != found[2]


def test_a_beam_with_a_prefix_finds_the_best_of_all_that_begin_so() -> None:
    model, [source] = FakeModel(vocab_size=6, eos_bias=-1.0), sources_of(3)
    options = DecodingOptions(beam_size=1000, num_hypotheses=10, length_penalty=0.6)
    [found] = search(model, [Request(source, 6, 0, (4, 3))], options)
    every = [each for each in model.every_translation(source, 6, 0.6) if each.tokens[:2] == (4, 3)]
    for left, right in zip(found, every[:10], strict=True):
        assert_same(left, right)


@pytest.mark.parametrize("way", [{"beam_size": 1}, {"beam_size": 4, "num_hypotheses": 4}, {"sample": True}])
def test_a_repetition_penalty_makes_repetition_rarer_and_leaves_log_probabilities(way: dict[str, Any]) -> None:
    model, sources = FakeModel(vocab_size=8, eos_bias=-1.0), sources_of(*range(2, 12))
    few, many = (
        run(model, sources, [9] * 10, **way, repetition_penalty=penalty, length_penalty=0.6) for penalty in (3.0, 1.0)
    )
    assert repetitions(few) < 0.7 * repetitions(many)
    assert run(model, sources[:1], [9], **way, repetition_penalty=3.0, length_penalty=0.6) == few[:1]
    for source, candidates in zip(sources, few, strict=True):
        assert candidates == sorted(candidates, key=lambda candidate: -candidate.score)
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            values = model.token_log_probabilities(source, tokens)
            assert candidate.token_log_probabilities == pytest.approx(values, abs=1e-6)
            pairs = enumerate(zip(tokens, values, strict=True))
            penalized = sum(3 * x if token in tokens[:n] else x for n, (token, x) in pairs)
            assert candidate.score == pytest.approx(penalized / length_penalty(len(tokens), 0.6), abs=1e-5)


def repetitions(found: Sequence[Sequence[Candidate]]) -> int:
    """Return the number of tokens that occur before in their text."""
    return sum(len(each.tokens) - len(set(each.tokens)) for candidates in found for each in candidates)


def test_a_beam_that_holds_every_prefix_finds_the_best_by_penalized_score() -> None:
    model, source = FakeModel(vocab_size=5, eos_bias=-1.0), (4, 3)
    [[best, *_]] = run(model, [source], [6], beam_size=1000, repetition_penalty=2.0, length_penalty=0.6)
    scores = {}
    for each in model.every_translation(source, 6, 0.6):
        tokens = each.tokens
        values = zip((*tokens, EOS_ID), each.token_log_probabilities, strict=True)
        penalized = sum(2 * x if token in tokens[:n] else x for n, (token, x) in enumerate(values))
        scores[tokens] = penalized / length_penalty(len(tokens) + 1, 0.6)
    assert best.tokens == max(scores, key=lambda tokens: scores[tokens])
    assert best.score == pytest.approx(max(scores.values()), abs=1e-5)
