from __future__ import annotations

import math
from typing import Any

import pytest
from fake_model import FakeModel, assert_same, run, sources_of

from translator.decoding.ensemble import Ensemble
from translator.tokenizer import EOS_ID

WAYS: list[dict[str, Any]] = [
    {"beam_size": 1},
    {"beam_size": 4, "num_hypotheses": 3},
    {"sample": True, "num_hypotheses": 2},
]


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_are_the_mean_over_the_members(way: dict[str, Any]) -> None:
    members, sources = [FakeModel(12, eos_bias=1.0), FakeModel(12, sharpness=1.0)], sources_of(2, 3, 4, 6)
    found = run(Ensemble(members), sources, [8] * 4, **way)
    for source, candidates in zip(sources, found, strict=True):
        for candidate in candidates:
            tokens = (*candidate.tokens, EOS_ID) if candidate.is_finished else candidate.tokens
            values = [member.token_log_probabilities(source, tokens) for member in members]
            expected = [log_mean_of(pair) for pair in zip(*values, strict=True)]
            assert candidate.token_log_probabilities == pytest.approx(expected, abs=1e-5)


def log_mean_of(values: tuple[float, ...]) -> float:
    return math.log(sum(map(math.exp, values)) / len(values))


@pytest.mark.parametrize("way", WAYS)
def test_an_ensemble_of_equal_models_is_the_model(way: dict[str, Any]) -> None:
    sources = sources_of(2, 3, 4, 6)
    together = run(Ensemble([FakeModel(12), FakeModel(12)]), sources, [8] * 4, **way)
    alone = run(FakeModel(12), sources, [8] * 4, **way)
    for left, right in zip(together, alone, strict=True):
        for mine, other in zip(left, right, strict=True):
            assert_same(mine, other)
