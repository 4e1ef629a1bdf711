from __future__ import annotations

import dataclasses
import math
import random
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from translator import Hypothesis, Translation, Translator
from translator.checkpoint import load_model, point, weights_of, write_checkpoint
from translator.config import ConfigError, DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines import base, torch_engine
from translator.engines.hardware import set_threads
from translator.engines.scoring import token_log_probabilities
from translator.inference.mbr import expected_utilities
from translator.model.int8 import Int8Linear, int8_obstacle
from translator.tokenizer import EOS_ID

SENTENCES = [
    "Le chat dort.",
    "Où est la gare ? Je n'ai pas vu l'homme.",
    "",
    "« Bonjour ! »",
    "Nous avons mangé du pain et des œufs.",
    "oui",
    "Le chat dort.",
]
STRANGE = [
    "   ",
    "\t",
    "\u2028",
    "\u00a0",
    "\u200b",
    "a\rb\nc\u2028d\u2029e\x0bf\x0cg\x85h\x1ci",
    "\0",
    "😀🎉👩‍👩‍👧",
    "مرحبا بالعالم",
    "你好，世界。",
    "x" * 50_000,
    "è" * 3_000,
    "👍" * 500,
    "a\u0301" * 500,
    "Bonjour. " * 300,
    "\ud800 abc \udfff",
    "▁ ▁",
    "<s> </s> <unk> <0x0A>",
    "﷽" * 30,
]


@pytest.fixture(scope="module")
def translator(model_directory: Path) -> Translator:
    return Translator.load(model_directory, device="cpu")


@pytest.mark.parametrize(
    "precision",
    [
        "bfloat16",
        pytest.param(
            "int8",
            marks=pytest.mark.skipif(
                int8_obstacle() is not None, reason="int8 matrix products require an x86 processor"
            ),
        ),
    ],
)
def test_a_model_in_a_narrow_precision_translates_with_scores_close_to_float32(
    model_directory: Path, translator: Translator, precision: str
) -> None:
    narrow = Translator.load(model_directory, device="cpu", precision=precision)
    if precision == "bfloat16":
        assert {parameter.dtype for parameter in narrow.engine.model.parameters()} == {torch.bfloat16}
    exact = translator.score([(text, "The cat is sleeping.") for text in SENTENCES])
    near = narrow.score([(text, "The cat is sleeping.") for text in SENTENCES])
    for mine, right in zip(near, exact, strict=True):
        assert mine.log_probability != right.log_probability
        assert mine.log_probability == pytest.approx(right.log_probability, rel=0.02)
    for options in ({"beam_size": 1}, {"beam_size": 3}, {"sample": True}):
        assert len(narrow.translate(SENTENCES, max_length_factor=0.5, **options)) == len(SENTENCES)


@pytest.mark.skipif(int8_obstacle() is not None, reason="int8 matrix products require an x86 processor")
def test_the_configuration_of_a_model_chooses_its_precision(model_directory: Path, tmp_path: Path) -> None:
    home = tmp_path / "model"
    shutil.copytree(model_directory, home)
    config = home / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert text.count("precision: float32\n") == 2  # of training and decoding
    config.write_text("precision: int8".join(text.rsplit("precision: float32", 1)), encoding="utf-8")

    def is_int8(precision: str | None) -> bool:
        modules = Translator.load(home, device="cpu", precision=precision).engine.model.modules()
        return any(isinstance(module, Int8Linear) for module in modules)

    assert is_int8(None)
    assert not is_int8("float32")
    assert Translator.load(home, device="cpu").translate("Oui.", beam_size=2, max_length_factor=0.5)


def test_a_call_cannot_change_the_precision(translator: Translator) -> None:
    with pytest.raises(ConfigError, match="precision"):
        translator.translate("Oui.", precision="int8")


def test_an_unknown_precision_is_refused(model_directory: Path) -> None:
    with pytest.raises(DecodingError, match=r"precision must be float32, bfloat16 or int8\. Received: 'float16'"):
        Translator.load(model_directory, device="cpu", precision="float16")


def text_and_numbers(translation: Translation) -> list[tuple[str, float]]:
    return [(hypothesis.text, pytest.approx(hypothesis.score, abs=1e-5)) for hypothesis in translation.hypotheses]


