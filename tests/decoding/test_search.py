from __future__ import annotations

import itertools
import math

import pytest
import torch
from fake_model import FakeModel, sources_of
from torch import Tensor

from translator.decoding.distribution import log_probabilities
from translator.decoding.search import (
    STEPS_BETWEEN_LOOKS,
    Candidate,
    DecodingError,
    Sampling,
    draw,
    greedy,
    length_penalty,
    sample,
    sampling_distribution,
)
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID


def test_greedy_takes_the_likeliest_token_each_time() -> None:
    model, source = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 12))
    for ids, [candidate] in zip(source.unpack(), greedy(model, source, max_lengths=[30] * 10), strict=True):
        beginning: tuple[int, ...] = ()
        while len(beginning) < 30 and EOS_ID not in beginning:
            logits = model.logits(tuple(ids.tolist()), (BOS_ID, *beginning))
            logits[[UNK_ID, BOS_ID]] = -math.inf
            if not beginning:
                logits[EOS_ID] = -math.inf
            beginning += (int(logits.argmax()),)
        assert candidate.is_finished == (beginning[-1] == EOS_ID)
        assert candidate.tokens == tuple(token for token in beginning if token != EOS_ID)
        expected = model.token_log_probabilities(tuple(ids.tolist()), beginning)
        assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)


def test_greedy_rows_leave_the_batch_as_they_finish() -> None:
    model = FakeModel(vocab_size=20, eos_bias=4.0)
    found = greedy(model, sources_of(*range(2, 22)), max_lengths=[30] * 20)
    steps_of_each = [len(candidate.token_log_probabilities) for [candidate] in found]
    still_running = [sum(steps > step for steps in steps_of_each) for step in range(max(steps_of_each))]
    assert model.rows_stepped == still_running


def test_greedy_batch_mates_change_nothing() -> None:
    model, source = FakeModel(vocab_size=20, eos_bias=2.0), sources_of(*range(2, 12))
    together = greedy(model, source, max_lengths=range(3, 13), alpha=0.6)
    for ids, length, expected in zip(source.unpack(), range(3, 13), together, strict=True):
        assert greedy(model, Packed.from_sequences([ids]), max_lengths=[length], alpha=0.6) == [expected]


@pytest.mark.parametrize("steps", [2, 8])
def test_looking_seldom_which_texts_have_ended_changes_nothing(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """As searches do on CUDA, where a look waits for the device."""
    source, limits = sources_of(*range(2, 32)), [3 + number % 25 for number in range(30)]
    model, sampling = FakeModel(vocab_size=15, eos_bias=2.0), Sampling(seed=4)
    expected = greedy(model, source, max_lengths=limits), sample(model, source, max_lengths=limits, sampling=sampling)
    monkeypatch.setitem(STEPS_BETWEEN_LOOKS, "cpu", steps)
    found = greedy(model, source, max_lengths=limits), sample(model, source, max_lengths=limits, sampling=sampling)
    assert found == expected


def test_of_equal_tokens_greedy_takes_the_lowest_id() -> None:
    class Flat(FakeModel):
        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            return torch.zeros(self.vocab_size)

    [[candidate]] = greedy(Flat(5000), sources_of(3), max_lengths=[5])
    assert candidate.tokens == (3,)  # EOS has the lower id, but is not let in first


def test_text_cut_at_its_longest_length_is_not_finished() -> None:
    [[candidate]] = greedy(FakeModel(8, eos_bias=-99), sources_of(3), max_lengths=[4])
    assert not candidate.is_finished
    assert len(candidate.tokens) == len(candidate.token_log_probabilities) == 4


def test_no_sentences_give_no_translations() -> None:
    nothing = Packed.from_sequences([])
    assert greedy(FakeModel(8), nothing, max_lengths=[]) == []
    assert sample(FakeModel(8), nothing, max_lengths=[], sampling=Sampling()) == []


def test_the_length_penalty_is_that_of_the_paper() -> None:
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(19, 0.5) == 2.0
    assert length_penalty(1000, 0.0) == 1.0


def test_a_candidate_counts_its_end_in_score_and_length() -> None:
    candidate = Candidate.of([7, 8, EOS_ID], [-1.0, -2.0, -3.0], 1.0)
    assert candidate.tokens == (7, 8)
    assert candidate.log_probability == -6.0
    assert candidate.score == pytest.approx(-6.0 / (8 / 6))


def test_forbidden_tokens_lose_their_probability_and_the_others_keep_theirs() -> None:
    logits = torch.randn(3, 10)
    expected = logits.log_softmax(-1)
    first = log_probabilities(logits.clone(), is_first=True)
    later = log_probabilities(logits.clone(), is_first=False)
    assert torch.equal(later[:, EOS_ID:], expected[:, EOS_ID:])
    assert torch.isneginf(first[:, : EOS_ID + 1]).all() and torch.isneginf(later[:, :EOS_ID]).all()


def test_a_model_that_gives_no_numbers_is_named() -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], beginning: tuple[int, ...]) -> Tensor:
            return torch.full((self.vocab_size,), math.nan)

    with pytest.raises(DecodingError, match="A model must give finite logits"):
        greedy(Broken(8), sources_of(3), max_lengths=[5])


