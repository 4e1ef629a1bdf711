from __future__ import annotations

import itertools
import math

import pytest
import torch
from fake_model import FakeModel, assert_same, sources_of
from torch import Tensor

from translator.decoding import search
from translator.decoding.beam import beam_search
from translator.decoding.search import DecodingError, greedy, length_penalty
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID


def ids_of(source: Packed, sentence: int) -> tuple[int, ...]:
    return tuple(source.unpack()[sentence].tolist())


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("eos_bias", [-4.0, 0.0, 3.0])
def test_a_beam_that_holds_every_beginning_finds_the_best_of_all_translations_in_order(
    alpha: float, eos_bias: float
) -> None:
    model = FakeModel(vocab_size=6, eos_bias=eos_bias)
    source, max_length = sources_of(2, 3, 4, 5), 5
    everything = 4 * 3 ** (max_length - 1)  # extensions of all texts of three words by three words and EOS
    found = beam_search(
        model, source, max_lengths=[max_length] * 4, beam_size=everything, alpha=alpha, num_hypotheses=3 + 9 + 27 + 81
    )
    for sentence in range(4):
        best = model.every_translation(ids_of(source, sentence), max_length, alpha)
        for left, right in zip(found[sentence], best, strict=True):
            assert_same(left, right)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("num_hypotheses", [1, 2, 5])
def test_stopping_early_never_changes_what_is_found(alpha: float, num_hypotheses: int) -> None:
    source = sources_of(*range(2, 22))
    options = {"beam_size": 5, "alpha": alpha, "num_hypotheses": num_hypotheses}
    model = FakeModel(vocab_size=12, eos_bias=1.0)
    found = beam_search(model, source, max_lengths=[12] * 20, **options)
    # One more sentence that can never end keeps nothing alive: each sentence stops for itself. Searching for as many
    # hypotheses as the beam has stops later; what it finds first must be the same.
    longer = beam_search(model, source, max_lengths=[12] * 20, **(options | {"num_hypotheses": 5}))
    for few, many in zip(found, longer, strict=True):
        assert few == many[:num_hypotheses]


def test_the_search_goes_on_while_a_longer_translation_can_still_win() -> None:
    class LateWinner(FakeModel):
        """Ends at once with probability 0.5; going on is 0.4, then certain for five tokens."""

        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            position = len(beginning) - 1
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

    [[early]] = beam_search(LateWinner(5), sources_of(3), max_lengths=[20], beam_size=2, alpha=0.0)
    [[late]] = beam_search(LateWinner(5), sources_of(3), max_lengths=[20], beam_size=2, alpha=1.0)
    assert early.tokens == (3,)
    assert late.tokens == (3, 4, 4, 4, 4, 4, 4)
    assert late.score == pytest.approx(math.log(0.4 / 0.9) / length_penalty(8, 1.0), abs=1e-3)


def test_the_search_stops_when_nothing_alive_can_win() -> None:
    model = FakeModel(vocab_size=50, sharpness=4.0, eos_bias=6.0)
    beam_search(model, sources_of(3, 4, 5), max_lengths=[500] * 3, beam_size=4, alpha=0.6)
    assert len(model.rows_stepped) < 100


def test_a_beam_of_one_without_length_penalty_is_greedy() -> None:
    model, source = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 30))
    beam = beam_search(model, source, max_lengths=[15] * 28, beam_size=1)
    assert [found[0].tokens for found in beam] == [
        found[0].tokens for found in greedy(model, source, max_lengths=[15] * 28)
    ]


def test_batch_mates_change_nothing() -> None:
    model, source = FakeModel(vocab_size=30, eos_bias=2.0), sources_of(*range(2, 20))
    lengths = [4 + number % 9 for number in range(18)]
    together = beam_search(model, source, max_lengths=lengths, beam_size=4, alpha=0.6, num_hypotheses=3)
    for sentence, (ids, length) in enumerate(zip(source.unpack(), lengths, strict=True)):
        [alone] = beam_search(
            model, Packed.from_sequences([ids]), max_lengths=[length], beam_size=4, alpha=0.6, num_hypotheses=3
        )
        assert alone == together[sentence]


def test_finished_sentences_leave_the_batch_and_the_first_step_has_one_row_each() -> None:
    model = FakeModel(vocab_size=30, sharpness=4.0, eos_bias=5.0)
    beam_search(model, sources_of(*range(2, 12)), max_lengths=[60] * 10, beam_size=4, alpha=0.6)
    assert model.rows_stepped[:2] == [10, 40]
    assert all(later <= earlier for earlier, later in itertools.pairwise(model.rows_stepped[1:]))
    assert model.rows_stepped[-1] < 40


