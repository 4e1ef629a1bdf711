from __future__ import annotations

from pathlib import Path

import pytest

from translator import Translator
from translator.decoding.errors import DecodingError


@pytest.fixture(scope="module")
def translator(model_directory: Path) -> Translator:
    return Translator.load(model_directory, device="cpu")


def test_alternatives_go_on_differently_after_the_prefix(translator: Translator) -> None:
    found = translator.alternatives("Le chat dort.", "The red", num_hypotheses=3, beam_size=3)
    prefix = translator.tokenizers.target.pieces(translator.tokenizers.target.encode("The red"))
    assert len(found.hypotheses) == 3
    assert all(list(hypothesis.tokens[: len(prefix)]) == prefix for hypothesis in found.hypotheses)
    assert len({hypothesis.tokens[len(prefix) : len(prefix) + 1] for hypothesis in found.hypotheses}) == 3
    assert [each.score for each in found.hypotheses] == sorted((each.score for each in found.hypotheses), reverse=True)
    assert translator.alternatives("", "The red").text == ""


def test_the_first_tokens_of_alternatives_are_the_most_probable(translator: Translator) -> None:
    found = translator.alternatives("oui", num_hypotheses=3, beam_size=3)
    first = {hypothesis.tokens[0]: hypothesis.token_log_probabilities[0] for hypothesis in found.hypotheses}
    wide = translator.alternatives("oui", num_hypotheses=8, beam_size=8)
    values = sorted((hypothesis.token_log_probabilities[0] for hypothesis in wide.hypotheses), reverse=True)
    assert sorted(first.values(), reverse=True) == pytest.approx(values[:3], abs=1e-5)


def test_a_text_too_long_for_alternatives_is_refused(translator: Translator) -> None:
    with pytest.raises(
        DecodingError, match=r"A text with alternatives must have at most 30 tokens\. Received: \d+ tok"
    ):
        translator.alternatives("le chat " * 40)