def test_the_same_seed_draws_the_same_text_whoever_shares_the_batch() -> None:
    model, source = FakeModel(vocab_size=30, eos_bias=1.0), sources_of(*range(2, 12))
    sampling = Sampling(temperature=1.3, seed=5)
    together = sample(model, source, max_lengths=[12] * 10, sampling=sampling, num_hypotheses=3)
    for ids, expected in zip(source.unpack(), together, strict=True):
        alone = Packed.from_sequences([ids])
        assert sample(model, alone, max_lengths=[12], sampling=sampling, num_hypotheses=3) == [expected]
    assert together != sample(model, source, max_lengths=[12] * 10, sampling=Sampling(1.3, seed=6), num_hypotheses=3)


def test_samples_of_one_sentence_differ_and_come_best_first() -> None:
    model = FakeModel(vocab_size=100, sharpness=0.5)
    [found] = sample(model, sources_of(4), max_lengths=[10], sampling=Sampling(), num_hypotheses=8, alpha=0.6)
    assert len({candidate.tokens for candidate in found}) == 8
    assert all(better.score >= worse.score for better, worse in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(temperature=0.5), [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        (Sampling(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_p=0.6), [0, 0.4, 0, 0.3]),
    ],
)
def test_the_distribution_of_a_draw_is_cut_and_sharpened(sampling: Sampling, expected: list[float]) -> None:
    log_probs = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    found, tokens = sampling_distribution(log_probs, sampling)
    if tokens is not None:
        found = torch.zeros(1, 4, dtype=found.dtype).scatter(1, tokens, found)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_next_to_no_temperature_draws_the_likeliest() -> None:
    log_probs = torch.tensor([[0.2, 0.5, 0.3]]).log()
    assert draw(log_probs, torch.tensor([0.99], dtype=torch.float64), Sampling(temperature=1e-320)).item() == 1


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.5, 0.4])
    points = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    drawn = draw(probabilities.log().expand(1000, 4), points, Sampling())
    assert drawn.bincount(minlength=4).tolist() == [100, 0, 500, 400]


def test_temperature_sharpens_the_distribution() -> None:
    probabilities = torch.tensor([0.2, 0.4, 0.4])
    points = (torch.arange(900, dtype=torch.float64) + 0.5) / 900
    drawn = draw(probabilities.log().expand(900, 3), points, Sampling(temperature=0.5))
    assert drawn.bincount(minlength=3).tolist() == [100, 400, 400]


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(top_k=2), {2, 3}),
        (Sampling(top_k=1), {3}),
        (Sampling(top_k=99), {0, 2, 3}),
        (Sampling(top_p=0.4), {3}),
        (Sampling(top_p=0.5), {3}),
        (Sampling(top_p=0.53), {2, 3}),
        (Sampling(top_k=3, top_p=0.85), {2, 3}),
        (Sampling(top_p=1e-9), {3}),
    ],
)
def test_top_k_and_top_p_leave_the_likeliest(sampling: Sampling, allowed: set[int]) -> None:
    log_probs = torch.tensor([0.1, 0.0, 0.375, 0.525]).log().expand(2000, 4)
    points = torch.rand(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    points[:2] = torch.tensor([0.0, 1 - 2**-53])
    assert set(draw(log_probs, points, sampling).tolist()) == allowed


def test_the_score_of_a_sample_is_the_models_own() -> None:
    model, source = FakeModel(vocab_size=20, eos_bias=1.0), sources_of(3)
    [[candidate]] = sample(model, source, max_lengths=[20], sampling=Sampling(temperature=3.0, top_k=5))
    tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
    expected = model.token_log_probabilities(tuple(source.values.tolist()), tokens)
    assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0 and finite. Received: 0.0."),
        ({"temperature": math.inf}, "temperature must be above 0 and finite. Received: inf."),
        ({"top_k": -1}, "top_k must be at least 1, or 0 for all tokens. Received: -1."),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1. Received: 0.0."),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1. Received: 1.5."),
    ],
)
def test_impossible_sampling_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        Sampling(**options)
