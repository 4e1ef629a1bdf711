"""Terms that an output must or may contain."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from fake_model import FIRST_WORD, FakeModel, assert_same, sources_of
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request, Term, TokenSet
from translator.decoding.search import search
from translator.decoding.terms import TermBonus, required_length
from translator.tokenizer import EOS_ID


def find(model: Any, requests: Sequence[Request], **options: Any) -> list[list[Candidate]]:
    return search(model, requests, DecodingOptions(**{"length_penalty": 0.0} | options))


def count(tokens: Sequence[int], form: Sequence[int]) -> int:
    return sum(tuple(tokens[start : start + len(form)]) == tuple(form) for start in range(len(tokens)))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("forms", [((4,),), ((3, 4),), ((3, 4), (5,)), ((4, 3, 5),)])
@pytest.mark.parametrize("is_unique", [False, True])
def test_a_beam_that_holds_every_prefix_finds_the_best_translations_with_the_term(
    alpha: float, forms: tuple[tuple[int, ...], ...], is_unique: bool
) -> None:
    model = FakeModel(vocab_size=6)
    term = Term(forms, is_unique=is_unique)
    for source in sources_of(2, 3):
        [found] = find(
            model, [Request(source, 5, terms=(term,))], beam_size=200, num_hypotheses=8, length_penalty=alpha
        )
        possible = [
            each
            for each in model.every_translation(source, 5, alpha)
            if (total := sum(count(each.tokens, form) for form in forms)) and not (is_unique and total > 1)
        ]
        for left, right in zip(found, possible, strict=False):
            assert_same(left, right)


@pytest.mark.parametrize("first_bad", [1, 2, 3])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_nan_logits_are_an_error_at_any_step(first_bad: int, beam_size: int) -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, prefix)
            return logits if len(prefix) < first_bad else torch.full_like(logits, math.nan)

    with pytest.raises(DecodingError, match=r"A model must give finite logits\. Received: NaN"):
        find(
            Broken(8), [Request(source, 7, terms=(Term(((4,),)),)) for source in sources_of(3, 4)], beam_size=beam_size
        )


def test_the_form_of_the_beginning_is_found_there_alone() -> None:
    model = FakeModel(vocab_size=6)
    is_begun = []
    for source in sources_of(*range(2, 12)):
        [[found]] = find(model, [Request(source, 5, terms=(Term(((4, 5),), ((3,),)),))], beam_size=200)
        possible = [
            each
            for each in model.every_translation(source, 5, 0.0)
            if each.tokens[:1] == (3,) or count(each.tokens, (4, 5))
        ]
        assert_same(found, possible[0])
        is_begun.append(found.tokens[:1] == (3,))
    assert any(is_begun)


def test_two_terms_are_found_in_the_better_order() -> None:
    model = FakeModel(vocab_size=7)
    terms = (Term(((3,),)), Term(((4, 5),)))
    for source in sources_of(2, 3, 4):
        [[found]] = find(model, [Request(source, 6, terms=terms)], beam_size=300)
        possible = [
            each
            for each in model.every_translation(source, 6, 0.0)
            if count(each.tokens, (3,)) and count(each.tokens, (4, 5))
        ]
        assert_same(found, possible[0])


@pytest.mark.parametrize("options", [{"beam_size": 1}, {"beam_size": 2}, {"beam_size": 5, "num_hypotheses": 3}])
@pytest.mark.parametrize("eos_bias", [-5.0, 0.0, 8.0])
def test_every_result_has_all_terms_whatever_the_model_predicts(options: dict[str, int], eos_bias: float) -> None:
    generator = random.Random(3)
    requests = []
    for source in sources_of(*range(2, 32)):
        terms = tuple(
            Term(
                tuple(
                    tuple(generator.randrange(FIRST_WORD, 12) for _ in range(generator.randrange(1, 5)))
                    for _ in range(generator.randrange(1, 3))
                )
            )
            for _ in range(generator.randrange(4))
        )
        slack = generator.choice([0, 1, 9])
        requests.append(Request(source, required_length(terms) + slack + (not terms), terms=terms))
    found = find(FakeModel(vocab_size=12, eos_bias=eos_bias), requests, no_repeat_ngram=2, **options)
    for request, candidates in zip(requests, found, strict=True):
        for candidate in candidates:
            assert all(any(count(candidate.tokens, form) for form in term.forms) for term in request.terms)
            assert len(candidate.tokens) + candidate.is_finished <= request.max_length
            assert math.isclose(candidate.log_probability, candidate.score, abs_tol=1e-4)


def test_a_term_does_not_change_what_others_of_the_batch_get() -> None:
    model, sources = FakeModel(vocab_size=12), sources_of(2, 5, 9, 4)
    requests = [Request(source, 12) for source in sources]
    requests[1] = Request(sources[1], 12, terms=(Term(((7, 8),)),))
    requests[2] = Request(sources[2], 12, soft_terms=((9, 10),))
    together = find(model, requests, beam_size=3)
    assert together == [find(model, [request], beam_size=3)[0] for request in requests]


def test_a_term_after_a_prefix_is_found() -> None:
    request = Request(sources_of(3)[0], 9, prefix=(5, 6), terms=(Term(((7, 8),)),))
    [[found]] = find(FakeModel(vocab_size=12), [request], beam_size=3)
    assert found.tokens[:2] == (5, 6)
    assert count(found.tokens, (7, 8)) == 1


def test_no_token_that_would_continue_its_last_word_follows_a_term() -> None:
    continuations = TokenSet(frozenset(range(6, 12)))
    requests = [
        Request(source, 12, terms=(Term(((7,), (8, 9)), continuations=continuations),))
        for source in sources_of(*range(2, 12))
    ]
    for candidates in find(FakeModel(vocab_size=12, eos_bias=-2.0), requests, beam_size=3):
        [candidate] = candidates
        tokens = [*candidate.tokens, EOS_ID]
        begins = [place for place in range(len(tokens)) if tokens[place] == 7 or tokens[place : place + 2] == [8, 9]]
        # Until the term is there, no other tokens spell it.
        first = begins[0]
        assert tokens[first + (1 if tokens[first] == 7 else 2)] < 6


def test_a_bias_raises_soft_terms_and_counts_in_the_score_alone() -> None:
    model = FakeModel(vocab_size=12)
    source = sources_of(4)[0]
    soft = Request(source, 10, soft_terms=((7, 8), (9,)))
    [[plain]], [[unbiased]], [[biased]] = (
        find(model, [request], beam_size=5, term_bias=bias)
        for request, bias in ((Request(source, 10), 2.0), (soft, 0.0), (soft, 20.0))
    )
    assert_same(plain, unbiased)
    assert count(biased.tokens, (7, 8)) >= 1 <= count(biased.tokens, (9,))
    assert biased.score == pytest.approx(biased.log_probability + 3 * 20.0, abs=1e-4)
    expected = model.token_log_probabilities(source, (*biased.tokens, EOS_ID))
    assert biased.token_log_probabilities == pytest.approx(expected, abs=1e-5)


def test_a_bonus_is_given_token_by_token_until_the_term_is_complete() -> None:
    rule = TermBonus(3.0)
    request = Request((3,), 9, soft_terms=((5, 6), (7,)))
    state = rule.start([request, Request((3,), 9)], torch.device("cpu"))
    following = []
    for token in (5, 5, 6, 5, 7):
        ids, values, of_all = rule.bonus(state)
        following.append(
            {index: value for index, value in zip(ids[0].tolist(), values[0].tolist(), strict=True) if value}
            | {"other": float(of_all[0])}
        )
        assert not values[1].any()
        state = rule.advance(state, torch.tensor([token, token]))
    assert following == [
        {5: 3.0, 7: 3.0, "other": 0.0},
        {6: 6.0, 5: 3.0, 7: 3.0, "other": -3.0},
        {6: 6.0, 5: 3.0, 7: 3.0, "other": -3.0},
        {7: 3.0, "other": 0.0},
        {7: 3.0, "other": 0.0},
    ]
    assert not rule.bonus(rule.reorder(state, torch.tensor([0, 0, 1])))[1].any()
