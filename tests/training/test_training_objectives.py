"""Every objective, by the one trainer: it learns, it resumes bit for bit, and it starts from another run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from translator.checkpoint import CheckpointError, read_training_state, read_weights
from translator.config import Config, ConfigError
from translator.training.trainer import train

Tiny = Callable[..., Config]

MONOLINGUAL = {"source_language": None, "target_language": None}
VARIATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "translation": {"model": {"architecture": "decoder_only"}},
    "language_modeling": {"model": {"architecture": "decoder_only", "positions": "rotary"}, "data": MONOLINGUAL},
    "masked_language_modeling": {
        "model": {"architecture": "encoder_only"},
        "data": MONOLINGUAL,
        "tokenizer": {"sentinels": 1},
    },
    "denoising": {"data": MONOLINGUAL, "tokenizer": {"sentinels": 8}},
    "classification": {
        "model": {"architecture": "encoder_only"},
        "data": MONOLINGUAL | {"labels": ["animal", "thing"]},
        "training": {"metric": "accuracy", "valid_decode_examples": 30},
    },
}


@pytest.fixture(scope="module")
def labelled(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus as texts with labels."""
    folder = tmp_path_factory.mktemp("labelled")
    for name in ("train", "valid"):
        texts = [line.split("\t")[0] for line in (corpus / f"{name}.tsv").read_text().splitlines()[1:]]
        rows = [f"{text}\t{'animal' if 'chat' in text or 'chien' in text else 'thing'}\n" for text in texts]
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "".join(rows))
    return folder


@pytest.fixture
def variation(tiny: Tiny, corpus: Path, labelled: Path) -> Tiny:
    """Makes the configuration of an objective; keyword arguments are sections to change."""

    def make(objective: str, output: str = "run", **sections: dict[str, Any]) -> Config:
        merged = {name: dict(section) for name, section in VARIATIONS[objective].items()}
        merged.setdefault("training", {})["objective"] = objective
        data = merged.setdefault("data", {})
        if objective == "classification":
            data |= {"train": str(labelled / "train.tsv"), "valid": str(labelled / "valid.tsv")}
        elif objective != "translation":
            both = {"text_column": ["fr", "en"]}
            data |= {name: {"file": str(corpus / f"{name}.tsv"), **both} for name in ("train", "valid")}
        pieces = 295 if objective == "classification" else 320
        merged["tokenizer"] = {"vocab_size": pieces} | merged.get("tokenizer", {})
        for name, changes in sections.items():
            merged[name] = merged.get(name, {}) | changes
        return tiny(output, **merged)

    return make


def weights(run: str | Path, name: str = "last") -> dict[str, torch.Tensor]:
    return read_weights(Path(run) / name / "model.safetensors")[0]


def metric_lines(run: str | Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("objective", list(VARIATIONS))
def test_a_run_of_any_objective_that_stops_halfway_ends_with_the_same_bits(variation: Tiny, objective: str) -> None:
    noisy = {"model": VARIATIONS[objective].get("model", {}) | {"dropout": 0.2}}
    tokenizer = {"tokenizer": {"sampling_alpha": 0.3}}
    whole = variation(objective, "whole", **noisy, **tokenizer)
    train(whole)
    train(variation(objective, "halves", **noisy, **tokenizer, training={"max_steps": 6}))
    halves = variation(objective, "halves", **noisy, **tokenizer)
    train(halves)
    first, second = weights(whole.output), weights(halves.output)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    states = [read_training_state((Path(config.output) / "last").resolve()) for config in (whole, halves)]
    assert states[0]["stream"] == states[1]["stream"]
    assert states[0]["progress"] == states[1]["progress"]


@pytest.mark.parametrize("objective", list(VARIATIONS))
def test_every_objective_is_learned(variation: Tiny, objective: str) -> None:
    training = {"max_steps": 60, "validate_every": 60, "save_every": 60, "learning_rate": 0.01, "batch_tokens": 512}
    run = train(variation(objective, training=training))
    lines = metric_lines(run)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    validation = lines[-1]
    assert validation["valid_loss"] < losses[0]
    assert ("valid_perplexity" in validation) == (objective == "language_modeling")
    assert ("valid_accuracy" in validation) == (objective == "classification")
    card = (run / "README.md").read_text()
    assert objective.split("_")[0] in card or objective in ("translation", "classification", "language_modeling")
    assert "None to None" not in card


def test_a_classifier_starts_from_masked_language_modeling(variation: Tiny) -> None:
    earlier = train(variation("masked_language_modeling", "earlier"))
    start = {"start_from": str(earlier), "max_steps": 1, "learning_rate": 1e-12}
    run = train(variation("classification", "later", training=start, tokenizer={"vocab_size": 320}))
    before, after = weights(earlier, "best"), weights(run)
    assert after.keys() - before.keys() == {"classifier.weight"}
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-9)
    assert (run / "tokenizer.model").read_bytes() == (earlier / "tokenizer.model").read_bytes()


