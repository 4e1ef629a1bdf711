"""Decoding with CTranslate2 gives what the torch engine gives, and says where it cannot."""

from __future__ import annotations

import json
import logging
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from translator.tokenizer import EOS_ID, Tokenizers

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


def test_each_text_has_its_own_minimum_length(random_model: Build, tokenizers: Tokenizers, tmp_path: Path) -> None:
    """The model prefers to end at once."""
    loaded = random_model(output_bias=True)
    loaded.model.output_bias.data[EOS_ID] += 20
    write_model(loaded, tmp_path)
    engines = (
        TorchEngine(loaded.model),
        CTranslate2Engine(tmp_path, tokenizers, max_positions=40, compute_type="float32"),
    )
    sources = [request.source for request in requests_of(tokenizers)]
    requests = [Request(source, 8, 2 * number) for number, source in enumerate(sources[:6])]
    ours, theirs = (engine.search(requests, DecodingOptions(beam_size=1)) for engine in engines)
    assert [len(each.tokens) for [each] in ours][:4] == [1, 2, 4, 6]
    assert [(each.tokens, each.is_finished) for [each] in ours] == [
        (each.tokens, each.is_finished) for [each] in theirs
    ]
    assert all(len(each.tokens) >= min(request.min_length, 8) for request, [each] in zip(requests, theirs, strict=True))


@pytest.mark.parametrize("options", [DecodingOptions(beam_size=1), DecodingOptions(beam_size=4, num_hypotheses=3)])
def test_texts_with_prefixes_are_those_of_the_torch_engine(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers, options: DecodingOptions
) -> None:
    prefixes = [tokenizers.target.encode(target)[:number] for number, (_, target) in enumerate(PAIRS)]
    requests = [
        replace(request, prefix=tuple(prefix), min_length=number % 2 * (len(prefix) + 1))
        for number, (request, prefix) in enumerate(zip(requests_of(tokenizers), prefixes, strict=True))
        if len(prefix) < request.max_length
    ]
    assert len({len(request.prefix) for request in requests}) > 4
    ours, theirs = (engine.search(requests, options) for engine in engines)
    same = 0
    for request, expected, found in zip(requests, ours, theirs, strict=True):
        assert all(each.tokens[: len(request.prefix)] == request.prefix for each in found)
        assert [alone.tokens for alone in engines[1].search([request], options)[0]] == [each.tokens for each in found]
        if [each.tokens for each in found] == [each.tokens for each in expected]:
            same += 1
            for mine, other in zip(expected, found, strict=True):
                assert other.is_finished == mine.is_finished
                if request.prefix:  # both are the model's own log-probabilities
                    assert other.token_log_probabilities == pytest.approx(mine.token_log_probabilities, abs=1e-4)
                    assert other.score == pytest.approx(mine.score, abs=1e-4)
    assert same >= 0.8 * len(requests)


def test_a_prefix_that_fills_all_but_one_position_is_kept(engines: tuple[TorchEngine, CTranslate2Engine]) -> None:
    request = Request((5, 6, 7), 9, prefix=(20, 21, 22, 23, 24, 25, 26, 27))
    for options in (DecodingOptions(beam_size=1), DecodingOptions(beam_size=3, num_hypotheses=3)):
        [found] = engines[1].search([request], options)
        [expected] = engines[0].search([request], options)
        assert [each.tokens for each in found] == [each.tokens for each in expected]


SAMPLING = [{"temperature": 0.5}, {"top_k": 4}, {"top_p": 0.3}, {"temperature": 1.5, "top_k": 20, "top_p": 0.6}]


