"""Valid and invalid combinations of objective, architecture and data."""
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from translator.config import ConfigError, parse_sources, validate

ENCODER, DECODER = {"architecture": "encoder_only"}, {"architecture": "decoder_only"}
TEXTS = {"train": {"phrasebook": "train", "text_column": "en"}}
PAIRS = {"source_language": "fr", "target_language": "en", "train": {"phrasebook": "train"}}
LABELLED = {"train": {"sentiment": "train"}, "labels": ["negative", "positive"]}


def values(objective: str, data: dict[str, Any], **sections: Any) -> dict[str, Any]:
    training = {"objective": objective} | sections.pop("training", {})
    return {"output": "run", "data": data, "training": training} | sections


GOOD = [
    values("translation", PAIRS, model=DECODER),
    values("language_modeling", TEXTS, model=DECODER),
    values("masked_language_modeling", TEXTS, model=ENCODER, tokenizer={"sentinels": 1}),
    values("classification", LABELLED, model=ENCODER, training={"metric": "accuracy"}, data_valid=None),
    values("denoising", TEXTS, tokenizer={"sentinels": 16}),
]
GOOD[3]["data"] = LABELLED | {"valid": {"sentiment": "valid"}}
GOOD[3].pop("data_valid")


@pytest.mark.parametrize("good", GOOD, ids=[each["training"]["objective"] for each in GOOD])
def test_each_objective_has_its_architecture_and_its_data(good: dict[str, Any]) -> None:
    config = validate(good, "my.yaml")
    assert config.form == {"translation": "pairs", "classification": "labelled"}.get(config.training.objective, "texts")


WRONG = [
    (values("translation", PAIRS, model=ENCODER), "translation requires model.architecture: encoder_decoder or decoder_only. Received: encoder_only."),
    (values("language_modeling", TEXTS), "language_modeling requires model.architecture: decoder_only. Received: encoder_decoder."),
    (values("classification", LABELLED, model=DECODER), "classification requires model.architecture: encoder_only."),
    (values("denoising", TEXTS), r"denoising requires sentinels. Received: tokenizer.sentinels=0. Set it to 32."),
    (values("masked_language_modeling", TEXTS, model=ENCODER), "Received: tokenizer.sentinels=0. Set it to 1."),
    (values("translation", TEXTS), "data.source_language: required for translation, and missing."),
    (values("translation", PAIRS, model=DECODER, tokenizer={"joint": False}), "decoder_only with training.objective: translation requires one vocabulary"),
    (values("denoising", TEXTS, tokenizer={"joint": False, "sentinels": 3}), "denoising requires one vocabulary"),
    (values("classification", LABELLED | {"labels": ["x"]}, model=ENCODER), r"two or more different data.labels. Received: \('x',\)."),
    (values("classification", LABELLED | {"labels": ["x", "x"]}, model=ENCODER), "two or more different data.labels"),
    (values("translation", PAIRS | {"labels": ["x", "y"]}), "data.labels require training.objective: classification. Received: translation."),
    (values("language_modeling", TEXTS | {"augmentation": {"lowercase": 0.1}}, model=DECODER), "data.augmentation requires training.objective: translation or classification."),
    (values("language_modeling", PAIRS | {"train": {"phrasebook": "train", "source_column": "fr"}}, model=DECODER), "data.train.0: source_column is not used for texts."),
    (values("translation", PAIRS | {"valid": {"phrasebook": "valid", "text_column": "fr"}}), "data.valid.0: text_column is not used for pairs."),
    (values("translation", PAIRS | {"train": {"sentiment": "train"}}), "sentiment holds texts and labels, not translations."),
    (values("language_modeling", {"train": {"text": {"source": "a", "target": "b"}}}, model=DECODER), "text has two aligned files with translations, not texts."),
    (values("classification", LABELLED | {"train": {"file": "a.tsv", "text_column": ["a", "b"]}}, model=ENCODER), "labelled text must have one text_column"),
    (values("translation", PAIRS, training={"metric": "accuracy"}), "metric: accuracy requires objective: classification. Received: translation."),
    (values("language_modeling", TEXTS, model=DECODER, training={"metric": "bleu"}), "metric: bleu requires objective: translation."),
    (values("classification", LABELLED, model=ENCODER, training={"metric": "accuracy", "valid_decode_examples": 0}), "metric: accuracy requires valid_decode_examples above 0."),
    (values("translation", PAIRS, training={"corruption": {"share": 0.3}}), "corruption requires objective: denoising or masked_language_modeling. Received: translation."),
    (values("masked_language_modeling", TEXTS, model=ENCODER, training={"corruption": {"method": "tokens"}}), "uses corruption.share only."),
    (values("denoising", TEXTS, training={"corruption": {"permute_sentences": True}}), "permute_sentences requires method: tokens"),
    (values("language_modeling", TEXTS, model=DECODER | {"source_vectors": "a.vec"}), "source_vectors and target_vectors require architecture: encoder_decoder."),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "expected"), WRONG)
def test_an_impossible_combination_is_refused(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        validate(wrong, "my.yaml")


def test_all_invalid_combinations_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(values("masked_language_modeling", PAIRS | {"labels": ["a", "b"]}), "my.yaml")
    for part in ("requires model.architecture: encoder_only", "tokenizer.sentinels=0", "data.labels require"):
        assert part in str(caught.value)


def test_a_test_set_must_have_the_form_that_the_model_reads() -> None:
    assert parse_sources("{sentiment: test}", "labelled")[0].sentiment == "test"
    with pytest.raises(ConfigError, match="--test: sentiment holds texts and labels"):
        parse_sources("{sentiment: test}")
