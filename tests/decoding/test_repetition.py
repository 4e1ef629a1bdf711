"""No search repeats an n-gram more often than its source does; without the guard nothing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from fake_model import FakeModel, assert_same, sources_of
from torch import Tensor

from translator.decoding.beam import beam_search
from translator.decoding.options import SearchOptions
from translator.decoding.repetition import NoRepetition, most_occurrences, most_turns, without_repetition
from translator.decoding.search import Candidate, DecodingError, Sampling, greedy, sample
from translator.packing import Packed
from translator.tokenizer import EOS_ID


def most_repeated(tokens: Sequence[int], n: int) -> int:
    """How often the most frequent n-gram occurs."""
    return max(Counter(zip(*(tokens[start:] for start in range(n)), strict=False)).values(), default=0)


def every_search(model: FakeModel, source: Packed, limits: Sequence[int], n: int) -> list[list[list[Candidate]]]:
    """What greedy search, beam search and sampling find."""
    ways = [(1, 1, None), (4, 3, None), (4, 3, Sampling(temperature=1.5, seed=3))]
    return [
        SearchOptions(
            beam_size=beam_size,
            length_penalty=0.6,
            no_repeat_ngram=n,
            batch_tokens=100,
            num_hypotheses=num_hypotheses,
            sampling=sampling,
        ).search(model, source, limits)
        for beam_size, num_hypotheses, sampling in ways
    ]


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
def test_a_beam_that_holds_every_beginning_finds_the_best_texts_that_do_not_repeat(n: int, alpha: float) -> None:
    model, max_length = FakeModel(vocab_size=6, eos_bias=-1.0), 6
    source = sources_of(2, 3, 4)
    found = beam_search(
        NoRepetition(model, n), source, max_lengths=[max_length] * 3, beam_size=1000, alpha=alpha, num_hypotheses=12
    )
    for ids, candidates in zip(source.unpack(), found, strict=True):
        every = model.every_translation(tuple(ids.tolist()), max_length, alpha)
        allowed = [candidate for candidate in every if most_repeated(candidate.tokens, n) <= 1]
        assert len(allowed) < len(every)
        for left, right in zip(candidates, allowed[:12], strict=True):
            assert_same(left, right)  # the model's own log-probabilities: what is forbidden gives nothing to the rest


def test_without_the_guard_searches_are_what_they_were() -> None:
    model, source = FakeModel(vocab_size=6), sources_of(*range(2, 12))
    assert without_repetition(model, 0) is model
    limits = [9] * 10
    greedily, by_beam, drawn = every_search(model, source, limits, 0)
    assert greedily == greedy(model, source, max_lengths=limits, alpha=0.6)
    assert by_beam == beam_search(model, source, max_lengths=limits, beam_size=4, alpha=0.6, num_hypotheses=3)
    sampling = Sampling(temperature=1.5, seed=3)
    assert drawn == sample(model, source, max_lengths=limits, sampling=sampling, num_hypotheses=3, alpha=0.6)


def test_where_nothing_repeats_the_guard_changes_no_bit() -> None:
    model, source = FakeModel(vocab_size=200, eos_bias=4.0), sources_of(*range(2, 12))
    for guarded, free in zip(
        every_search(model, source, [9] * 10, 3), every_search(model, source, [9] * 10, 0), strict=True
    ):
        assert guarded == free


def test_batch_mates_change_nothing() -> None:
    model = FakeModel(vocab_size=6, eos_bias=-1.0)
    mixed = [[3, 4, 5, EOS_ID], [3, 3, 3, EOS_ID], [EOS_ID], [3, 4, 3, 4, 3, 4, EOS_ID], [5, EOS_ID], [4, 5, 4, EOS_ID]]
    limits = [12, 5, 9, 14, 3, 10]
    together = every_search(model, Packed.from_sequences(mixed), limits, 2)
    for sentence, (ids, limit) in enumerate(zip(mixed, limits, strict=True)):
        for all_found, [alone] in zip(
            together, every_search(model, Packed.from_sequences([ids]), [limit], 2), strict=True
        ):
            assert all_found[sentence] == alone


def test_each_row_may_repeat_as_often_as_its_own_source() -> None:
    class Stuck(FakeModel):
        """Says the same for ever."""

        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            logits = torch.zeros(self.vocab_size)
            logits[3] = 9.0
            return logits

    sources = Packed.from_sequences([[5, 6, 7, EOS_ID], [5, 5, 5, 6, EOS_ID], [5, 6, 5, 6, 5, 6, 5, 6, EOS_ID]])
    found = greedy(NoRepetition(Stuck(9), 2), sources, max_lengths=[30] * 3)
    at_first = [next(i for i, token in enumerate((*c.tokens, 0)) if token != 3) for [c] in found]
    assert at_first == [2, 3, 4]  # one pair; as many in a row as in the source


@pytest.mark.parametrize("cycle", [(3,), (3, 4), (3, 4, 5)])
def test_a_cycle_shorter_than_an_ngram_comes_three_times_at_most_or_as_often_as_in_the_source(
    cycle: tuple[int, ...],
) -> None:
    class Cycling(FakeModel):
        """Says one thing after the other, for ever; its second choice is the highest id."""

        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            logits = torch.arange(float(self.vocab_size))
            logits[cycle[(len(beginning) - 1) % len(cycle)]] = 99.0
            return logits

    sources = Packed.from_sequences([[5, 6, EOS_ID], [5, 6, 5, 6, 5, 6, 5, 6, 5, 6, EOS_ID]])
    found = greedy(NoRepetition(Cycling(20), 12), sources, max_lengths=[40] * 2)
    in_cycle = [next(i for i, token in enumerate(c.tokens) if token != cycle[i % len(cycle)]) for [c] in found]
    assert in_cycle == [4 * len(cycle) - 1, 6 * len(cycle) - 1]  # the fourth and the sixth turn lack their ends


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
    assert (most_occurrences(ids, 3), most_turns(ids)) == (occurrences, turns)


def test_a_guard_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(DecodingError, match=r"no_repeat_ngram must be at least 1, or 0 for no guard\. Received: -1\."):
        every_search(FakeModel(9), sources_of(3), [5], -1)