@pytest.mark.parametrize("changes", SAMPLING, ids=str)
def test_samples_have_the_distribution_of_the_torch_engine(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers, changes: dict[str, float]
) -> None:
    count = 1000
    options = DecodingOptions.model_validate({"sample": True, "num_hypotheses": count} | changes)
    request = Request(requests_of(tokenizers)[0].source, 1)  # one token, which cannot be EOS
    ours, theirs = (
        Counter(each.tokens[0] for each in engine.search([request], options)[0] if each.tokens) for engine in engines
    )
    assert sum(theirs.values()) == count
    n, m = sum(ours.values()), sum(theirs.values())
    distance = sum(abs(ours[token] / n - theirs[token] / m) for token in ours | theirs) / 2
    expected = sum(
        math.sqrt((ours[token] + theirs[token]) / (n + m) * (1 / n + 1 / m)) for token in ours | theirs
    ) / math.sqrt(2 * math.pi)  # mean distance of two samples of one distribution, by the normal approximation
    assert distance < 1.5 * expected


def test_a_sample_depends_on_the_seed_and_its_text_alone(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    requests = requests_of(tokenizers)[:5]
    options = DecodingOptions(sample=True, num_hypotheses=3, seed=7)
    together = engines[1].search(requests, options)
    for request, found in zip(reversed(requests), reversed(together), strict=True):
        [alone] = engines[1].search([request], options)
        assert [each.tokens for each in alone] == [each.tokens for each in found]
    other = engines[1].search(requests, options.model_copy(update={"seed": -1}))
    assert all(a[0].tokens != b[0].tokens for a, b in zip(together, other, strict=True))
    assert len({found[0].tokens for found in together}) == len(requests)


def test_samples_have_the_log_probabilities_of_the_model(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    requests = [*requests_of(tokenizers)[:3], Request((5, 6), 6, prefix=(30, 31))]
    options = DecodingOptions(sample=True, temperature=2, top_k=50, num_hypotheses=4)
    for request, found in zip(requests, engines[1].search(requests, options), strict=True):
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
        for each, values in zip(
            found, engines[0].score([(request.source, each.tokens) for each in found], 400), strict=True
        ):
            assert each.tokens[: len(request.prefix)] == request.prefix
            length = len(each.tokens) + each.is_finished
            assert each.token_log_probabilities == pytest.approx(values[:length], abs=1e-4)
            assert each.log_probability == pytest.approx(sum(values[:length]), abs=1e-3)


def test_attention_does_not_depend_on_the_batch(
    engines: tuple[TorchEngine, CTranslate2Engine], tokenizers: Tokenizers
) -> None:
    pairs = [(tokenizers.source.encode(source), tokenizers.target.encode(target)[:39]) for source, target in PAIRS]
    pairs.append((pairs[0][0], []))
    for batch_tokens in (1, 60, 4096):
        for pair, found in zip(pairs, engines[1].cross_attention(pairs, batch_tokens), strict=True):
            [expected] = engines[0].cross_attention([pair], 4096)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert engines[1].cross_attention([], 4096) == []


def test_a_request_with_more_than_a_source_lengths_and_a_prefix_is_refused(
    engines: tuple[TorchEngine, CTranslate2Engine],
) -> None:
    @dataclass(frozen=True)
    class Richer(Request):
        style: str = "formal"

    with pytest.raises(DecodingError, match=r"max_length, min_length and prefix\. Received: .*style='formal'"):
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
    rule = NoRepeatedNgram(n)
    limits, written = rule.start([request], torch.device("cpu")), torch.tensor([tokens], dtype=torch.int64)
    for place, token in enumerate(tokens):
        forbidden = rule.forbidden(limits, written[:, :place])
        if forbidden is not None and token in forbidden[0].tolist():
            return True
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
    assert engines[1].unsupported(DecodingOptions(sample=True, temperature=2, top_k=5, top_p=0.5, seed=3)) == []
    assert engines[1].unsupported(DecodingOptions(alignment=True, mbr_candidates=4)) == []
    refused = DecodingOptions(
        sample=True, min_p=0.1, epsilon_cutoff=0.01, num_beam_groups=5, diversity_penalty=1, repetition_penalty=2
    )
    names = ["num_beam_groups", "diversity_penalty", "repetition_penalty", "min_p", "epsilon_cutoff"]
    assert engines[1].unsupported(refused) == names


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
