from __future__ import annotations

import math

import torch

from translator.decoding.hypotheses import Finished, Hypotheses, results_of
from translator.tokenizer import BOS_ID, EOS_ID

CPU = torch.device("cpu")


def hypotheses(tokens: list[list[list[int]]], log_probability: list[list[float]]) -> Hypotheses:
    """Hypotheses whose tokens have equal shares of their log-probability."""
    ids, sums = torch.tensor(tokens), torch.tensor(log_probability, dtype=torch.float64)
    shares = (sums / ids.shape[2])[:, :, None].expand(ids.shape).float()
    return Hypotheses(ids, shares, sums, torch.arange(sums.numel()).view_as(sums))


def test_the_first_input_is_bos_and_then_the_last_token() -> None:
    empty = Hypotheses.empty(2, CPU)
    assert empty.last_tokens.tolist() == [[BOS_ID], [BOS_ID]]
    longer = empty.append(torch.tensor([[5], [6]]), torch.zeros(2, 1), empty.rank)
    assert longer.last_tokens.tolist() == [[5], [6]] and (longer.width, longer.length) == (1, 1)


def test_hypotheses_keep_their_rows_until_they_are_renumbered() -> None:
    before = hypotheses([[[4], [5]], [[6], [7]]], [[-1.0, -2.0], [-3.0, -4.0]])
    tokens = torch.tensor([[8, 9], [8, 9]])
    taken = before.extended(torch.tensor([[1, 1], [0, 1]]), tokens, torch.zeros(2, 2), torch.zeros(2, 2).double())
    assert taken.tokens.tolist() == [[[5, 8], [5, 9]], [[6, 8], [7, 9]]] and taken.rows.tolist() == [[1, 1], [2, 3]]
    assert taken.of_sentences([1]).rows.tolist() == [[2, 3]]
    assert taken.of_sentences([1]).renumbered().rows.tolist() == [[0, 1]]


def test_the_best_that_end_are_kept_and_ties_go_to_the_earlier() -> None:
    finished = Finished.empty(1, 2, CPU)
    finished = finished.with_ended(hypotheses([[[4, EOS_ID], [5, 6]]], [[-2.0, -1.0]]), 0.0)
    finished = finished.with_ended(hypotheses([[[4, 7, EOS_ID], [8, 7, EOS_ID], [9, 9, 9]]], [[-2.0, -1.0, -0.5]]), 0.0)
    assert finished.score.tolist() == [[-1.0, -2.0]]
    [found] = results_of(hypotheses([[[9, 9, 9, 9]]], [[-5.0]]), finished, [9], 0.0)
    assert [candidate.tokens for candidate in found] == [(8, 7), (4,)]


def test_live_hypotheses_fill_empty_places_at_the_maximum_length_only() -> None:
    live = hypotheses([[[4, 5], [6, 7], [8, 8]]], [[-3.0, -4.0, -math.inf]])
    finished = Finished.empty(1, 3, CPU).with_ended(hypotheses([[[9, EOS_ID]]], [[-8.0]]), 0.0)
    [at_limit], [before] = (results_of(live, finished, [limit], 0.0) for limit in (2, 3))
    assert [candidate.tokens for candidate in at_limit] == [(9,), (4, 5), (6, 7)]
    assert [candidate.tokens for candidate in before] == [(9,)]
