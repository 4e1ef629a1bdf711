from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from fake_model import FakeModel, run, sources_of

from translator.config import DecodingOptions
from translator.decoding.sampling import draw, sampling_distribution
from translator.tokenizer import EOS_ID


def sampling(**options: Any) -> DecodingOptions:
    return DecodingOptions(sample=True, **options)


def test_a_seed_gives_the_same_text_in_any_batch() -> None:
    model, sources = FakeModel(vocab_size=30, eos_bias=1.0), sources_of(*range(2, 12))
    options = {"sample": True, "temperature": 1.3, "num_hypotheses": 3}
    together = run(model, sources, [12] * 10, seed=5, **options)
    for source, expected in zip(sources, together, strict=True):
        assert run(model, [source], [12], seed=5, **options) == [expected]
    assert together != run(model, sources, [12] * 10, seed=6, **options)


def test_more_samples_include_the_fewer() -> None:
    model, sources = FakeModel(vocab_size=30, eos_bias=1.0), sources_of(3, 4)
    few, many = (run(model, sources, [12] * 2, sample=True, num_hypotheses=count) for count in (2, 5))
    for some, all_found in zip(few, many, strict=True):
        assert all(candidate in all_found for candidate in some)


def test_samples_of_one_sentence_differ_and_come_best_first() -> None:
    model = FakeModel(vocab_size=100, sharpness=0.5)
    [found] = run(model, sources_of(4), [10], sample=True, num_hypotheses=8, length_penalty=0.6)
    assert len({candidate.tokens for candidate in found}) == 8
    assert all(better.score >= worse.score for better, worse in itertools.pairwise(found))


def test_samples_of_one_sentence_end_at_different_steps() -> None:
    model = FakeModel(vocab_size=10, sharpness=0.5)
    [found] = run(model, sources_of(4), [20], sample=True, num_hypotheses=20)
    assert len({len(candidate.tokens) for candidate in found}) > 3


def test_temperature_zero_is_greedy_search() -> None:
    model, sources = FakeModel(vocab_size=30, eos_bias=1.0), sources_of(*range(2, 12))
    cold = run(model, sources, [12] * 10, sample=True, temperature=0.0, beam_size=5)
    assert cold == run(model, sources, [12] * 10)
    assert cold != run(model, sources, [12] * 10, sample=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (sampling(), [0.1, 0.4, 0.2, 0.3]),
        (sampling(temperature=0.5), [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        (sampling(temperature=0), [0, 1, 0, 0]),
        (sampling(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (sampling(top_p=0.6), [0, 0.4, 0, 0.3]),
        (sampling(min_p=0.6), [0, 0.4, 0, 0.3]),
        (sampling(min_p=0.4), [0, 0.4, 0.2, 0.3]),
        (sampling(min_p=0.4, temperature=0.5), [0, 0.16 / 0.3, 0, 0.09 / 0.3]),
        (sampling(epsilon_cutoff=0.15), [0, 0.4, 0.2, 0.3]),
        (sampling(epsilon_cutoff=0.9), [0, 0.4, 0, 0]),
        (sampling(epsilon_cutoff=0.35, top_k=2), [0, 4 / 7, 0, 3 / 7]),
    ],
)
def test_sampling_options_change_the_distribution(options: DecodingOptions, expected: list[float]) -> None:
    log_probs = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    found, tokens = sampling_distribution(log_probs, options)
    if tokens is not None:
        found = torch.zeros(1, 4, dtype=found.dtype).scatter(1, tokens, found)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_temperature_close_to_zero_draws_the_most_probable() -> None:
    log_probs = torch.tensor([[0.2, 0.5, 0.3]]).log()
    assert draw(log_probs, torch.tensor([0.99], dtype=torch.float64), sampling(temperature=1e-320)).item() == 1


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.5, 0.4])
    points = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    drawn = draw(probabilities.log().expand(1000, 4), points, sampling())
    assert drawn.bincount(minlength=4).tolist() == [100, 0, 500, 400]


def test_temperature_sharpens_the_distribution() -> None:
    probabilities = torch.tensor([0.2, 0.4, 0.4])
    points = (torch.arange(900, dtype=torch.float64) + 0.5) / 900
    drawn = draw(probabilities.log().expand(900, 3), points, sampling(temperature=0.5))
    assert drawn.bincount(minlength=3).tolist() == [100, 400, 400]


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        (sampling(top_k=2), {2, 3}),
        (sampling(top_k=1), {3}),
        (sampling(top_k=99), {0, 2, 3}),
        (sampling(top_p=0.4), {3}),
        (sampling(top_p=0.5), {3}),
        (sampling(top_p=0.53), {2, 3}),
        (sampling(top_k=3, top_p=0.85), {2, 3}),
        (sampling(top_p=1e-9), {3}),
        (sampling(min_p=1.0), {3}),
        (sampling(min_p=0.5), {2, 3}),
        (sampling(epsilon_cutoff=0.2), {2, 3}),
        (sampling(epsilon_cutoff=0.99), {3}),
    ],
)
def test_truncation_keeps_the_most_probable(options: DecodingOptions, allowed: set[int]) -> None:
    log_probs = torch.tensor([0.1, 0.0, 0.375, 0.525]).log().expand(2000, 4)
    points = torch.rand(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    points[:2] = torch.tensor([0.0, 1 - 2**-53])
    assert set(draw(log_probs, points, options).tolist()) == allowed


def test_the_score_of_a_sample_is_the_models_own() -> None:
    model, [source] = FakeModel(vocab_size=20, eos_bias=1.0), sources_of(3)
    [[candidate]] = run(model, [source], [20], sample=True, temperature=3.0, top_k=5)
    tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
    expected = model.token_log_probabilities(source, tokens)
    assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-6)