def test_a_translator_starts_from_denoising_and_goes_on_without_it(variation: Tiny, tiny: Tiny) -> None:
    earlier = train(variation("denoising", "earlier"))
    start = {"start_from": str(earlier)}
    whole = train(tiny("whole", training=start))
    halves = train(tiny("halves", training=start | {"max_steps": 6}))
    (earlier / "config.yaml").rename(earlier / "gone.yaml")  # needed at the beginning only
    train(tiny("halves", training=start))
    first, second = weights(whole), weights(halves)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_decoding_options_that_a_run_does_not_inherit_are_named(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"fold_capitals": True, "split_sentences": True, "no_repeat_ngram": 5}
    earlier = str(train(tiny("earlier", training={"max_steps": 1}, decoding=settings)))
    start = {"start_from": earlier, "max_steps": 1}
    capsys.readouterr()
    train(tiny("a", training=start, decoding={"no_repeat_ngram": 0}))  # set on purpose
    lines = capsys.readouterr().err.splitlines()
    first = next(number for number, line in enumerate(lines) if "not inherited" in line)
    assert lines[first + 1 : first + 4] == [
        "  decoding.fold_capitals: True -> False",
        "  decoding.split_sentences: True -> False",
        "To keep them, set them in the section decoding.",
    ]
    train(tiny("b", training=start, decoding=settings))
    assert "not inherited" not in capsys.readouterr().err


def test_a_run_of_format_1_is_not_resumed_but_another_starts_from_its_weights(tiny: Tiny) -> None:
    earlier = train(tiny("earlier", training={"max_steps": 2}))
    before, checkpoint = weights(earlier), (earlier / "last").resolve()
    to_format_1(checkpoint)
    with pytest.raises(CheckpointError, match=r"version 1\. .* set training\.start_from: .*step-2 and"):
        train(tiny("earlier", training={"max_steps": 4}))
    later = train(tiny("later", training={"start_from": str(checkpoint), "max_steps": 1, "learning_rate": 1e-12}))
    for name, weight in weights(later).items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=1e-9)


def to_format_1(checkpoint: Path) -> None:
    """Rewrite a checkpoint as format 1 stored it: two projections in each self-attention, no version of the state."""
    joint, metadata = read_weights(checkpoint / "model.safetensors")
    separate = {name: weight for name, weight in joint.items() if "query_key_value" not in name}
    for name in joint.keys() - separate.keys():
        queries = len(joint[name]) // 3
        separate[name.replace("query_key_value", "query")] = joint[name][:queries].clone()
        separate[name.replace("query_key_value", "key_value")] = joint[name][queries:].clone()
    save_file(separate, checkpoint / "model.safetensors", {"version": "1", "tokenizer": metadata["tokenizer"]})
    state = read_training_state(checkpoint)
    torch.save(state, checkpoint / "training_state.pt")


def test_a_run_that_cannot_start_from_another_says_why(variation: Tiny, tiny: Tiny) -> None:
    earlier = str(train(variation("denoising", "earlier", training={"max_steps": 2})))
    with pytest.raises(
        ConfigError, match=r"model section must be that of training\.start_from.*\n  model\.d_ff: 64 -> 32"
    ):
        train(tiny("a", training={"start_from": earlier}, model={"d_ff": 32}))
    with pytest.raises(ConfigError, match=r"Received: 330, and 320 tokens in .*Set tokenizer\.vocab_size=320"):
        train(tiny("b", training={"start_from": earlier}, tokenizer={"vocab_size": 330}))
    train(tiny("c", training={"max_steps": 2}))
    (Path(earlier).parent / "d").mkdir()
    (Path(earlier).parent / "d" / "tokenizer.model").write_bytes(
        (Path(earlier).parent / "c" / "tokenizer.model").read_bytes()
    )
    with pytest.raises(CheckpointError, match=r"Received: .*earlier, with another"):
        train(tiny("d", training={"start_from": earlier}))