def test_one_text_gives_one_translation_and_a_list_gives_a_list(translator: Translator) -> None:
    one = translator.translate("Le chat dort.")
    assert isinstance(one, Translation) and isinstance(one.hypotheses[0], Hypothesis)
    assert one.text == one.hypotheses[0].text and one.score == one.hypotheses[0].score
    assert one.tokens == one.hypotheses[0].tokens and one.text
    assert translator.translate([]) == []
    [same] = translator.translate(["Le chat dort."])
    assert same == one


@pytest.mark.parametrize("options", [{}, {"beam_size": 1}, {"sample": True, "temperature": 1.5, "seed": 4}])
def test_other_texts_of_a_call_do_not_change_a_translation(translator: Translator, options: dict[str, object]) -> None:
    texts = SENTENCES * 3
    random.Random(1).shuffle(texts)
    together = translator.translate(texts, batch_tokens=4096, **options)
    for text, translation in zip(texts, together, strict=True):
        alone = translator.translate(text, **options)
        assert alone.text == translation.text
        assert alone.score == pytest.approx(translation.score, abs=1e-5)
    for batch_tokens in (1, 30, 100):
        again = translator.translate(texts, batch_tokens=batch_tokens, **options)
        assert [translation.text for translation in again] == [translation.text for translation in together]


