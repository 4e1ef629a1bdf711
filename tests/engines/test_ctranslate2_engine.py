"""Decoding with CTranslate2 gives what the torch engine gives, and says where it cannot."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from sentences import PAIRS

from translator.checkpoint import LoadedModel
from translator.config import DecodingOptions, TokenizerConfig
from translator.decoding.constraints import NoRepeatedNgram
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.ctranslate2_engine import CTranslate2Engine, repeats_too_much
from translator.engines.ctranslate2_model import write_model
from translator.engines.torch_engine import TorchEngine
from translator.tokenizer import Tokenizers

Build = Callable[..., LoadedModel]

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")


@pytest.fixture(scope="module")
def engines(random_model: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[TorchEngine, CTranslate2Engine]:
    loaded, directory = random_model(), tmp_path_factory.mktemp("ctranslate2")
    write_model(loaded, directory)
    engine = CTranslate2Engine(directory, loaded.tokenizers, max_positions=40, compute_type="float32", threads=2)
    return TorchEngine(loaded.model), engine


def requests_of(tokenizers: Tokenizers, max_length: int = 12) -> list[Request]:
    return [Request(tuple(tokenizers.source.encode(source)), max_length) for source, _ in PAIRS]


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_beam_search_finds_the_same_texts_with_the_same_scores(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers, alpha: float
) -> None:
    options = DecodingOptions(beam_size=4, length_penalty=alpha)
    ours, theirs = (engine.search(requests_of(tokenizers), options) for engine in engines)
    same = [(a, b) for [a], [b] in zip(ours, theirs, strict=True) if a.tokens == b.tokens]
    assert len(same) >= 0.9 * len(ours)
    for mine, other in same:
        assert other.log_probability == pytest.approx(mine.log_probability, abs=0.05)
        assert other.score == pytest.approx(mine.score, abs=0.05)
        assert other.is_finished == mine.is_finished


def test_each_text_keeps_to_its_own_maximum_length(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    requests = [Request(request.source, 1 + number) for number, request in enumerate(requests_of(tokenizers))]
    together = engines[1].search(requests, DecodingOptions(beam_size=3, num_hypotheses=2))
    for request, candidates in zip(requests, together, strict=True):
        assert all(len(each.tokens) + each.is_finished <= request.max_length for each in candidates)
        [alone] = engines[1].search([request], DecodingOptions(beam_size=3, num_hypotheses=2))
        assert [each.tokens for each in alone] == [each.tokens for each in candidates]


def test_each_text_has_its_own_minimum_length(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    sources = [request.source for request in requests_of(tokenizers)]
    requests = [Request(source, 8, 2 * number) for number, source in enumerate(sources[:6])]
    ours, theirs = (engine.search(requests, DecodingOptions(beam_size=1)) for engine in engines)
    assert [(each.tokens, each.is_finished) for [each] in ours] == [
        (each.tokens, each.is_finished) for [each] in theirs
    ]
    assert all(len(each.tokens) >= min(request.min_length, 8) for request, [each] in zip(requests, theirs, strict=True))


def test_a_request_with_more_than_a_source_and_lengths_is_refused(
    engines: tuple[TorchEngine, CTranslate2Engine],
) -> None:
    @dataclass(frozen=True)
    class Richer(Request):
        style: str = "formal"

    with pytest.raises(DecodingError, match=r"serves a source, max_length and min_length\. Received: .*style='formal'"):
        engines[1].search([Richer((5,), 3)], DecodingOptions())


def test_finished_candidates_come_first_and_as_many_as_asked_for(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    for found in engines[1].search(requests_of(tokenizers), DecodingOptions(beam_size=4, num_hypotheses=3)):
        assert len(found) == 3
        keys = [(not each.is_finished, -each.score) for each in found]
        assert keys == sorted(keys)


def test_repetitive_texts_are_decoded_again_and_this_is_said_once(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers, caplog: pytest.LogCaptureFixture
) -> None:
    requests, n = requests_of(tokenizers, 30), 2
    free = engines[1].search(requests, DecodingOptions(beam_size=1))
    for _ in range(2):
        guarded = engines[1].search(requests, DecodingOptions(beam_size=1, no_repeat_ngram=n))
    changed = 0
    for [before], [after] in zip(free, guarded, strict=True):
        pairs = list(zip(after.tokens, after.tokens[1:], strict=False))
        if before.tokens != after.tokens:
            changed += 1
            assert len(set(pairs)) == len(pairs)
    assert changed
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "no_repeat_ngram is approximate: CTranslate2 decodes repetitive text without any repetition."
    ]


def breaks_rule(tokens: list[int], request: Request, n: int) -> bool:
    rule, cpu = NoRepeatedNgram(n), torch.device("cpu")
    state = rule.start([request], cpu)
    for token in tokens:
        forbidden = rule.forbidden(state)
        if forbidden is not None and token in forbidden[0].tolist():
            return True
        state = rule.advance(state, torch.tensor([token]))
    return False


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_no_text_breaks_the_rule_of_the_torch_engine(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers, n: int
) -> None:
    requests = requests_of(tokenizers, 35)
    for options in (DecodingOptions(beam_size=1), DecodingOptions(beam_size=3, num_hypotheses=2)):
        free = engines[1].search(requests, options)
        guarded = engines[1].search(requests, options.model_copy(update={"no_repeat_ngram": n}))
        breaking = [
            [breaks_rule(list(each.tokens), request, n) for request, each in zip(requests, column, strict=True)]
            for column in ([best for best, *_ in free], [best for best, *_ in guarded])
        ]
        assert any(breaking[0]) and not any(breaking[1])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 13])
def test_texts_to_decode_again_are_those_that_break_the_rule_of_the_torch_engine(n: int) -> None:
    generator, found = random.Random(1), Counter[bool]()
    for _ in range(100):
        texts = [[generator.randint(3, 5)] * generator.randint(1, 5) for _ in range(2)]
        period = [generator.randint(3, 30) for _ in range(generator.randint(1, 6))]
        tokens = [*texts[0], *period * generator.randint(1, 5), *texts[1]]
        request = Request(tuple(tokens if generator.random() < 0.2 else period), 100)
        expected = breaks_rule(tokens, request, n)
        assert repeats_too_much(tokens, request, n) == expected, tokens
        found[expected] += 1
    assert min(found[True], found[False]) > 3


def test_scores_of_empty_sides_are_those_of_torch(engines: tuple[TorchEngine, CTranslate2Engine]) -> None:
    pairs = [((), ()), ((), (5, 6)), ((7, 8), ()), ((9,) * 39, (4,) * 39)]
    for ours, theirs in zip(*(engine.score(pairs, 100) for engine in engines), strict=True):
        assert theirs == pytest.approx(ours, abs=1e-4)


def test_options_that_it_does_not_have_are_named(engines: tuple[TorchEngine, CTranslate2Engine]) -> None:
    assert engines[1].unsupported(DecodingOptions(beam_size=2, no_repeat_ngram=3, fold_capitals=True)) == []
    assert engines[1].unsupported(DecodingOptions(sample=True, temperature=0)) == []
    assert engines[1].unsupported(DecodingOptions(sample=True)) == ["sample"]


def test_a_directory_with_another_vocabulary_or_a_missing_file_is_refused(
    random_model: Build, tmp_path: Path, tokenizers: Tokenizers
) -> None:
    write_model(random_model(), tmp_path)
    other = Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=320), seed=1)
    with pytest.raises(DecodingError, match=r"shared_vocabulary.json is not the vocabulary of the tokenizer beside it"):
        CTranslate2Engine(tmp_path, other, max_positions=40)
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(DecodingError, match=r"requires a complete model .*CTranslate2 says: "):
        CTranslate2Engine(tmp_path, tokenizers, max_positions=40)
    (tmp_path / "shared_vocabulary.json").unlink()
    with pytest.raises(DecodingError, match=r"source_vocabulary.json cannot be read"):
        CTranslate2Engine(tmp_path, tokenizers, max_positions=40)


def test_an_unknown_data_type_is_refused(random_model: Build, tmp_path: Path, tokenizers: Tokenizers) -> None:
    write_model(random_model(), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["add_source_eos"] is True
    with pytest.raises(DecodingError, match=r"CTranslate2 says: .*int3"):
        CTranslate2Engine(tmp_path, tokenizers, max_positions=40, compute_type="int3")
