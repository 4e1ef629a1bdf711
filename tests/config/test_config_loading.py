"""Configurations: what is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from translator.config import (
    Config,
    ConfigError,
    ModelConfig,
    UserError,
    differences,
    load_config,
    parse_sources,
    to_yaml,
    validate,
)

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def values(**sections: Any) -> dict[str, Any]:
    """The smallest configuration, with some sections replaced."""
    data = {"source_language": "fr", "target_language": "en", "train": {"phrasebook": "train"}}
    return {"output": "runs/test", "data": data} | sections


def with_data(**data: Any) -> dict[str, Any]:
    return values(data=values()["data"] | data)


def message(wrong: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(wrong, "my.yaml")
    return str(caught.value)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def keys_of(value: Any, prefix: str = "") -> set[str]:
    """Dotted paths of all keys; those of the members of a list count as the list's own."""
    if isinstance(value, list):
        return {key for each in value for key in keys_of(each, prefix)}
    if not isinstance(value, dict):
        return set()
    return {path for key, each in value.items() for path in {prefix + key} | keys_of(each, f"{prefix}{key}.")}


def options_of(section: Any, prefix: str = "") -> set[str]:
    """Dotted paths of all fields of a section and of those in it, also in lists of sections and optional sections."""
    paths = set()
    for name, field in section.model_fields.items():
        paths |= {prefix + name}
        for nested in sections_in(field.annotation):
            paths |= options_of(nested, f"{prefix}{name}.")
    return paths


def sections_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [section for argument in get_args(annotation) for section in sections_in(argument)]


def of_any_data(paths: set[str]) -> set[str]:
    """The options of a source are the same in train, valid and test: they count as those of train."""
    return {re.sub(r"^data\.(valid|test)\.", "data.train.", path) for path in paths}


def test_every_option_is_in_a_shipped_configuration() -> None:
    shipped = {key for path in SHIPPED for key in keys_of(yaml.safe_load(path.read_text(encoding="utf-8")))}
    assert "data.train.text.source" in options_of(Config)
    assert of_any_data(options_of(Config)) - of_any_data(shipped) == set()


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    return written(tmp_path / "minimal.yaml", yaml.safe_dump(values()))


