"""Beam search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from fake_model import FakeModel, assert_same, run, sources_of
from torch import Tensor

from translator.decoding.beam import BeamSelection
from translator.decoding.candidates import Candidate, length_penalty
from translator.decoding.constraints import Constraints
from translator.decoding.errors import DecodingError
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request
from translator.decoding.search import STEPS_BETWEEN_CHECKS, decode
from translator.tokenizer import BOS_ID, EOS_ID


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("eos_bias", [-4.0, 0.0, 3.0])
def test_a_beam_that_holds_every_prefix_finds_the_best_of_all_translations_in_order(
    alpha: float, eos_bias: float
) -> None:
    model = FakeModel(vocab_size=6, eos_bias=eos_bias)
    source, max_length = sources_of(2, 3, 4, 5), 5
    everything = 4 * 3 ** (max_length - 1)  # extensions of all texts of three words by three words and EOS
    found = run(
        model, source, [max_length] * 4, beam_size=everything, length_penalty=alpha, num_hypotheses=3 + 9 + 27 + 81
    )
    for sentence in range(4):
        best = model.every_translation(source[sentence], max_length, alpha)
        for left, right in zip(found[sentence], best, strict=True):
            assert_same(left, right)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("num_hypotheses", [1, 2, 5])
def test_stopping_early_never_changes_what_is_found(alpha: float, num_hypotheses: int) -> None:
    source = sources_of(*range(2, 22))
    options = {"beam_size": 5, "length_penalty": alpha, "num_hypotheses": num_hypotheses}
    model = FakeModel(vocab_size=12, eos_bias=1.0)
    found = run(model, source, [12] * 20, **options)
    # One more sentence that can never end keeps nothing alive: each sentence stops for itself. Searching for as many
    # hypotheses as the beam has stops later; what it finds first must be the same.
    longer = run(model, source, [12] * 20, **(options | {"num_hypotheses": 5}))
    for few, many in zip(found, longer, strict=True):
        assert few == many[:num_hypotheses]


def test_the_search_goes_on_while_a_longer_translation_can_still_win() -> None:
    class LateWinner(FakeModel):
        """Ends at once with probability 0.5; going on is 0.4, then certain for five tokens."""

        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            position = len(prefix) - 1
            probabilities = torch.full((5,), 1e-9)
            match position:
                case 0:
                    probabilities[3] = 1.0
                case 1:
                    probabilities[EOS_ID], probabilities[4] = 0.5, 0.4
                case 7:
                    probabilities[EOS_ID] = 1.0
                case _:
                    probabilities[4] = 1.0
            return probabilities.log()

    [[early]] = run(LateWinner(5), sources_of(3), [20], beam_size=2, length_penalty=0.0)
    [[late]] = run(LateWinner(5), sources_of(3), [20], beam_size=2, length_penalty=1.0)
    assert early.tokens == (3,)
    assert late.tokens == (3, 4, 4, 4, 4, 4, 4)
    assert late.score == pytest.approx(math.log(0.4 / 0.9) / length_penalty(8, 1.0), abs=1e-3)


def test_the_search_stops_when_nothing_alive_can_win() -> None:
    model = FakeModel(vocab_size=50, sharpness=4.0, eos_bias=6.0)
    run(model, sources_of(3, 4, 5), [500] * 3, beam_size=4, length_penalty=0.6)
    assert len(model.rows_stepped) < 100


def test_a_beam_of_one_without_length_penalty_is_greedy() -> None:
    model, source = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 30))
    requests = [Request(each, 15) for each in source]
    beam = decode(model, requests, BeamSelection(1), Constraints(), 1, 0.0, torch.device("cpu"))
    assert beam == run(model, source, [15] * 28)


def test_other_sentences_in_the_batch_change_nothing() -> None:
    model, source = FakeModel(vocab_size=30, eos_bias=2.0), sources_of(*range(2, 20))
    lengths = [4 + number % 9 for number in range(18)]
    together = run(model, source, lengths, beam_size=4, length_penalty=0.6, num_hypotheses=3)
    for sentence, (ids, length) in enumerate(zip(source, lengths, strict=True)):
        [alone] = run(model, [ids], [length], beam_size=4, length_penalty=0.6, num_hypotheses=3)
        assert alone == together[sentence]


def test_finished_sentences_leave_the_batch_and_the_first_step_has_one_row_each() -> None:
    model = FakeModel(vocab_size=30, sharpness=4.0, eos_bias=5.0)
    run(model, sources_of(*range(2, 12)), [60] * 10, beam_size=4, length_penalty=0.6)
    assert model.rows_stepped[:2] == [10, 40]
    assert all(later <= earlier for earlier, later in itertools.pairwise(model.rows_stepped[1:]))
    assert model.rows_stepped[-1] < 40


@pytest.mark.parametrize("steps", [2, 8])
def test_the_number_of_steps_between_checks_changes_nothing(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """On CUDA, where a check synchronizes, several steps run between two checks."""
    source, limits = sources_of(*range(2, 32)), [3 + number % 25 for number in range(30)]
    options = {"beam_size": 4, "length_penalty": 0.6, "num_hypotheses": 3}
    often, seldom = (FakeModel(vocab_size=15, eos_bias=2.0) for _ in range(2))
    expected = run(often, source, limits, **options)
    monkeypatch.setitem(STEPS_BETWEEN_CHECKS, "cpu", steps)
    assert run(seldom, source, limits, **options) == expected
    assert sum(seldom.rows_stepped) > sum(often.rows_stepped)


def test_log_probabilities_are_the_models_own_and_add_up() -> None:
    model, source = FakeModel(vocab_size=30, eos_bias=2.0), sources_of(2, 3, 4)
    found = run(model, source, [10] * 3, beam_size=4, length_penalty=0.6, num_hypotheses=4)
    for sentence, candidates in enumerate(found):
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            expected = model.token_log_probabilities(source[sentence], tokens)
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
            assert candidate.log_probability == pytest.approx(sum(candidate.token_log_probabilities), abs=1e-9)
            assert candidate.score == pytest.approx(
                candidate.log_probability / ((5 + len(tokens)) / 6) ** 0.6, abs=1e-9
            )
        assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)


def test_a_translation_that_cannot_end_is_cut_at_its_longest_length_and_says_so() -> None:
    model, source = FakeModel(vocab_size=10, eos_bias=-200.0), sources_of(2, 3)
    found = run(model, source, [4, 7], beam_size=3, num_hypotheses=3)
    for length, candidates in zip((4, 7), found, strict=True):
        assert len(candidates) == 3
        assert not any(candidate.is_finished for candidate in candidates)
        assert {len(candidate.tokens) for candidate in candidates} == {length}
        assert {len(candidate.token_log_probabilities) for candidate in candidates} == {length}


def test_a_finished_translation_goes_before_any_that_was_cut() -> None:
    class EndsOnce(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, prefix)
            logits[EOS_ID] = 20.0 if prefix == (BOS_ID, 3) else -300.0
            return logits

    [found] = run(EndsOnce(8), sources_of(3), [6], beam_size=5, num_hypotheses=5)
    kinds = [candidate.is_finished for candidate in found]
    assert kinds[0] and not kinds[-1]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("max_length", [1, 2, 3])
@pytest.mark.parametrize("vocab_size", [4, 5])
def test_the_smallest_vocabularies_and_lengths_work(vocab_size: int, max_length: int) -> None:
    model = FakeModel(vocab_size)
    [found] = run(model, sources_of(3), [max_length], beam_size=50, num_hypotheses=50)
    number_of_texts = sum((vocab_size - 3) ** length for length in range(1, max_length))
    number_cut_short = (vocab_size - 3) ** max_length
    assert len(found) == number_of_texts + number_cut_short
    assert sum(candidate.is_finished for candidate in found) == number_of_texts


def test_no_sentences_give_no_translations() -> None:
    assert run(FakeModel(8), [], [], beam_size=3) == []


def test_ties_go_to_the_lower_token_id() -> None:
    class Flat(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = torch.zeros(self.vocab_size)
            logits[EOS_ID] = -50.0 if len(prefix) < 3 else 50.0
            return logits

    [found] = run(Flat(2000), sources_of(3), [9], beam_size=3, num_hypotheses=3)
    assert [candidate.tokens for candidate in found] == [(3, 3), (3, 4), (3, 5)]


def test_ties_do_not_depend_on_the_batch() -> None:
    model, source = FakeModel(vocab_size=40, sharpness=1.0, digits=0), sources_of(*range(2, 12))
    together = run(model, source, [8] * 10, beam_size=4, length_penalty=0.6, num_hypotheses=4)
    for ids, expected in zip(source, together, strict=True):
        alone = [ids]
        assert run(model, alone, [8], beam_size=4, length_penalty=0.6, num_hypotheses=4) == [expected]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_logits_are_an_error(bad: float) -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, prefix)
            logits[5] = bad
            return logits

    with pytest.raises(DecodingError, match="A model must give finite logits"):
        run(Broken(8), sources_of(3), [5], beam_size=3)


DIVERSE = {"beam_size": 6, "num_beam_groups": 3, "num_hypotheses": 6, "length_penalty": 0.6}


def test_groups_without_a_penalty_search_alike() -> None:
    model, sources = FakeModel(vocab_size=20, eos_bias=1.0), sources_of(*range(2, 8))
    found = run(model, sources, [9] * 6, **DIVERSE, diversity_penalty=0.0)
    alone = run(model, sources, [9] * 6, beam_size=2, num_hypotheses=2, length_penalty=0.6)
    for candidates, [first, second] in zip(found, alone, strict=True):
        assert candidates == [first] * 3 + [second] * 3


def test_the_groups_of_a_beam_differ_and_scores_stay_the_models_own() -> None:
    model, sources = FakeModel(vocab_size=20, eos_bias=1.0), sources_of(*range(2, 12))
    diverse = run(model, sources, [9] * 10, **DIVERSE, diversity_penalty=4.0)
    ordinary = run(model, sources, [9] * 10, **(DIVERSE | {"num_beam_groups": 1}))
    assert sum(map(num_beginnings, diverse)) > 1.3 * sum(map(num_beginnings, ordinary))
    for source, candidates in zip(sources, diverse, strict=True):
        assert run(model, [source], [9], **DIVERSE, diversity_penalty=4.0) == [candidates]
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            expected = model.token_log_probabilities(source, tokens)
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
            assert candidate.score == pytest.approx(sum(expected) / length_penalty(len(tokens), 0.6), abs=1e-6)


def test_a_token_costs_the_penalty_once_for_each_earlier_hypothesis_extended_by_it() -> None:
    class TwoChoices(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = torch.full((self.vocab_size,), -99.0)
            if len(prefix) == 1:
                logits[3], logits[4] = 0.0, -1.5
            else:
                logits[EOS_ID] = 0.0
            return logits

    options = {"beam_size": 3, "num_beam_groups": 3, "num_hypotheses": 3, "diversity_penalty": 1.0}
    [found] = run(TwoChoices(6), sources_of(3), [5], **options)
    assert [candidate.tokens for candidate in found] == [(3,), (3,), (4,)]  # the third group pays 2 for token 3


def num_beginnings(candidates: Sequence[Candidate]) -> int:
    return len({candidate.tokens[0] for candidate in candidates})


def test_a_group_chooses_as_if_it_saw_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sources = FakeModel(vocab_size=40, eos_bias=1.0), sources_of(*range(2, 12))
    found = run(model, sources, [9] * 10, **DIVERSE, diversity_penalty=2.0)
    narrow = NextTokens.top_tokens
    monkeypatch.setattr(NextTokens, "top_tokens", lambda self, logits, count: narrow(self, logits, logits.shape[1]))
    assert run(model, sources, [9] * 10, **DIVERSE, diversity_penalty=2.0) == found
