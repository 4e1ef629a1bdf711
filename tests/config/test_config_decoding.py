"""Decoding options: one definition for YAML, keyword arguments and command-line flags."""

from __future__ import annotations

import argparse
import re
from typing import Any, get_type_hints

import pytest

from translator.cli.options import add_decoding, decoding_changes
from translator.config import ConfigError, DecodingChanges, DecodingOptions, change_decoding
from translator.config.decoding import DecodingConfig
from translator.config.section import describe_fields


def test_keyword_arguments_are_the_fields_of_the_section() -> None:
    fields = {name: field.annotation for name, field in DecodingOptions.model_fields.items()}
    assert get_type_hints(DecodingChanges) == {name: kind | None for name, kind in fields.items()}


def test_every_field_has_a_description() -> None:
    descriptions = describe_fields(DecodingOptions)
    assert list(descriptions) == list(DecodingOptions.model_fields)
    assert descriptions["beam_size"] == "number of hypotheses kept; 1 is greedy search"
    assert "\n" not in descriptions["split_sentences"] and descriptions["split_sentences"].endswith("is split")


def test_the_section_has_options_and_a_precision_that_a_call_cannot_change() -> None:
    assert DecodingConfig.model_fields.keys() - DecodingOptions.model_fields.keys() == {"precision"}
    assert describe_fields(DecodingConfig).keys() == {"precision"}
    configured = DecodingConfig(beam_size=3, precision="int8")
    assert change_decoding(configured, {"min_length": 2}) == DecodingOptions(beam_size=3, min_length=2)
    with pytest.raises(ConfigError, match="precision"):
        change_decoding(configured, {"precision": "float32"})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize("name", DecodingOptions.model_fields)
def test_every_field_is_a_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_decoding(parser, [name])
    flag = f"--{name.replace('_', '-')}"
    is_bool = isinstance(getattr(DecodingOptions(), name), bool) or name == "sample"
    value: Any = True if is_bool else 0.5 if isinstance(getattr(DecodingOptions(), name), float) else 3
    given = decoding_changes(parser.parse_args([flag] if is_bool else [flag, str(value)]))
    assert given == {name: value}
    assert decoding_changes(parser.parse_args([])) == {}
    if is_bool:
        assert decoding_changes(parser.parse_args([f"--no-{flag[2:]}"])) == {name: False}
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    assert describe_fields(DecodingOptions)[name].split()[0] in capsys.readouterr().out


def test_changes_replace_what_is_configured_and_none_changes_nothing() -> None:
    configured = DecodingOptions(beam_size=3, length_penalty=1.0, fold_capitals=True)
    changed = change_decoding(configured, {"beam_size": 7, "length_penalty": None, "fold_capitals": False})
    assert (changed.beam_size, changed.length_penalty, changed.fold_capitals) == (7, 1.0, False)
    assert change_decoding(configured, {}) == configured


def test_a_beam_size_turns_sampling_off() -> None:
    configured = DecodingOptions(sample=True, temperature=0.7, num_hypotheses=2)
    assert configured.is_random and change_decoding(configured, {"temperature": 0.5}).is_random
    assert not change_decoding(configured, {"beam_size": 4}).is_random
    assert not change_decoding(configured, {"temperature": 0.0, "num_hypotheses": 1}).is_random


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam_size": 0}, "beam_size: must be greater than 0. Received: 0."),
        ({"beam_size": 1025}, "beam_size: must be less than or equal to 1024. Received: 1025."),
        ({"beam_size": True}, "beam_size: must be a number. Received: true."),
        ({"num_hypotheses": 0}, "num_hypotheses: must be greater than 0. Received: 0."),
        ({"beam_size": 1, "num_hypotheses": 2}, "num_hypotheses=2, beam_size=1. Raise beam_size."),
        ({"beam_size": 1, "num_beam_groups": 2}, "Received: beam_size=1, num_beam_groups=2. Change one of them."),
        ({"diversity_penalty": -1.0}, "diversity_penalty: must be greater than or equal to 0. Received: -1.0."),
        ({"diversity_penalty": 1.0}, "diversity_penalty: only groups of a beam use this. Set num_beam_groups above 1."),
        ({"sample": True, "num_beam_groups": 2}, "num_beam_groups: only beam search uses this. Set beam_size, or"),
        ({"sample": True, "diversity_penalty": 1.0}, "diversity_penalty: only beam search uses this. Set beam_size"),
        ({"beam_size": 4, "mbr_candidates": 8}, "Received: mbr_candidates=8, beam_size=4. Raise beam_size."),
        ({"num_hypotheses": 3, "mbr_candidates": 2}, "num_hypotheses=3, mbr_candidates=2. Raise mbr_candidates."),
        ({"sample": True, "temperature": 0.0, "mbr_candidates": 2}, "requires a temperature above 0 for sampling"),
        ({"length_penalty": -1.0}, "length_penalty: must be greater than or equal to 0. Received: -1.0."),
        ({"length_penalty": 1e300}, "length_penalty: must be less than or equal to 10. Received: 1e+300."),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram: must be greater than or equal to 0. Received: -1."),
        ({"max_length_factor": 0.0}, "max_length_factor: must be greater than 0. Received: 0.0."),
        ({"batch_tokens": 0}, "batch_tokens: must be greater than 0. Received: 0."),
        ({"sample": True, "beam_size": 2}, "beam_size and sample are mutually exclusive. Pass only one."),
        ({"top_k": 2, "beam_size": 2}, "beam_size and top_k are mutually exclusive. Pass only one."),
        ({"top_k": 2, "seed": 3}, "top_k, seed: only sampling uses this. Set sample: true (--sample)."),
        ({"sample": True, "temperature": -0.1}, "temperature: must be greater than or equal to 0. Received: -0.1."),
        ({"sample": True, "temperature": float("inf")}, "temperature: must be a finite number. Received: inf."),
        ({"sample": True, "temperature": 0, "num_hypotheses": 2}, "temperature: 0 is greedy search and gives one"),
        ({"sample": True, "top_k": -1}, "top_k: must be greater than or equal to 0. Received: -1."),
        ({"sample": True, "top_p": 0.0}, "top_p: must be greater than 0. Received: 0.0."),
        ({"sample": True, "min_p": 1.5}, "min_p: must be less than or equal to 1. Received: 1.5."),
        ({"sample": True, "epsilon_cutoff": 1.0}, "epsilon_cutoff: must be less than 1. Received: 1.0."),
        ({"min_p": 0.1}, "min_p: only sampling uses this. Set sample: true (--sample)."),
        ({"sample": True, "top_p": 1.5}, "top_p: must be less than or equal to 1. Received: 1.5."),
        ({"beam_siz": 3}, "beam_siz: no such key. Did you mean 'beam_size'?"),
        ({"beam_size": 0, "top_p": None, "batch_tokens": 0}, "beam_size: must be greater than 0. Received: 0. batch_"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_used_is_an_error(changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        change_decoding(DecodingOptions(), changes)