def test_threads_do_not_change_a_translation(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_MIN_TOKENS_PER_THREAD", 1)
    texts = [" ".join(["la", "maison", "rouge"][: number % 4]) + " oui" * number for number in range(12)]
    alone = translator.translate(texts, num_hypotheses=2)
    set_threads(3)
    together = translator.translate(texts, num_hypotheses=2)
    set_threads(1)
    assert [text_and_numbers(each) for each in together] == [text_and_numbers(each) for each in alone]


def test_translations_come_in_the_order_of_their_texts(translator: Translator) -> None:
    texts = [f"Le chat {'très ' * (number % 5)}dort {number}." for number in range(40)]
    assert [translation.source for translation in translator.translate(texts, beam_size=1)] == texts


@pytest.mark.parametrize("text", ["", " ", "\t \u00a0", "\u2028", "\n", "\u200b"])
def test_nothing_to_translate_gives_nothing_without_running_the_model(translator: Translator, text: str) -> None:
    class NoEngine:
        max_positions, shares_positions, serves_terms = 40, False, False

        def unsupported(self, options: DecodingOptions) -> list[str]:
            return []

        def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
            assert not requests
            return []

    idle = Translator(NoEngine(), translator.tokenizers)
    translation = idle.translate(text, num_hypotheses=2)
    assert (translation.text, translation.score, translation.flags) == ("", 0.0, ("empty",))


@pytest.mark.parametrize("beam_size", [1, 2])
def test_strange_texts_get_one_line_each(translator: Translator, beam_size: int) -> None:
    for translation in translator.translate(STRANGE, beam_size=beam_size):
        assert not re.search("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\0]", translation.text)
        assert len(translation.text.splitlines()) <= 1


def test_long_text_is_split_and_nothing_is_dropped(translator: Translator) -> None:
    sentences = ["Le chat dort sur le canapé.", "Où est la gare ?", "Nous avons mangé du pain."]
    translation = translator.translate(" ".join(sentences))
    assert "split" in translation.flags
    parts = translator.translate(sentences)
    assert translation.text == " ".join(part.text for part in parts)
    assert translation.score == pytest.approx(sum(part.score for part in parts), abs=1e-5)
    assert translation.tokens == sum((part.tokens for part in parts), ())


def test_the_longest_text_that_fits_is_not_split(translator: Translator) -> None:
    word, texts = "oui ", []
    while len(translator.tokenizers.source.encode(word * len(texts))) <= translator.longest_source:
        texts.append((word * (len(texts) + 1)).strip())
    flags = [translation.flags for translation in translator.translate(texts, beam_size=1)]
    assert not any("split" in found for found in flags[:-1])
    assert "split" in flags[-1]


def test_parts_have_n_best_lists_of_their_own(translator: Translator) -> None:
    sentences = ["Le chat dort sur le canapé.", "Où est la gare ?", "Nous avons mangé du pain."]
    translation = translator.translate(" ".join(sentences), num_hypotheses=3)
    parts = translator.translate(sentences, num_hypotheses=3)
    assert [hypothesis.text for hypothesis in translation.hypotheses] == [
        " ".join(part.hypotheses[number].text for part in parts) for number in range(3)
    ]
    assert list(translation.hypotheses) == sorted(translation.hypotheses, key=lambda hypothesis: -hypothesis.score)


def test_output_that_runs_into_its_greatest_length_is_flagged(translator: Translator) -> None:
    translation = translator.translate("Le chat dort.", beam_size=1, max_length_factor=0.01)
    assert translation.flags == ("truncated",)
    assert len(translation.tokens) == 11


def test_no_output_needs_more_positions_than_the_model_has(translator: Translator) -> None:
    texts = ["oui " * count for count in range(1, 30)]
    translations = translator.translate(texts, max_length_factor=100.0)
    lengths = [len(translation.tokens) for translation in translations if "split" not in translation.flags]
    assert max(lengths) == translator.engine.max_positions  # some have no end of their own


def test_a_minimum_length_is_kept_unless_the_maximum_is_less(translator: Translator) -> None:
    options: dict[str, Any] = {"sample": True, "temperature": 3.0, "num_hypotheses": 40}
    text = "Nous avons mangé du pain."
    free, longer = (translator.translate(text, min_length=length, **options).hypotheses for length in (0, 20))
    assert min(len(hypothesis.tokens) for hypothesis in free) < 20
    assert min(len(hypothesis.tokens) for hypothesis in longer) >= 20
    [cut] = translator.translate(["oui"], max_length_factor=0.01, min_length=1000)
    assert len(cut.tokens) == 11 and cut.flags == ("truncated",)


def test_a_translation_begins_with_its_prefix(translator: Translator) -> None:
    texts, prefixes = ["Le chat dort.", "Où est la gare ?", "Le chat dort."], ["The red", "", "Where is"]
    found = translator.translate(texts, target_prefix=prefixes, num_hypotheses=2)
    for translation, prefix in zip(found, prefixes, strict=True):
        assert all(hypothesis.text.startswith(prefix) for hypothesis in translation.hypotheses)
    assert text_and_numbers(found[1]) == text_and_numbers(translator.translate(texts[1], num_hypotheses=2))
    assert translator.translate(texts[2], target_prefix=prefixes[2]).text == found[2].text


def test_the_sentences_of_a_prefix_go_to_the_sentences_of_the_text(translator: Translator) -> None:
    text, options = "Le chat dort. La maison est rouge. Où est la gare ?", {"split_sentences": True, "beam_size": 1}
    parts = [("Le chat dort.", "The cat."), ("La maison est rouge.", "A"), ("Où est la gare ?", "")]
    expected = [translator.translate(part, target_prefix=prefix, **options).text for part, prefix in parts]
    assert translator.translate(text, target_prefix="The cat. A", **options).text == " ".join(expected)
    last = translator.translate("Le chat. Il dort.", target_prefix="The. It. Is.", **options)
    assert last.text.startswith("The.") and "It. Is." in last.text


def test_prefixes_that_do_not_fit_are_refused(translator: Translator) -> None:
    with pytest.raises(DecodingError, match=r"one prefix for each text\. Received: 1 prefixes, 2 texts"):
        translator.translate(["oui", "non"], target_prefix=["yes"])
    with pytest.raises(DecodingError, match=r"target_prefix must have at most 39 tokens\. Received: \d+ tokens, 'the"):
        translator.translate("oui", target_prefix="the cat " * 40)
    with pytest.raises(DecodingError, match=r"A text must be a str\. Received: int"):
        translator.translate(["oui"], target_prefix=[3])


def test_invalid_text_is_replaced_and_flagged(translator: Translator) -> None:
    text = b"caf\xe9 noir".decode("utf-8", "surrogateescape")
    translation = translator.translate(text)
    assert translation.flags[0] == "invalid_bytes"
    assert translation.source == "caf\ufffd noir"
    assert text_and_numbers(translator.translate("caf\ufffd noir")) == text_and_numbers(translation)


def test_more_hypotheses_begin_with_the_fewer(translator: Translator) -> None:
    one, three = (translator.translate("Le chat dort.", num_hypotheses=count) for count in (1, 3))
    assert len(three.hypotheses) == 3
    assert three.hypotheses[0] == one.hypotheses[0]
    assert len({hypothesis.tokens for hypothesis in three.hypotheses}) == 3


class FixedEngine:
    """An engine that always finds the same token sequences, in this order."""

    max_positions, shares_positions, serves_terms = 40, False, False

    def __init__(self, found: Sequence[Sequence[int]]) -> None:
        self.found = found
        self.num_hypotheses: list[int] = []

    def unsupported(self, options: DecodingOptions) -> list[str]:
        return []

    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        self.num_hypotheses += [options.num_hypotheses] * len(requests)
        values = [[-1.0 - place] * (len(tokens) + 1) for place, tokens in enumerate(self.found)]
        candidates = [
            Candidate.from_tokens([*tokens, EOS_ID], each, 0.6) for tokens, each in zip(self.found, values, strict=True)
        ]
        return [candidates[: options.num_hypotheses] for _ in requests]

    def score(self, pairs: Any, batch_tokens: int) -> Any:
        raise NotImplementedError


def test_no_two_texts_of_an_n_best_list_are_equal(translator: Translator) -> None:
    target = translator.tokenizers.target
    cat, sofa = target.encode("The cat"), target.encode("the sofa")
    letters = next(ids for seed in range(99) if (ids := target.sample("The cat", 0.1, seed)) != cat)
    assert target.decode(letters) == target.decode(cat)
    engine = FixedEngine([cat, letters, sofa, [*sofa, *cat]])
    found = Translator(engine, translator.tokenizers).translate("oui", beam_size=4, num_hypotheses=2)
    assert [hypothesis.text for hypothesis in found.hypotheses] == [target.decode(cat), target.decode(sofa)]
    assert engine.num_hypotheses == [2, 4]  # searched again, for the place of the equal text
    sampled = Translator(engine, translator.tokenizers).translate("oui", sample=True, num_hypotheses=2)
    assert len(sampled.hypotheses) == 2  # samples keep their frequencies


def test_the_log_probability_of_a_translation_is_the_score_of_the_pair(translator: Translator) -> None:
    sources = [text for text in SENTENCES if text]
    translations = translator.translate(sources, beam_size=2)
    # Text may be cut into pieces in more than one way: compare where encoding gives back what was decoded.
    target = translator.tokenizers.target
    pairs = [
        (source, translation)
        for source, translation in zip(sources, translations, strict=True)
        if tuple(target.pieces(target.encode(translation.text))) == translation.tokens and not translation.flags
    ]
    scores = translator.score([(source, translation.text) for source, translation in pairs])
    for (_, translation), score in zip(pairs, scores, strict=True):
        assert score.tokens == translation.tokens
        assert float(score) == pytest.approx(translation.hypotheses[0].log_probability, abs=1e-4)
        assert score.token_log_probabilities == pytest.approx(
            translation.hypotheses[0].token_log_probabilities, abs=1e-4
        )


def test_score_reads_capitals_and_sentences_as_translate_does(translator: Translator) -> None:
    decoding = translator.decoding.model_copy(update={"fold_capitals": True, "split_sentences": True})
    reading = Translator(translator.engine, translator.tokenizers, decoding)
    target = "The cat sleeps. She eats!"
    first, second = reading.score([("Le chat dort.", "The cat sleeps."), ("Elle mange !", "She eats!")])
    both, capitals, uneven = reading.score(
        [("Le chat dort. Elle mange !", target), ("LE CHAT DORT.", "The cat sleeps."), ("Le chat dort. Oui !", "Yes")]
    )
    assert both.token_log_probabilities == pytest.approx(
        first.token_log_probabilities + second.token_log_probabilities, abs=1e-4
    )
    assert both.tokens == first.tokens + second.tokens and both.flags == ("sentences",)
    assert float(capitals) == pytest.approx(float(first), abs=1e-4) and capitals.flags == ("capitals",)
    [whole] = translator.score([("Le chat dort. Oui !", "Yes")])
    assert float(uneven) == pytest.approx(float(whole), abs=1e-4) and uneven.flags == ()


def test_text_too_long_to_score_whole_is_scored_in_parts(translator: Translator) -> None:
    source, target = "Le chat dort sur le canapé.", "The cat sleeps."
    one, many = translator.score([(source, target), (f"{source} " * 5, f"{target} " * 5)])
    assert float(many) == pytest.approx(5 * float(one), abs=1e-3) and many.flags == ("split",)


def test_a_translation_in_parts_gets_the_score_that_it_was_found_with(translator: Translator) -> None:
    target = translator.tokenizers.target
    sources = [("LE CHAT DORT. ELLE MANGE !"), ("Où est la gare ?"), ("Le chat dort. Elle mange !")]
    parts = [tuple(target.encode(text)) for text in ("The cat sleeps.", "She eats!")]

    class Fixed(torch_engine.TorchEngine):
        """Finds the same translations for all sources, with the model's own scores."""

        def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
            pairs = [(request.source, parts[number % 2]) for number, request in enumerate(requests)]
            values = self.score(pairs, options.batch_tokens)
            return [
                [Candidate.from_tokens([*ids, EOS_ID], each, 0.6)] for (_, ids), each in zip(pairs, values, strict=True)
            ]

    decoding = translator.decoding.model_copy(update={"fold_capitals": True, "split_sentences": True})
    reading = Translator(Fixed(translator.engine.model), translator.tokenizers, decoding)
    for translation in [reading.translate(source) for source in sources]:
        [score] = reading.score([(translation.source, translation.text)])
        assert float(score) == pytest.approx(translation.hypotheses[0].log_probability, abs=1e-4)
        assert score.tokens == translation.tokens


@pytest.mark.parametrize("beam_size", [1, 3])
def test_decoding_with_a_cache_gives_the_probabilities_of_one_forward_pass(
    translator: Translator, beam_size: int
) -> None:
    every_piece = translator.tokenizers.target.pieces(range(translator.tokenizers.target.vocab_size))
    for translation in translator.translate(SENTENCES, beam_size=beam_size, max_length_factor=0.5):
        if not {"split", "empty"}.intersection(translation.flags):
            ids = translator.tokenizers.source.encode(translation.source)
            tokens = [every_piece.index(piece) for piece in translation.tokens]
            [expected] = token_log_probabilities(translator.engine.model, [ids], [tokens], torch.device("cpu"))
            found = translation.hypotheses[0].token_log_probabilities
            assert found == pytest.approx(expected[: len(found)], abs=1e-4)


def test_a_score_does_not_depend_on_the_batch(translator: Translator) -> None:
    pairs = [(text, text[::-1]) for text in SENTENCES]
    together = translator.score(pairs)
    for batch_tokens in (1, 40):
        for left, right in zip(translator.score(pairs, batch_tokens=batch_tokens), together, strict=True):
            assert float(left) == pytest.approx(float(right), abs=1e-4)
    assert len(together[0].token_log_probabilities) == len(together[0].tokens) + 1
    assert all(math.isclose(float(score), sum(score.token_log_probabilities)) for score in together)


def test_a_pair_that_is_too_long_has_no_score_and_says_so(translator: Translator) -> None:
    short, left, right = translator.score([("a", "b"), ("a " * 99, "b"), ("a", "b " * 99)])
    assert not short.flags and left.flags == right.flags == ("too_long",)
    assert math.isnan(float(left)) and math.isnan(float(right))


def test_a_pair_with_invalid_text_is_flagged(translator: Translator) -> None:
    valid, source, target = translator.score([("oui", "yes"), ("\udcff", "yes"), ("oui", "\udcff")])
    assert not valid.flags and source.flags == target.flags == ("invalid_bytes",)
    assert source.token_log_probabilities == translator.score([("\ufffd", "yes")])[0].token_log_probabilities


def test_no_pairs_have_no_scores(translator: Translator) -> None:
    assert translator.score([]) == []


def test_defaults_come_from_the_models_configuration(translator: Translator) -> None:
    assert translator.decoding.beam_size == 3
    greedy = Translator(
        translator.engine, translator.tokenizers, translator.decoding.model_copy(update={"beam_size": 1})
    )
    assert greedy.translate("Le chat dort.") == translator.translate("Le chat dort.", beam_size=1)


@pytest.mark.parametrize("options", [{"beam_size": 1}, {}, {"sample": True, "temperature": 0.1}])
def test_no_ngram_is_repeated_where_it_is_asked_for(translator: Translator, options: dict[str, Any]) -> None:
    def repeated(found: Translation) -> list[tuple[str, ...]]:
        triples = Counter(zip(found.tokens, found.tokens[1:], found.tokens[2:], strict=False))
        return [triple for triple, times in triples.items() if times > 1]

    text = "Le chat dort."
    assert repeated(translator.translate(text, **options))
    asked = translator.translate(text, no_repeat_ngram=3, **options)
    assert not repeated(asked)
    decoding = translator.decoding.model_copy(update={"no_repeat_ngram": 3})
    configured = Translator(translator.engine, translator.tokenizers, decoding)
    assert configured.translate(text, **options) == asked
    assert repeated(configured.translate(text, no_repeat_ngram=0, **options))


def test_sampling_depends_on_its_seed_alone(translator: Translator) -> None:
    draws = [translator.translate("Le chat dort.", sample=True, temperature=2.0, seed=seed).text for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    many = translator.translate("Le chat dort.", sample=True, temperature=2.0, num_hypotheses=6)
    assert len({hypothesis.text for hypothesis in many.hypotheses}) == 6


def test_options_are_checked_as_the_configuration_is(translator: Translator) -> None:
    with pytest.raises(ConfigError, match=r"beam_size: must be greater than 0\. Received: 0\."):
        translator.translate("oui", beam_size=0)
    with pytest.raises(ConfigError, match=r"batch_tokens: must be greater than 0\. Received: 0\."):
        translator.score([("oui", "yes")], batch_tokens=0)


def test_an_option_that_the_engine_does_not_support_is_an_error(translator: Translator) -> None:
    class NoSampling(torch_engine.TorchEngine):
        def unsupported(self, options: DecodingOptions) -> list[str]:
            return ["temperature", "top_k"] if options.sample else []

    plain = Translator(NoSampling(translator.engine.model), translator.tokenizers)
    assert plain.translate("oui").text
    with pytest.raises(DecodingError, match=r"NoSampling does not .* Received: temperature=0\.5, top_k=0\."):
        plain.translate("oui", sample=True, temperature=0.5)


def test_equal_requests_are_searched_once(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Request] = []
    search = translator.engine.search

    def record(requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        searched.extend(requests)
        return search(requests, options)

    monkeypatch.setattr(translator.engine, "search", record)
    found = translator.translate(["oui", "Le chat dort.", "oui"])
    assert len(searched) == 2 and found[0] == found[2]


def test_numbers_beyond_what_a_text_reaches_change_nothing(translator: Translator) -> None:
    text = "Le chat dort."
    assert translator.translate(text, max_length_factor=1e308) == translator.translate(text, max_length_factor=1e3)
    assert translator.translate(text, no_repeat_ngram=10**18) == translator.translate(text, no_repeat_ngram=1000)


def test_what_is_no_text_is_refused(translator: Translator) -> None:
    with pytest.raises(DecodingError, match=r"A text must be a str. Received: bytes, as text 1"):
        translator.translate(["oui", b"non"])
    with pytest.raises(DecodingError, match=r"A text must be a str. Received: NoneType, as text 0"):
        translator.translate(None)


@pytest.mark.parametrize(
    "pair", [("oui",), ("oui", "yes", "yeah"), ("oui", None), "ab", 3, {"oui": "yes", "non": "no"}]
)
def test_what_is_no_pair_of_texts_is_refused(translator: Translator, pair: Any) -> None:
    with pytest.raises(DecodingError, match=r"A pair must be two texts, source and target\. Received: .*, as pair 1\."):
        translator.score([("oui", "yes"), pair])


def test_texts_and_pairs_may_come_one_by_one(translator: Translator) -> None:
    assert translator.translate(text for text in SENTENCES) == translator.translate(SENTENCES)
    pairs = [(text, text[::-1]) for text in SENTENCES]
    assert translator.score(zip(*zip(*pairs, strict=True), strict=True)) == translator.score(pairs)


def test_results_cannot_be_changed(translator: Translator) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        translator.translate("oui").flags = ()


def test_samples_of_one_text_may_end_at_different_steps(model_directory: Path) -> None:
    translator = Translator.load(model_directory, "cpu")
    options: dict[str, Any] = {"sample": True, "temperature": 5.0, "seed": 2}
    hypotheses = translator.translate("Le chat dort.", num_hypotheses=40, **options).hypotheses
    assert len({len(hypothesis.tokens) for hypothesis in hypotheses}) > 1
    alone = [h.text for h in translator.translate("Le chat dort.", num_hypotheses=1, **options).hypotheses]
    assert alone[0] in [hypothesis.text for hypothesis in hypotheses]


def test_folding_capitals_is_an_option_and_says_so(translator: Translator) -> None:
    folding = Translator(
        translator.engine, translator.tokenizers, translator.decoding.model_copy(update={"fold_capitals": True})
    )
    shouted, calm = folding.translate(["LE CHAT DORT.", "Le chat dort."])
    assert shouted.text == calm.text and shouted.source == "LE CHAT DORT."
    assert shouted.flags == ("capitals", *calm.flags)
    assert "capitals" not in translator.translate("LE CHAT DORT.").flags
    long = folding.translate("LE CHAT DORT. " * 400)
    assert {"capitals", "split"} <= set(long.flags) and long.source.startswith("LE CHAT")


def test_sentences_are_translated_one_by_one_where_that_is_asked_for(translator: Translator) -> None:
    splitting = Translator(
        translator.engine, translator.tokenizers, translator.decoding.model_copy(update={"split_sentences": True})
    )
    both, first, second = splitting.translate(["Le chat dort. M. Petit mange !", "Le chat dort.", "M. Petit mange !"])
    assert both.text == f"{first.text} {second.text}"
    assert "sentences" in both.flags and "sentences" not in (*first.flags, *second.flags)
    assert "sentences" not in translator.translate("Le chat dort. M. Petit mange !").flags


@pytest.mark.parametrize("options", [{"sample": True, "seed": 3}, {"beam_size": 8}])
def test_minimum_bayes_risk_chooses_the_text_most_similar_to_all(
    translator: Translator, options: dict[str, Any]
) -> None:
    texts = ["Le chat dort.", "Où est la gare ?", ""]
    chosen = translator.translate(texts, mbr_candidates=8, num_hypotheses=2, **options)
    every = translator.translate(texts, num_hypotheses=8, **options)
    for translation, candidates in zip(chosen[:2], every[:2], strict=True):
        found = [hypothesis.text for hypothesis in candidates.hypotheses]
        probabilities = [math.exp(hypothesis.log_probability) for hypothesis in candidates.hypotheses]
        weights = [1.0] * len(found) if "sample" in options else probabilities
        utilities = dict(zip(found, expected_utilities(found, weights), strict=True))
        ranked = sorted(utilities, key=lambda text: -utilities[text])
        assert [hypothesis.text for hypothesis in translation.hypotheses] == ranked[:2]
    assert chosen[2].text == ""


@pytest.fixture
def other_model(model_directory: Path, tmp_path: Path) -> Path:
    """A model with the same vocabulary and other weights."""
    found = load_model(model_directory)
    for parameter in found.model.parameters():
        parameter.data.mul_(0.7)
    shutil.copy(model_directory / "config.yaml", tmp_path)
    found.tokenizers.save(tmp_path)
    point(tmp_path, "best", write_checkpoint(tmp_path, "step-1", weights_of(found.model), found.tokenizers))
    return tmp_path


def test_an_ensemble_averages_the_probabilities_of_its_models(model_directory: Path, other_model: Path) -> None:
    pairs = [(text, "The cat is sleeping.") for text in ("Le chat dort.", "oui")]
    alone = [Translator.load(path, "cpu").score(pairs) for path in (model_directory, other_model)]
    together = Translator.load(model_directory, "cpu", ensemble=[other_model])
    for found, first, second in zip(together.score(pairs), *alone, strict=True):
        values = zip(first.token_log_probabilities, second.token_log_probabilities, strict=True)
        expected = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in values]
        assert found.token_log_probabilities == pytest.approx(expected, abs=1e-5)
    [translation] = together.translate(["Le chat dort."], beam_size=3, max_length_factor=0.5)
    [score] = together.score([("Le chat dort.", translation.text)])
    if score.tokens == translation.tokens:
        count = len(translation.hypotheses[0].token_log_probabilities)
        assert score.token_log_probabilities[:count] == pytest.approx(
            translation.hypotheses[0].token_log_probabilities, abs=1e-4
        )


def test_models_that_cannot_predict_together_are_refused(model_directory: Path) -> None:
    with pytest.raises(DecodingError, match=r"same source vocabulary\. Received: .*\(330 pieces\) and .*fr-en"):
        Translator.load(model_directory, "cpu", ensemble=["fr-en"])
    with pytest.raises(DecodingError, match=r"An ensemble requires engine: torch\. Received: engine: ctranslate2"):
        Translator.load(model_directory, "cpu", ensemble=[model_directory], engine="ctranslate2")