def test_the_smallest_configuration_gets_the_documented_defaults(minimal: Path) -> None:
    config = load_config(minimal)
    assert config.model == ModelConfig()
    assert config.training.optimizer == "adamw"
    assert config.data.train[0].phrasebook == "train"


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_a_shipped_configuration_loads_and_survives_being_written_and_read(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert load_config(written(tmp_path / "copy.yaml", to_yaml(config))) == config


def test_yaml_that_is_written_reads_back_as_the_same_configuration(tmp_path: Path) -> None:
    config = validate(
        values(
            model={"d_model": 64, "encoder_layers": 2, "encoder_heads": [2, 4], "final_norm": True},
            training={"betas": [0.9, 0.999], "learning_rate": 1e-4, "epsilon": 1e-9},
            data={
                "source_language": "no",
                "target_language": "en",
                "train": [
                    {"hub": "someone/ünïcode", "subset": "en-fr", "split": "train[:10%]", "streaming": False},
                    {"text": {"source": "a.fr", "target": "a.en"}, "weight": 0.5},
                    "local.tsv",
                ],
            },
        ),
        "here",
    )
    assert load_config(written(tmp_path / "config.yaml", to_yaml(config))) == config


def test_every_problem_is_reported_at_once_with_its_path_what_was_required_and_what_was_received() -> None:
    text = message(
        values(
            sed=3,
            model={"d_modle": 512, "dropout": 2, "norm": "both"},
            training={"batch_tokens": -1, "max_steps": "many", "betas": [0.9]},
        )
    )
    assert text.splitlines()[0] == "my.yaml: 7 problems."
    assert "  sed: no such key. Did you mean 'seed'?" in text
    assert "  model.d_modle: no such key. Did you mean 'd_model'?" in text
    assert "  model.dropout: must be less than 1. Received: 2." in text
    assert "  model.norm: must be 'pre' or 'post'. Received: 'both'." in text
    assert "  training.batch_tokens: must be greater than 0. Received: -1." in text
    assert "  training.max_steps: must be a valid integer" in text and "Received: 'many'." in text
    assert "  training.betas.1: required, and missing." in text


def test_a_key_that_resembles_nothing_gets_the_list_of_known_keys() -> None:
    text = message(values(tokenizer={"zzz": 1}))
    assert "tokenizer.zzz: no such key. Known: character_coverage, joint," in text


def test_problems_inside_a_list_of_sources_name_the_place_in_the_list() -> None:
    text = message(with_data(train=[{"fil": "a"}, {"text": {"source": "a", "tgt": "b"}}, {"file": "a", "hub": "b"}, 7]))
    assert "data.train.0.fil: no such key. Did you mean 'file'?" in text
    assert "data.train.1.text.target: required, and missing." in text
    assert "data.train.1.text.tgt: no such key. Did you mean 'target'?" in text
    kinds = "hub, file, text, phrasebook and sentiment"
    assert f"data.train.2: A source must have exactly one of {kinds}. Received: hub and file." in text
    assert "data.train.3: must be a section of keys and values. Received: 7." in text


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (
            "eight",
            "model.encoder_heads: must be a valid integer, unable to parse string as an integer. Received: 'eight'.",
        ),
        (0, "model.encoder_heads: must be greater than 0. Received: 0."),
        (None, "model.encoder_heads: must be a valid integer. Received: None."),
        ([8, 0, 8], "model.encoder_heads.1: must be greater than 0. Received: 0."),
    ],
)
def test_a_number_or_several_is_one_problem_without_the_names_of_its_branches(heads: Any, expected: str) -> None:
    assert message(values(model={"encoder_heads": heads})) == f"my.yaml: 1 problem.\n  {expected}"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (with_data(train={}), "data.train.0: A source must have exactly one of .* Received: none of them."),
        (with_data(train={"file": "a", "subset": "x"}), "subset: only for a source with hub. Received: file."),
        (with_data(train=None), "data.train: must be a list. Received: None."),
        (with_data(train={"file": "a", "text_column": []}), "text_column: must be a list of at least 1. Received"),
        (values(training={"betas": 0.9}), "training.betas: must be a list. Received: 0.9."),
        (values(seed=2**64), "seed: must be less than 4294967296. Received: 18446744073709551616."),
        (with_data(train={"file": "a", "weight": 0}), "data.train.0.weight: must be greater than 0. Received: 0."),
        (with_data(target_language=None), "data.target_language: required for translation, and missing."),
        (values(output=None), "output: must be text. Received: None."),
        (values(model=5), "model: must be a section of keys and values. Received: 5."),
        (
            values(model={"encoder_heads": [8, 8]}),
            "model: encoder_heads must be one number or one per layer. Received: 2 numbers for encoder_layers=6.",
        ),
        (
            values(model={"alignment_layer": 7}),
            "alignment_layer must be at most decoder_layers. Received: alignment_layer=7, decoder_layers=6.",
        ),
        (
            values(model={"alignment_head": 5, "alignment_layer": 2, "decoder_layers": 2, "decoder_heads": [8, 4]}),
            "alignment_head must be at most the heads of layer 2 of the decoder, 4. Received: 5.",
        ),
        (
            values(model={"alignment_head": 1, "architecture": "decoder_only"}),
            "alignment_head: a word alignment requires cross-attention, architecture: encoder_decoder. "
            "Received: decoder_only.",
        ),
        (
            values(model={"d_model": 510}),
            "d_model must be divisible by encoder_heads. Received: d_model=510, heads=8. "
            "d_model must be divisible by decoder_heads. Received: d_model=510, heads=8.",
        ),
        (
            values(model={"d_model": 24, "positions": "rotary"}),
            "rotary positions require an even head size. Received: d_model=24, heads=8.",
        ),
        (
            values(model={"d_model": 15, "encoder_heads": 3, "decoder_heads": 5}),
            "sinusoidal positions require an even d_model. Received: 15.",
        ),
        (
            values(model={"source_vectors": "a.vec", "target_vectors": "b.vec"}),
            "tied_embeddings: all allows only one of source_vectors and target_vectors. Remove one.",
        ),
        (
            values(training={"metric": "bleu", "valid_decode_examples": 0}),
            "metric: bleu requires valid_decode_examples above 0. Received: 0.",
        ),
        (
            values(training={"schedule": "cosine", "warmup_steps": 10, "max_steps": 10}),
            "schedule: cosine requires warmup_steps below max_steps. Received: warmup_steps=10, max_steps=10.",
        ),
        (
            values(training={"average_checkpoints": 5, "keep_last": 3}),
            "average_checkpoints must not exceed keep_last. Received: average_checkpoints=5, keep_last=3.",
        ),
        (
            values(training={"cuda_graphs": True}),
            "cuda_graphs requires compile: true. Received: compile: false.",
        ),
        (
            values(training={"parallel": "hybrid", "compile": True, "cuda_graphs": True}),
            "parallel: hybrid requires cuda_graphs: false. Received: cuda_graphs: true.",
        ),
        (
            values(training={"optimizer": "muon", "parallel": "shard"}),
            "optimizer: muon requires parallel: replicate, because it makes whole matrices orthogonal. "
            "Received: parallel: shard. Use optimizer: adamw to divide the model among ranks.",
        ),
        (
            values(tokenizer={"joint": False}),
            "model.tied_embeddings: all requires one vocabulary. Received: tokenizer.joint=false.",
        ),
        (
            values(training={"patience": 3}),
            "training.metric and training.patience require data.valid, and it is missing.",
        ),
        (values(training={"learning_rate": float("inf")}), "training.learning_rate: must be a finite number."),
    ],
)
def test_an_impossible_value_or_combination_is_refused(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        validate(wrong, "my.yaml")


def test_configuration_errors_are_user_errors() -> None:
    assert issubclass(ConfigError, UserError) and issubclass(UserError, ValueError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "must be valid YAML"),
        ("", "must be a YAML mapping. Received: .*, which holds nothing."),
        ("- 1\n", "must be a YAML mapping. Received: .*, which holds a list."),
    ],
)
def test_a_file_that_holds_no_configuration_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(written(tmp_path / "wrong.yaml", text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be a readable YAML file. Received: .*absent.yaml \(No such file"):
        load_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match=r"Received: .* \(Is a directory\)"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"output: \xe9\n")
    with pytest.raises(ConfigError, match=r"latin.yaml \(not UTF-8 text\)"):
        load_config(tmp_path / "latin.yaml")


def test_a_repeated_key_is_refused_where_yaml_would_keep_the_last(tmp_path: Path) -> None:
    text = yaml.safe_dump(values()) + "seed: 1\nseed: 2\n"
    with pytest.raises(ConfigError, match=r"must be valid YAML.*each key once.*seed"):
        load_config(written(tmp_path / "twice.yaml", text))


def test_no_stays_text_and_1e_minus_4_is_a_number(tmp_path: Path) -> None:
    text = (
        "output: runs/x\n"
        "data: {source_language: no, target_language: on, train: {phrasebook: train}}\n"
        "training: {learning_rate: 1e-4, epsilon: 1E-9, compile: true}\n"
    )
    config = load_config(written(tmp_path / "traps.yaml", text))
    assert (config.data.source_language, config.data.target_language) == ("no", "on")
    assert config.training.learning_rate == 1e-4 and config.training.epsilon == 1e-9
    assert config.training.compile is True


def test_overrides_are_applied_in_order_over_the_file(minimal: Path) -> None:
    config = load_config(
        minimal,
        [
            "seed=7",
            "training.learning_rate=1e-3",
            "training.learning_rate=2e-3",
            "model.encoder_layers=2",
            "model.encoder_heads=[2, 4]",
            "data.source_language=no",
            "data.valid={phrasebook: valid}",
        ],
    )
    assert config.seed == 7 and config.training.learning_rate == 2e-3
    assert config.model.encoder_heads == (2, 4)
    assert config.data.source_language == "no" and config.data.valid[0].phrasebook == "valid"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "An override must have the form section.key=value. Received: 'seed'."),
        ("=3", "An override must have the form section.key=value. Received: '=3'."),
        ("seed.x=3", "An override must name a key of a section. Received: 'seed.x=3'; seed is not a section."),
        ("data.train.phrasebook.x=3", "phrasebook is not a section. Give a list as a whole"),
        ("model.d_model=[", "must be valid YAML"),
        ("model.d_modle=3", "model.d_modle: no such key. Did you mean 'd_model'?"),
        ("model.dropout=1.5", "model.dropout: must be less than 1. Received: 1.5."),
        ("modle.dropout=0.5", "modle: no such key. Did you mean 'model'?"),
    ],
)
def test_a_wrong_override_is_refused_like_a_wrong_file(tmp_path: Path, override: str, expected: str) -> None:
    path = written(tmp_path / "seeded.yaml", yaml.safe_dump(values(seed=1)))
    with pytest.raises(ConfigError, match=expected.replace("?", r"\?")):
        load_config(path, [override])


