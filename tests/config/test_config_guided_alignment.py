"""Guided alignment in configurations: what it requires, and what is refused without it."""

from __future__ import annotations

from typing import Any

import pytest
from pages import blocks

from translator.config import Config, ConfigError, validate
from translator.config.parsing import parse_yaml


def configuration(source: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """A valid configuration with guided alignment, and some values of its sections replaced."""
    values: dict[str, Any] = {
        "output": "runs/test",
        "data": {"source_language": "fr", "target_language": "en", "train": source or {"phrasebook": "train"}},
        "model": {"alignment_head": 1},
        "training": {"guided_alignment_weight": 0.1},
    }
    for name, changes in sections.items():
        values[name] = values[name] | changes
    return values


def read(source: dict[str, Any] | None = None, **sections: Any) -> Config:
    return validate(configuration(source, **sections), "my.yaml")


@pytest.mark.parametrize(
    "source",
    [
        {"phrasebook": "train"},
        {"file": "a.tsv", "alignment_column": "links", "alignment_split": "spaces"},
        {"file": "a.tsv", "alignment_column": "links", "streaming": True},
        {"text": {"source": "a.fr", "target": "a.en", "alignment": "a.align"}, "alignment_split": "spaces"},
        [{"file": "a.tsv"}, {"file": "b.tsv", "alignment_column": "links"}],
    ],
)
def test_training_data_are_aligned_and_held_out_data_are_pairs(source: Any) -> None:
    config = read(source, data={"valid": {"file": "valid.tsv"}})
    assert (config.train_form, config.form) == ("aligned", "pairs")


def test_the_configuration_in_the_documentation_is_valid() -> None:
    (block,) = (text for text in blocks("docs/training.md", "yaml") if "guided" in text)
    config = validate({"output": "run", **parse_yaml(block, "docs/training.md")}, "docs/training.md")
    assert [source.has_alignment for source in config.data.train] == [True, True, True, False]


def test_a_run_that_starts_from_a_model_need_not_name_the_head_to_train() -> None:
    values = configuration(training={"start_from": "runs/earlier"})
    del values["model"]
    assert not validate(values, "my.yaml").model.names_alignment
    assert read().model.names_alignment


def test_without_a_weight_the_alignments_of_the_embedded_corpus_are_not_read() -> None:
    assert read(training={"guided_alignment_weight": 0}).train_form == "pairs"


_ALIGNED = {"file": "a.tsv", "alignment_column": "links"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            configuration({"file": "a.tsv"}),
            "training.guided_alignment_weight requires a source in data.train with word alignments, and none has them. "
            "Set alignment_column or text.alignment.",
        ),
        (
            configuration(model={"alignment_head": None}),
            "training.guided_alignment_weight requires model.alignment_head, the head to train. "
            "Set model.alignment_head=1.",
        ),
        (
            configuration(model={"architecture": "decoder_only", "alignment_head": None}),
            "training.guided_alignment_weight requires cross-attention, training.objective: translation and "
            "model.architecture: encoder_decoder. Received: translation, decoder_only.",
        ),
        (
            configuration(model={"alignment_head": None}, training={"start_from": "runs/earlier"}),
            "training.guided_alignment_weight requires model.alignment_head, the head to train.",
        ),
        (
            configuration(training={"compile": True}),
            "guided_alignment_weight requires compile: false. Received: compile: true. Compiled code has the shapes",
        ),
        (
            configuration(training={"guided_alignment_weight": -1}),
            "training.guided_alignment_weight: must be greater than or equal to 0. Received: -1.",
        ),
        (
            configuration(_ALIGNED, training={"guided_alignment_weight": 0}),
            "data.train.0: alignment_column is read only from data.train, with training.guided_alignment_weight "
            "above 0. Remove it, or set the weight.",
        ),
        (
            configuration(data={"valid": {"text": {"source": "a", "target": "b", "alignment": "c"}}}),
            "data.valid.0: text.alignment is read only from data.train, with",
        ),
        (
            configuration(data={"valid": _ALIGNED}),
            "data.valid.0: alignment_column is read only from data.train, with",
        ),
        (
            configuration([{"file": "b.tsv", "alignment_split": "spaces"}, _ALIGNED]),
            "data.train.0: alignment_split requires alignment_column or text.alignment. Remove it.",
        ),
        (
            configuration({"text": {"source": "a", "target": "b"}, "alignment_column": "links"}),
            "alignment_column requires a source with named columns. Received: text. Set text.alignment to a file.",
        ),
    ],
)
def test_what_guided_alignment_cannot_use_is_refused_with_what_to_do(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(wrong, "my.yaml")
    assert expected in str(caught.value)
