"""Optimizer steps: what they learn from does not depend on how they are divided."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from made_up import contents

from translator.data.batch import Batch, Capacity
from translator.data.corpus import Corpus
from translator.data.files import DataError
from translator.data.steps import StepStream, halves, micro_batches, shares
from translator.packing import IGNORE_INDEX

Make = Callable[..., Corpus]


def steps(corpus: Corpus, **options: Any) -> StepStream:
    return StepStream(corpus, **({"seed": 1, "batch_tokens": 100, "step_tokens": 600} | options))


def joined(batches: list[Batch]) -> tuple[list[Any], list[Any], list[int], list[int]]:
    """Sources, targets, labels and seeds of all micro-batches, in order."""
    parts = [contents(batch) for batch in batches]
    seeds = [seed for batch in batches for seed in batch.seeds.tolist()]
    source, target, labels = ([each for part in parts for each in part[side]] for side in (1, 2, 3))
    return source, target, labels, seeds


@pytest.mark.parametrize("batch_tokens", [1, 100, 250, 600, 5000])
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_step_has_the_same_examples_however_it_is_divided(
    make_corpus: Make, batch_tokens: int, world_size: int
) -> None:
    corpus = make_corpus(500)
    ranks = [steps(corpus, batch_tokens=batch_tokens, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole in islice(steps(corpus, batch_tokens=600), 10):
        parts = [next(rank) for rank in ranks]
        assert joined([batch for part in parts for batch in part]) == joined(whole)
        assert len({len(part) for part in parts}) == 1


def test_micro_batches_fit_their_capacity_and_are_few(make_corpus: Make) -> None:
    stream = steps(make_corpus(500), batch_tokens=150)
    for batches in islice(stream, 20):
        for batch in batches:
            assert len(batch.source.values) <= stream.capacity.source_tokens
            assert len(batch.target_input.values) <= stream.capacity.target_tokens == 150
            assert batch.padded(stream.capacity).labels.shape == (150,)
        assert 4 <= len(batches) <= 6


def test_a_micro_batch_is_padded_to_no_more_than_a_step(make_corpus: Make) -> None:
    capacity = steps(make_corpus(500), batch_tokens=5000).capacity
    assert capacity == steps(make_corpus(500), batch_tokens=600).capacity and capacity.target_tokens == 600


def test_the_shares_of_ranks_have_about_equally_many_tokens(make_corpus: Make) -> None:
    ranks = [steps(make_corpus(500), step_tokens=2000, rank=rank, world_size=4) for rank in range(4)]
    for _ in range(5):
        tokens = [sum(len(batch.source.values) for batch in next(rank)) for rank in ranks]
        assert max(tokens) < 1.15 * min(tokens)


def test_without_step_tokens_a_step_is_the_batches_of_the_rank(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    stream = steps(corpus, step_tokens=None, accumulation=2, rank=1, world_size=2)
    assert [batch.index for _ in range(2) for batch in next(stream)] == [1, 3, 5, 7]


def test_a_rank_with_too_few_examples_repeats_one_without_labels(
    make_corpus: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = lambda lengths, count: [(0, 1), (1, len(lengths))]  # noqa: E731
    monkeypatch.setattr("translator.data.steps.shares", uneven)
    few, many = (next(steps(make_corpus(500), batch_tokens=150, rank=rank, world_size=2)) for rank in range(2))
    assert len(few) == len(many) > 2
    assert few[0].num_target_tokens and not any(batch.num_target_tokens for batch in few[1:])
    assert all((batch.labels == IGNORE_INDEX).all() for batch in few[1:])


def test_a_stream_resumes_with_another_split(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    first, second = steps(corpus), steps(corpus, batch_tokens=220)
    for _ in range(3):
        next(first)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        assert joined(next(first)) == joined(next(second))


def test_a_step_too_small_for_the_ranks_is_refused(make_corpus: Make) -> None:
    corpus = make_corpus(50)
    with pytest.raises(DataError, match=r"step_tokens must hold one example of model\.max_positions per pro"):
        steps(corpus, step_tokens=corpus.max_positions, world_size=2)


def test_halves_have_the_examples_of_the_whole_and_one_example_has_none(make_corpus: Make) -> None:
    (whole,) = next(steps(make_corpus(500), batch_tokens=600))
    parts = halves(whole)
    assert len(parts) == 2 and joined(parts) == joined([whole])
    assert abs(len(parts[0].source.values) - len(parts[1].source.values)) < 0.2 * len(whole.source.values)
    while len(parts) < len(whole.seeds):
        parts = [half for part in parts for half in halves(part)]
    assert joined(parts) == joined([whole])
    assert [len(halves(part)) for part in parts] == [1] * len(parts)


def test_shares_are_never_empty() -> None:
    lengths = np.array([[1, 1], [1, 1], [100, 100], [1, 1]])
    assert shares(lengths, 4) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert shares(lengths[::-1], 3)[-1][1] == 4 and all(start < stop for start, stop in shares(lengths[::-1], 3))


def test_a_micro_batch_holds_no_more_sequences_than_its_capacity() -> None:
    capacity = Capacity(source_tokens=100, target_tokens=100, sequences=3, max_seqlen=10)
    assert micro_batches(np.ones((7, 2), np.int64), (0, 7), capacity) == [(0, 3), (3, 6), (6, 7)]


def test_seeds_differ_between_examples_and_runs_and_not_between_splits(make_corpus: Make) -> None:
    stream = steps(make_corpus(500))
    seeds = [batch.seeded(7).seeds for batches in islice(stream, 20) for batch in batches]
    everything = torch.cat(seeds)
    assert len(everything.unique()) == len(everything) and everything.dtype == torch.int64
    (whole,) = next(steps(make_corpus(500), batch_tokens=600))
    assert torch.equal(whole.seeded(7).seeds[:3], seeds[0][:3])
    assert not (whole.seeded(7).seeds == whole.seeded(8).seeds).any()