def test_sources_are_read_as_a_path_a_mapping_or_a_list() -> None:
    assert parse_sources("test.parquet")[0].file == "test.parquet"
    assert parse_sources("{phrasebook: test}")[0].phrasebook == "test"
    assert [source.file for source in parse_sources("[a.tsv, {file: b.tsv}]")] == ["a.tsv", "b.tsv"]


@pytest.mark.parametrize("spec", ["{phrasebook: tset}", "[", "7", "{fil: a}", "[]"])
def test_a_wrong_test_specification_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match="--test"):
        parse_sources(spec)


def test_differences_name_the_dotted_paths_that_changed() -> None:
    old = validate(values(), "old")
    new = validate(values(seed=2, model={"dropout": 0.3, "encoder_layers": 1, "encoder_heads": [4]}), "new")
    assert differences(old, old) == {}
    assert differences(old, new) == {
        "model.dropout": (0.1, 0.3),
        "model.encoder_heads": (8, [4]),
        "model.encoder_layers": (6, 1),
        "seed": (1, 2),
    }


def test_a_configuration_is_frozen() -> None:
    config = validate(values(), "here")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]
    assert isinstance(config, Config)


def test_true_is_not_a_number() -> None:
    text = message(values(seed=True, model={"dropout": False, "encoder_heads": True}))
    for key, received in (("seed", "true"), ("model.dropout", "false"), ("model.encoder_heads", "true")):
        assert f"  {key}: must be a number. Received: {received}." in text
