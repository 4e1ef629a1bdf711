"""Greedy search."""

from __future__ import annotations

import math

import pytest
import torch
from fake_model import FakeModel, run, sources_of
from torch import Tensor

from translator.decoding.search import STEPS_BETWEEN_CHECKS
from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID


def test_greedy_takes_the_most_probable_token_in_each_step() -> None:
    model, sources = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 12))
    for source, [candidate] in zip(sources, run(model, sources, [30] * 10), strict=True):
        prefix: tuple[int, ...] = ()
        while len(prefix) < 30 and EOS_ID not in prefix:
            logits = model.logits((*source, EOS_ID), (BOS_ID, *prefix))
            logits[[UNK_ID, BOS_ID]] = -math.inf
            if not prefix:
                logits[EOS_ID] = -math.inf
            prefix += (int(logits.argmax()),)
        assert candidate.is_finished == (prefix[-1] == EOS_ID)
        assert candidate.tokens == tuple(token for token in prefix if token != EOS_ID)
        expected = model.token_log_probabilities(source, prefix)
        assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)


def test_rows_leave_the_batch_as_they_finish() -> None:
    model = FakeModel(vocab_size=20, eos_bias=4.0)
    found = run(model, sources_of(*range(2, 22)), [30] * 20)
    steps_of_each = [len(candidate.token_log_probabilities) for [candidate] in found]
    still_running = [sum(steps > step for steps in steps_of_each) for step in range(max(steps_of_each))]
    assert model.rows_stepped == still_running


def test_other_sentences_in_the_batch_change_nothing() -> None:
    model, sources = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 12))
    together = run(model, sources, range(3, 13), length_penalty=0.6)
    for source, length, expected in zip(sources, range(3, 13), together, strict=True):
        assert run(model, [source], [length], length_penalty=0.6) == [expected]


@pytest.mark.parametrize("steps", [2, 8])
def test_the_number_of_steps_between_checks_changes_nothing(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """On CUDA, where a check synchronizes, several steps run between two checks."""
    sources, limits = sources_of(*range(2, 32)), [3 + number % 25 for number in range(30)]
    model = FakeModel(vocab_size=15, eos_bias=2.0)
    ways = [{"length_penalty": 0.0}, {"length_penalty": 2.0}, {"sample": True, "seed": 4, "num_hypotheses": 2}]
    expected = [run(model, sources, limits, **way) for way in ways]
    monkeypatch.setitem(STEPS_BETWEEN_CHECKS, "cpu", steps)
    assert [run(model, sources, limits, **way) for way in ways] == expected


def test_ties_go_to_the_lowest_id() -> None:
    class Flat(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            return torch.zeros(self.vocab_size)

    [[candidate]] = run(Flat(5000), sources_of(3), [5])
    assert candidate.tokens == (3,)  # EOS has a lower id, but may not come first


def test_a_sequence_at_its_maximum_length_is_not_finished() -> None:
    [[candidate]] = run(FakeModel(8, eos_bias=-99), sources_of(3), [4])
    assert not candidate.is_finished
    assert len(candidate.tokens) == len(candidate.token_log_probabilities) == 4
