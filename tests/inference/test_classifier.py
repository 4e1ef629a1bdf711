"""A classifier's labels: each text by itself, nothing cut in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from variations import LABELS, write_model

from translator.decoding.errors import DecodingError
from translator.inference.classifier import Classifier
from translator.inference.generator import Generator
from translator.inference.translator import Translator
from translator.tokenizer import Tokenizers

TEXTS = ["Le chat dort.", "", "Où est la gare ?", "Nous avons mangé du pain et des œufs.", "Le chat dort."]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def classifier(home: Path, tokenizers: Tokenizers) -> Classifier:
    return Classifier.load(write_model(home / "classifier", "classification", tokenizers), "cpu")


def test_each_text_is_judged_by_itself(classifier: Classifier) -> None:
    together = classifier.classify(TEXTS)
    for text, found in zip(TEXTS, together, strict=True):
        alone = classifier.classify(text, batch_tokens=1)
        assert alone.label == found.label
        assert alone.probabilities == pytest.approx(found.probabilities, abs=1e-5)
        if text:
            assert list(found.probabilities) == list(LABELS)
            assert sum(found.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
            assert found.probability == max(found.probabilities.values())
    assert (together[1].label, together[1].probability, together[1].flags) == ("", 0.0, ("empty",))


def test_a_long_text_is_judged_by_all_of_its_parts(classifier: Classifier) -> None:
    parts = ["Le chat dort sur le canapé. ", "Nous avons mangé du pain et des œufs. "]
    found = classifier.classify("".join(parts) * 6)
    assert found.flags == ("split",)
    lengths = [len(classifier.tokenizer.encode(part)) for part in parts]
    single = [classifier.classify(part.strip()).probabilities for part in parts]
    for label in LABELS:
        mean = sum(n * each[label] for n, each in zip(lengths, single, strict=True)) / sum(lengths)
        assert found.probabilities[label] == pytest.approx(mean, abs=1e-5)


def test_bytes_that_are_no_text_are_replaced_and_flagged(classifier: Classifier) -> None:
    found = classifier.classify("Le chat\udcff dort.")
    assert found.source == "Le chat\ufffd dort." and found.flags == ("invalid_bytes",)


def test_damaged_weights_are_named(classifier: Classifier) -> None:
    weight = classifier.model.encoder.layers[0].feed_forward.inner_projection.weight
    kept = weight.data.clone()
    weight.data.fill_(torch.nan)
    try:
        with pytest.raises(DecodingError, match="A model must give finite logits"):
            classifier.classify("Le chat dort.")
    finally:
        weight.data.copy_(kept)


@pytest.mark.parametrize(
    ("kind", "objective", "advice"),
    [
        (Translator, "classification", "Run `translator classify"),
        (
            Translator,
            "language_modeling",
            r"\(decoder_only\), trained for language_modeling\. Run `translator generate",
        ),
        (Classifier, "translation", "must be trained for classification.*Run `translator translate"),
        (Generator, "translation", "Run `translator translate"),
        (Translator, "masked_language_modeling", "pre-trained: train another model with training.start_from: "),
    ],
)
def test_a_model_for_something_else_is_refused_with_advice(
    home: Path, tokenizers: Tokenizers, kind: Any, objective: str, advice: str
) -> None:
    path = home / objective
    if not path.exists():
        write_model(path, objective, tokenizers)
    with pytest.raises(DecodingError, match=advice):
        kind.load(path, "cpu")


def test_a_decoder_only_model_translates_independently_of_the_batch_with_every_search(
    home: Path, tokenizers: Tokenizers
) -> None:
    translator = Translator.load(write_model(home / "lm", "translation", tokenizers), "cpu")
    texts = [text for text in TEXTS if text] + ["Le chat dort sur le canapé. " * 8]
    for options in ({"beam_size": 1}, {"beam_size": 3, "num_hypotheses": 3}):
        together = translator.translate(texts, **options)
        assert [found.text for found in together] == [translator.translate(text, **options).text for text in texts]
    assert "split" in together[-1].flags
    best = translator.translate(texts[1], beam_size=3).hypotheses[0]
    ids = tokenizers.source.encode(texts[1])
    assert len(ids) + len(best.tokens) + 2 <= translator.engine.max_positions
    scores = translator.score([(texts[1], "Where is the station?"), ("Le chat. " * 12, "oui " * 12)])
    assert scores[0].log_probability < 0 and scores[1].flags == ("too_long",)
