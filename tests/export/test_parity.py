"""An exported model that decodes differently is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from copy import deepcopy

import pytest
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import LoadedModel
from translator.config import DecodingOptions
from translator.engines.torch_engine import TorchEngine
from translator.export.folder import ExportError
from translator.export.parity import MAX_DIFFERENCE, Parity, compare, require_parity

Build = Callable[..., LoadedModel]
EQUAL = Parity(
    tokens=9, max_difference=0.0, mean_difference=0.0, texts=5, greedy=5, ties=0, beam=5, beam_size=3, bleu=(30.0, 30.0)
)


def compared(loaded: LoadedModel, scale: float) -> Parity:
    """Compare a model with itself after its output embedding is scaled."""
    original = Translator.of(loaded)
    other = deepcopy(loaded.model)
    other.get_parameter("target_embedding.weight").data *= scale
    return compare(original, TorchEngine(other), PAIRS[:8], has_references=True)


def first_token(loaded: LoadedModel) -> int:
    translator = Translator.of(loaded)
    request = translator.request(loaded.tokenizers.source.encode(PAIRS[0][0]), DecodingOptions())
    [[found]] = translator.engine.search([request], DecodingOptions(beam_size=1))
    return found.tokens[0]


def test_equal_models_agree_in_every_number(random_model: Build) -> None:
    parity = compared(random_model(), 1.0)
    assert (parity.greedy, parity.ties, parity.beam, parity.texts) == (5, 0, 5, 5)
    assert parity.max_difference <= MAX_DIFFERENCE and parity.bleu is not None and parity.bleu[0] == parity.bleu[1]
    require_parity(parity, is_quantized=False)


def test_a_model_that_scores_differently_is_refused(random_model: Build) -> None:
    parity = compared(random_model(), 1.01)
    assert parity.max_difference > MAX_DIFFERENCE
    with pytest.raises(ExportError, match=r"must have the same greedy translations, .*Nothing was written"):
        require_parity(parity, is_quantized=False)
    require_parity(parity, is_quantized=True)


def test_texts_that_part_at_equal_tokens_are_ties(random_model: Build) -> None:
    loaded = random_model(tied_embeddings="none")
    weight = loaded.model.get_parameter("output_embedding.weight").data
    best = first_token(loaded)
    twin = 5 if best != 5 else 6
    weight[twin] = weight[best] * (1 + 1e-7)  # as probable as the most probable first token
    other = deepcopy(loaded.model)
    rows = other.get_parameter("output_embedding.weight").data
    rows[twin] = weight[best] * (1 - 1e-7)
    parity = compare(Translator.of(loaded), TorchEngine(other), PAIRS[:8], has_references=False)
    assert (parity.greedy, parity.ties, parity.bleu) == (0, 5, None)
    require_parity(parity, is_quantized=False)


def test_texts_that_part_at_unequal_tokens_are_not_ties(random_model: Build) -> None:
    parity = compared(random_model(), -1.0)
    assert (parity.greedy, parity.ties, parity.texts) == (0, 0, 5)


@pytest.mark.parametrize(
    ("changes", "is_quantized"),
    [
        ({"greedy": 4}, False),
        ({"max_difference": 2e-4}, False),
        ({"max_difference": float("nan")}, False),
        ({"mean_difference": 0.6}, True),
        ({"mean_difference": float("nan")}, True),
    ],
)
def test_each_difference_is_refused_on_its_own(changes: dict[str, float], is_quantized: bool) -> None:
    require_parity(EQUAL, is_quantized=is_quantized)
    with pytest.raises(ExportError, match="An exported model must"):
        require_parity(dataclasses.replace(EQUAL, **changes), is_quantized=is_quantized)  # type: ignore[arg-type]


def test_texts_that_do_not_fit_the_model_are_left_out(random_model: Build) -> None:
    translator = Translator.of(random_model())
    parity = compare(translator, translator.engine, [*PAIRS[:2], ("le " * 100, "the"), ("", "")], has_references=False)
    assert parity.texts == 2
    with pytest.raises(ExportError, match=r"requires texts that fit the model, and no text"):
        compare(translator, translator.engine, [("", "")], has_references=False)
