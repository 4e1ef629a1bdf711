"""YAML: types, limits, and hostile or damaged documents."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from translator.config import ConfigError, UserError, load_config, parse_sources, to_yaml, validate
from translator.config.parsing import dump_yaml, parse_yaml

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
MINIMAL = "output: run\ndata: {source_language: fr, target_language: en, train: {phrasebook: train}}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-11-27", "2024-11-27"),
        ("2001-13-45", "2001-13-45"),
        ("12:30", "12:30"),
        ("1:30.5", "1:30.5"),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("true", True),
        ("0", 0),
        ("-12", -12),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("1e-4", 1e-4),
        ("1.5E+3", 1500.0),
        (".inf", float("inf")),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_a_plain_value_has_the_type_that_it_looks_like(text: str, value: Any) -> None:
    parsed = parse_yaml(text, "here")
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text", ["1e4", "1e-4", "010", "no", "true", "2024-11-27", "12:30", "~", "0x1F", "1.", "-"])
def test_text_that_looks_like_another_type_survives_being_written_and_read(text: str) -> None:
    assert parse_yaml(dump_yaml({"key": [text, "é"]}), "here") == {"key": [text, "é"]}
    config = validate(parse_yaml(MINIMAL, "here") | {"output": text}, "here")
    assert parse_yaml(to_yaml(config), "here")["output"] == text


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 11)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!int foo", "must be valid YAML. Received: a value that cannot be converted"),
        ("!!float foo", "must be valid YAML. Received: a value that cannot be converted"),
        ("!!int ''", "must be valid YAML. Received: a value that cannot be converted"),
        ("!!bool foo", "must be valid YAML. Received: a value that cannot be converted"),
        ("!!timestamp 2001-13-45", "must be valid YAML. Received: a value that cannot be converted"),
        ("!!timestamp foo", "must be valid YAML. Received: a value that cannot be converted"),
        ("1" * 5000, "must be valid YAML. Received: a value that cannot be converted"),
        ("!!python/object/apply:os.system [ls]", "must be valid YAML"),
        ("=", "must be valid YAML"),
        ("? [a]\n: b", "must be valid YAML"),
        ("[" * 1000, "must be nested at most 32 deep"),
        ("- " * 1000, "must be nested at most 32 deep"),
        ("{a: " * 1000, "must be nested at most 32 deep"),
        (BOMB, "must hold at most 20,000 values"),
        ("&a [*a]", "must not have an alias that contains itself"),
        ("&a {b: {c: *a}}", "must not have an alias that contains itself"),
        ("a: 1\n" * 5000, "each key once"),
        ("x" * (1 << 20) + "x", "must have at most 1,048,576 characters. Received: 1,048,577"),
        ("'\udce9'", "must be valid YAML"),
    ],
    ids=range(19),
)
def test_a_hostile_document_is_one_short_error(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, "here")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "values",
    [
        {"output": ["x" * 100_000]},
        {"output": "run", "data": {"x" * 100_000: 1}},
        {"output": "run", "data": {"labels": ["x" * 100_000] * 2, "train": "a"}},
        {"output": "run", "data": {"train": [{"fil": 1}] * 10_000}},
        {"output": "run", "model": {"encoder_heads": list(range(5, 5000))}},
        {"output": "run", "training": {"max_steps": 10**4000}},
        {"output": "run", "training": {"learning_rate": 10**4000}},
        {"output": "run", 5: 6},
    ],
    ids=range(8),
)
def test_error_messages_have_a_maximum_length(values: dict[Any, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(values, "here")
    assert len(str(caught.value)) < 10_000
    assert max(map(len, str(caught.value).splitlines())) < 1500


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"output": 750}, "output: must be text. Received: 750. Put it in quotes: '750'."),
        ({"output": True}, "output: must be text. Received: True. Put it in quotes: 'true'."),
        ({"data": {"labels": [0, 1]}}, "data.labels.1: must be text. Received: 1. Put it in quotes: '1'."),
        ({"data": {"train": {"source_column": 0}}}, "source_column: must be text. Received: 0. Put it in quotes: '0'."),
        ({"data": {"train": {"text_column": 0}}}, "text_column.0: must be text. Received: 0. Put it in quotes: '0'."),
        ({"data": {"train": {"where": {"year": [2020]}}}}, "where.year.0: must be text. Received: 2020. Put it in"),
        ({"data": {"train": {"where": {"year": 2020}}}}, "where.year.0: must be text. Received: 2020. Put it in"),
        ({"data": {"train": 7}}, "data.train.0: must be a section of keys and values. Received: 7."),
    ],
)
def test_a_number_in_place_of_text_says_how_to_write_it(values: dict[str, Any], advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(values, "here")
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "encoder_layers", 200_000),
        ("model", "d_model", 2**21),
        ("model", "d_ff", 10**12),
        ("model", "max_positions", 10_000_000),
        ("tokenizer", "vocab_size", 10**9),
        ("tokenizer", "sentinels", 10**6),
    ],
)
def test_an_absurd_size_is_refused(section: str, key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"{section}.{key}: must be less than or equal to .* Received: {value}\."):
        validate(parse_yaml(MINIMAL, "here") | {section: {key: value}}, "here")


@pytest.mark.parametrize("override", ["output=2024-11-27", "output=12:30", "output=~nosuch/run"])
def test_an_override_of_output_is_text(tmp_path: Path, override: str) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL)
    assert load_config(tmp_path / "a.yaml", [override]).output == override.removeprefix("output=")


def test_only_a_regular_file_of_bounded_size_is_a_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero"):
        with pytest.raises(ConfigError, match=r"readable YAML file\. Received: .* \(not a regular file\)"):
            load_config(tmp_path / name)
    (tmp_path / "large").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match=r"larger than the limit of 1,048,576 bytes"):
        load_config(tmp_path / "large")


SNIPPETS = [
    *"[]{}:,#&*!|>%@`'\"\n\t -?~=",
    *("\0", "\x1b", "\ud800", "\ufeff", "é", "\u2028", "<<: *a", "&a ", "*a", "!!int ", "!!float ", "!!timestamp "),
    *("!!binary ", "!!set ", "!!omap ", "!!pairs ", "!!python/name:os.system ", "!x ", "null", "true", ".nan", "-.inf"),
    *("1e999", "-1", "0", "9" * 30, "9" * 5000, "2001-13-45", "190:20:30", "[" * 40, "{a: " * 40, "? ", "- - - - "),
    *("---\n", "...\n", "%YAML 9.9\n", "a: b: c", "x" * 5000, "data: ", "train: ", "{phrasebook: train}", "5: 6"),
]  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0:
                text = text[:place] + text[place + rng.randint(1, 20) :]
            case 1 | 2:
                text = text[:place] + rng.choice(SNIPPETS) + text[place:]
            case 3:
                values = [index for index in range(len(text)) if text[index : index + 2] == ": "]
                if values:
                    start = rng.choice(values) + 2
                    end = text.find("\n", start)
                    text = text[:start] + rng.choice(SNIPPETS) + text[end if end >= 0 else len(text) :]
            case 4:
                other = rng.randrange(len(text) + 1)
                text = text[:place] + text[other : other + rng.randint(1, 200)] + text[place:]
    return text


def fuzz(seeds: range, folder: Path) -> int:
    """Load mutated configurations; returns how many were refused. Anything but a UserError propagates."""
    refused = 0
    texts = [path.read_text(encoding="utf-8") for path in SHIPPED]
    for seed in seeds:
        rng = random.Random(seed)
        text = mutated(rng.choice(texts), rng)
        (folder / "config.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            config = load_config(folder / "config.yaml", [f"seed={rng.choice(SNIPPETS)}"] if rng.random() < 0.1 else [])
            assert load_config(written(folder / "copy.yaml", to_yaml(config))) == config
        except UserError as error:
            refused += 1
            assert len(str(error)) < 60_000, seed
        try:
            parse_sources(mutated("[{file: a.tsv, where: {x: [y]}}, {hub: a/b, split: test}, b.tsv]", rng))
        except UserError as error:
            assert len(str(error)) < 60_000, seed
    return refused


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mutated_configuration_loads_or_raises_config_error(tmp_path: Path) -> None:
    assert 100 < fuzz(range(200), tmp_path) < 200


def test_a_shipped_configuration_means_the_same_to_other_readers_of_yaml() -> None:
    for path in SHIPPED:
        text = path.read_text(encoding="utf-8")
        assert parse_yaml(text, path.name) == yaml.safe_load(text)