@pytest.mark.parametrize("steps", [2, 8])
def test_looking_seldom_which_sentences_are_settled_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """As a search does on CUDA, where a look waits for the device."""
    source, limits = sources_of(*range(2, 32)), [3 + number % 25 for number in range(30)]
    options = {"max_lengths": limits, "beam_size": 4, "alpha": 0.6, "num_hypotheses": 3}
    often, seldom = (FakeModel(vocab_size=15, eos_bias=2.0) for _ in range(2))
    expected = beam_search(often, source, **options)
    monkeypatch.setitem(search.STEPS_BETWEEN_LOOKS, "cpu", steps)
    assert beam_search(seldom, source, **options) == expected
    assert sum(seldom.rows_stepped) > sum(often.rows_stepped)


def test_log_probabilities_are_the_models_own_and_add_up() -> None:
    model, source = FakeModel(vocab_size=30, eos_bias=2.0), sources_of(2, 3, 4)
    found = beam_search(model, source, max_lengths=[10] * 3, beam_size=4, alpha=0.6, num_hypotheses=4)
    for sentence, candidates in enumerate(found):
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            expected = model.token_log_probabilities(ids_of(source, sentence), tokens)
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
            assert candidate.log_probability == pytest.approx(sum(candidate.token_log_probabilities), abs=1e-9)
            assert candidate.score == pytest.approx(
                candidate.log_probability / ((5 + len(tokens)) / 6) ** 0.6, abs=1e-9
            )
        assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)


def test_a_translation_that_cannot_end_is_cut_at_its_longest_length_and_says_so() -> None:
    model, source = FakeModel(vocab_size=10, eos_bias=-200.0), sources_of(2, 3)
    found = beam_search(model, source, max_lengths=[4, 7], beam_size=3, num_hypotheses=3)
    for length, candidates in zip((4, 7), found, strict=True):
        assert len(candidates) == 3
        assert not any(candidate.is_finished for candidate in candidates)
        assert {len(candidate.tokens) for candidate in candidates} == {length}
        assert {len(candidate.token_log_probabilities) for candidate in candidates} == {length}


def test_a_finished_translation_goes_before_any_that_was_cut() -> None:
    class EndsOnce(FakeModel):
        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, beginning)
            logits[EOS_ID] = 20.0 if beginning == (BOS_ID, 3) else -300.0
            return logits

    [found] = beam_search(EndsOnce(8), sources_of(3), max_lengths=[6], beam_size=5, num_hypotheses=5)
    kinds = [candidate.is_finished for candidate in found]
    assert kinds[0] and not kinds[-1]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("max_length", [1, 2, 3])
@pytest.mark.parametrize("vocab_size", [4, 5])
def test_the_smallest_vocabularies_and_lengths_work(vocab_size: int, max_length: int) -> None:
    model = FakeModel(vocab_size)
    [found] = beam_search(model, sources_of(3), max_lengths=[max_length], beam_size=50, num_hypotheses=50)
    number_of_texts = sum((vocab_size - 3) ** length for length in range(1, max_length))
    number_cut_short = (vocab_size - 3) ** max_length
    assert len(found) == number_of_texts + number_cut_short
    assert sum(candidate.is_finished for candidate in found) == number_of_texts


def test_no_sentences_give_no_translations() -> None:
    assert beam_search(FakeModel(8), Packed.from_sequences([]), max_lengths=[], beam_size=3) == []


def test_ties_go_to_the_lower_token_id() -> None:
    class Flat(FakeModel):
        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            logits = torch.zeros(self.vocab_size)
            logits[EOS_ID] = -50.0 if len(beginning) < 3 else 50.0
            return logits

    [found] = beam_search(Flat(2000), sources_of(3), max_lengths=[9], beam_size=3, num_hypotheses=3)
    assert [candidate.tokens for candidate in found] == [(3, 3), (3, 4), (3, 5)]


def test_ties_do_not_depend_on_the_batch() -> None:
    model, source = FakeModel(vocab_size=40, sharpness=1.0, digits=0), sources_of(*range(2, 12))
    together = beam_search(model, source, max_lengths=[8] * 10, beam_size=4, alpha=0.6, num_hypotheses=4)
    for ids, expected in zip(source.unpack(), together, strict=True):
        alone = Packed.from_sequences([ids])
        assert beam_search(model, alone, max_lengths=[8], beam_size=4, alpha=0.6, num_hypotheses=4) == [expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "must be at least 1 and at most 1024. Received: 0."),
        ({"beam_size": 100_000}, "must be at least 1 and at most 1024. Received: 100000."),
        ({"beam_size": 2, "alpha": -0.1}, "length_penalty must be at least 0 and at most 10. Received: -0.1."),
        ({"beam_size": 2, "alpha": math.inf}, "length_penalty must be at least 0 and at most 10. Received: inf."),
        ({"beam_size": 2, "num_hypotheses": 3}, "at most beam_size. Received: num_hypotheses=3, beam_size=2."),
        ({"beam_size": 2, "num_hypotheses": 0}, "num_hypotheses must be at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        beam_search(FakeModel(8), sources_of(3), max_lengths=[5], **options)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_model_that_gives_no_numbers_is_named(bad: float) -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, beginning)
            logits[5] = bad
            return logits

    with pytest.raises(DecodingError, match="A model must give finite logits"):
        beam_search(Broken(8), sources_of(3), max_lengths=[5], beam_size=3)
