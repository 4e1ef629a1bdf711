"""The coverage penalty of Wu et al. (2016), by hand and with both engines."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import LoadedModel
from translator.config import ConfigError, DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.base import Engine
from translator.engines.coverage import coverage_penalty, uses_coverage, with_coverage
from translator.engines.torch_engine import TorchEngine

Build = Callable[..., LoadedModel]


def test_the_penalty_is_that_of_the_paper() -> None:
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.1, 0.5, 0.4]])  # two output tokens, three source tokens
    assert coverage_penalty(weights) == pytest.approx(math.log(0.6) + math.log(1.0) + math.log(0.4))
    assert coverage_penalty(torch.tensor([[1.0], [1.0]])) == 0.0  # no reward for more than one
    assert coverage_penalty(torch.zeros(0, 2)) == pytest.approx(2 * math.log(1e-9))  # finite


def test_candidates_are_ranked_by_score_and_penalty() -> None:
    first = Candidate.from_tokens([5, 2], [-0.5, -0.5], 0.0)
    second = Candidate.from_tokens([6, 2], [-0.6, -0.6], 0.0)
    cut = Candidate.from_tokens([7], [-0.1], 0.0)  # after all that are finished
    attention = {(5,): torch.tensor([[0.1, 0.9]]), (6,): torch.tensor([[0.5, 0.5]]), (7,): torch.tensor([[0.5, 0.5]])}
    request, options = Request((7, 8), 5), DecodingOptions(coverage_penalty=0.3)
    [found] = with_coverage(
        [request], [[cut, first, second]], lambda pairs, batch_tokens: [attention[pair[1]] for pair in pairs], options
    )
    assert [each.tokens for each in found] == [(6,), (5,), (7,)]
    assert found[0].score == pytest.approx(-1.2 + 0.3 * 2 * math.log(0.5))
    assert found[1].score == pytest.approx(-1.0 + 0.3 * (math.log(0.1) + math.log(0.9)))
    assert found[0].log_probability == second.log_probability


def test_the_penalty_is_that_of_a_beam_search_alone() -> None:
    assert uses_coverage(DecodingOptions(coverage_penalty=0.2))
    for changes in ({"sample": True}, {"beam_size": 1}, {"coverage_penalty": 0.0}):
        assert not uses_coverage(DecodingOptions(coverage_penalty=0.2).model_copy(update=changes))


@pytest.fixture(scope="module", params=["torch", "ctranslate2"])
def engine(request: pytest.FixtureRequest, random_model: Build, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    loaded = random_model()
    if request.param == "torch":
        return TorchEngine(loaded.model)
    pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")
    from translator.engines.ctranslate2_engine import CTranslate2Engine
    from translator.engines.ctranslate2_model import write_model

    directory = tmp_path_factory.mktemp("ctranslate2")
    write_model(loaded, directory)
    return CTranslate2Engine(directory, loaded.tokenizers, max_positions=40, compute_type="float32")


def test_engines_choose_among_the_beam_by_the_penalty(engine: Engine, random_model: Build) -> None:
    encode = random_model().tokenizers.source.encode
    requests = [Request(tuple(encode(source)), 5) for source, _ in PAIRS[:10]]
    whole = engine.search(requests, DecodingOptions(beam_size=4, num_hypotheses=4))
    chosen = engine.search(requests, DecodingOptions(beam_size=4, num_hypotheses=2, coverage_penalty=10.0))
    changed = 0
    for request, before, after in zip(requests, whole, chosen, strict=True):
        scores = []
        for candidate in before:
            [weights] = engine.cross_attention([(request.source, candidate.tokens)], 100)
            covered = [min(sum(row[place] for row in weights.tolist()), 1.0) for place in range(len(request.source))]
            scores.append(candidate.score + 10.0 * sum(math.log(each) for each in covered))
        best = sorted(range(len(before)), key=lambda number: (not before[number].is_finished, -scores[number]))[:2]
        assert [each.score for each in after] == pytest.approx([scores[number] for number in best], abs=1e-3)
        assert [each.tokens for each in after] == [before[number].tokens for number in best]
        changed += best != [0, 1]
    assert changed > 0
    greedy = DecodingOptions(beam_size=1)
    penalized = greedy.model_copy(update={"coverage_penalty": 2.0})
    assert engine.search(requests, penalized) == engine.search(requests, greedy)
    assert engine.unsupported(DecodingOptions(coverage_penalty=0.2)) == []


def test_models_without_cross_attention_refuse_the_penalty_by_name(model_directory: Path, random_model: Build) -> None:
    ensemble = Translator.load(model_directory, "cpu", ensemble=[model_directory])
    decoder_only = Translator.of(random_model(architecture="decoder_only"))
    for translator in (ensemble, decoder_only):
        with pytest.raises(DecodingError, match=r"does not support these options\. Received: coverage_penalty=0\.2\."):
            translator.translate("Le chat dort.", coverage_penalty=0.2)
    with pytest.raises(ConfigError, match="coverage_penalty"):
        ensemble.translate("Le chat dort.", coverage_penalty=-1.0)
