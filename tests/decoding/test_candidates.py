from __future__ import annotations

import pytest

from translator.decoding.candidates import Candidate, length_penalty
from translator.tokenizer import EOS_ID


def test_the_length_penalty_is_that_of_the_paper() -> None:
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(19, 0.5) == 2.0
    assert length_penalty(1000, 0.0) == 1.0


def test_score_and_length_of_a_candidate_include_eos() -> None:
    candidate = Candidate.from_tokens([7, 8, EOS_ID], [-1.0, -2.0, -3.0], 1.0)
    assert candidate.tokens == (7, 8)
    assert candidate.log_probability == -6.0
    assert candidate.score == pytest.approx(-6.0 / (8 / 6))


def test_a_candidate_may_be_empty() -> None:
    candidate = Candidate.from_tokens([], [], 1.0)
    assert (candidate.tokens, candidate.score, candidate.is_finished) == ((), 0.0, False)
