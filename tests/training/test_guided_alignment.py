"""Guided alignment in training: exact resume, the same result however a step is divided, and a head that aligns."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from launching import finish, start_ranks, without_key_bias
from torch import Tensor

from translator import Translator
from translator.checkpoint import read_weights
from translator.cli import main
from translator.config import Config, ConfigError, load_config, to_yaml, validate
from translator.data.batch import Batch
from translator.inference.alignment import align
from translator.model import EncoderDecoder
from translator.training.check import check
from translator.training.forward_backward import ForwardBackward
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus, prepare_tokenizers
from translator.training.trainer import Trainer, train

Tiny = Callable[..., Config]
WORDS = {
    "un": "a", "chat": "cat", "chien": "dog", "oiseau": "bird", "mange": "eats", "voit": "sees", "aime": "likes",
    "cherche": "seeks", "rouge": "red", "petit": "small", "grand": "tall", "noir": "black", "ici": "here",
    "demain": "tomorrow", "souvent": "often", "pain": "bread", "lait": "milk",
}  # fmt: skip


def rows(count: int, seed: int) -> list[tuple[str, str, str]]:
    """Sentences translated word by word, with the true alignment; every fourth row has none."""
    rng = random.Random(seed)
    found: dict[str, tuple[str, str, str]] = {}
    while len(found) < count:
        words = rng.choices(list(WORDS), k=rng.randint(3, 8))
        links = " ".join(f"{place}-{place}" for place in range(len(words)))
        translation = " ".join(WORDS[word] for word in words)
        found[" ".join(words)] = (" ".join(words), translation, links if len(found) % 4 else "")
    return list(found.values())


@pytest.fixture
def guided(tiny: Tiny, tmp_path: Path) -> Tiny:
    """Makes a configuration with guided alignment of the second head, whose batches hold different shares of links."""
    lines = ["fr\ten\talignment", *map("\t".join, rows(400, seed=1))]
    (tmp_path / "aligned.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def make(output: str = "run", **sections: dict[str, Any]) -> Config:
        source = {"file": str(tmp_path / "aligned.tsv"), "alignment_column": "alignment"}
        model = {"alignment_head": 2, "dropout": 0.1} | sections.pop("model", {})
        training = {"guided_alignment_weight": 0.5} | sections.pop("training", {})
        data = {"train": source, "cache": str(tmp_path / "cache")} | sections.pop("data", {})
        tokenizer = {"vocab_size": 300} | sections.pop("tokenizer", {})
        return tiny(output, data=data, tokenizer=tokenizer, model=model, training=training, **sections)

    return make


def trainer_of(config: Config, folder: Path) -> Trainer:
    tokenizers = prepare_tokenizers(folder, config, lambda line: None)
    setup = Setup(tokenizers, prepare_corpus(config, tokenizers, lambda line: None))
    return Trainer(config, folder, Ranks(0, 1, torch.device("cpu")), setup, is_shown=False)


def weights(run: Path) -> dict[str, Tensor]:
    return read_weights(run / "last" / "model.safetensors")[0]


def assert_near(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name in first:
        parts = (without_key_bias(name, each[name]) for each in (first, second))
        torch.testing.assert_close(*parts, rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_step_is_the_mean_of_its_tokens_plus_the_weighted_mean_of_its_linked_tokens(
    guided: Tiny, tmp_path: Path
) -> None:
    options = {"accumulation": 3, "batch_tokens": 128, "label_smoothing": 0.0}
    trainer = trainer_of(guided(model={"dropout": 0.0}, training=options), tmp_path)
    batches = next(trainer.state.stream)
    tokens = linked = 0
    token_loss = alignment_loss = 0.0
    assert isinstance(trainer.model, EncoderDecoder)
    for batch in batches:
        alone, count = trainer.model.loss(batch, batch.seeds)
        *_, alignment = trainer.model.guided_loss(batch, batch.seeds, torch.ones(()))
        tokens += int(count)
        token_loss, alignment_loss = token_loss + alone.item(), alignment_loss + alignment.item()
        assert batch.links is not None
        linked += batch.links.num_targets
    assert 0 < linked < 0.8 * tokens
    other = trainer_of(guided("other", model={"dropout": 0.0}, training=options), tmp_path)
    totals = other.step().totals()
    expected = token_loss / tokens + 0.5 * alignment_loss / linked
    assert totals.loss / totals.tokens == pytest.approx(expected, rel=1e-5)
    assert (totals.linked_tokens, totals.alignment_loss) == (linked, pytest.approx(alignment_loss, rel=1e-5))


@pytest.mark.parametrize("batch_tokens", [1, 150])
def test_micro_batches_give_the_step_of_the_whole_batch(guided: Tiny, tmp_path: Path, batch_tokens: int) -> None:
    found = []
    for tokens in (400, batch_tokens):
        trainer = trainer_of(guided(training={"step_tokens": 400, "batch_tokens": tokens}), tmp_path)
        trainer.step()
        gradients = {name: each.grad for name, each in trainer.model.named_parameters() if each.grad is not None}
        found.append(gradients)
    assert_near(*found)


def test_a_run_that_stops_halfway_and_goes_on_ends_with_the_same_bits(guided: Tiny) -> None:
    sampled = {"tokenizer": {"sampling_alpha": 0.3}, "training": {"accumulation": 2, "data_workers": 0}}
    whole, halves = guided("whole", **sampled), guided("halves", **sampled)
    train(whole)
    train(halves.model_copy(update={"training": halves.training.model_copy(update={"max_steps": 6})}))
    train(halves)
    found = [weights(Path(config.output)) for config in (whole, halves)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("parallel", ["replicate", "shard"])
def test_two_ranks_give_the_result_of_one_rank_with_twice_the_accumulation(
    guided: Tiny, tmp_path: Path, parallel: str
) -> None:
    """Also where the ranks have different numbers of linked tokens, as here."""
    one = guided("one", training={"accumulation": 2, "optimizer": "adam"})
    train(one)
    config = guided("two", training={"parallel": parallel, "optimizer": "adam"})
    (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    results = finish(start_ranks([tmp_path] * 2))
    assert [code for code, _ in results] == [0, 0], results
    assert_near(weights(Path(one.output)), weights(Path(config.output)))


def accuracy(run: Path) -> float:
    """Fraction of the target words of new sentences whose alignment is right."""
    translator = Translator.load(run, "cpu", threads=1)
    right = total = 0
    for source, target, _ in rows(60, seed=7):
        pair = translator.tokenizers.source.encode(source), translator.tokenizers.target.encode(target)
        [found] = translator.engine.cross_attention([pair], 1000)
        pieces = translator.tokenizers.source.pieces(pair[0]), translator.tokenizers.target.pieces(pair[1])
        count = len(source.split())
        links = set(align(*pieces, found).links)
        right += sum((place, place) in links for place in range(count))
        total += count
    return right / total


def test_a_guided_head_aligns_the_words_of_new_sentences_and_is_read_by_default(guided: Tiny) -> None:
    options = {"max_steps": 100, "batch_tokens": 512, "learning_rate": 0.01, "save_every": 50, "validate_every": 50}
    run = train(guided(model={"dropout": 0.0}, training={**options, "guided_alignment_weight": 2.0}))
    assert accuracy(run) > 0.8  # 0.36 without guided alignment
    config = load_config(run / "config.yaml")
    assert (config.model.alignment_layer, config.model.alignment_head) == (None, 2)
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "Head 2 of decoder layer 1 gives word alignments. It was trained for them with weight 2." in card


def test_the_alignment_loss_is_a_metric_of_its_own(
    guided: Tiny, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for weight in (0.5, 0.0):
        data = {} if weight else {"train": str(tmp_path / "aligned.tsv")}
        run = train(guided(str(weight), data=data, training={"guided_alignment_weight": weight}))
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        reports = [line for line in lines if "loss" in line]
        assert len(reports) == 4
        assert all(("alignment_loss" in report) == bool(weight) for report in reports)
        shown = [
            line for line in capfd.readouterr().err.splitlines() if line.startswith("step ") and "tokens/s" in line
        ]
        assert len(shown) == 4 and all(("  alignment " in line) == bool(weight) for line in shown)
        if weight:
            assert 0 < reports[-1]["alignment_loss"] < reports[0]["alignment_loss"] < 4  # nats; 4 to 9 tokens


def test_a_streamed_run_learns_from_alignments_and_resumes_bit_for_bit(guided: Tiny, tmp_path: Path) -> None:
    source = {"file": str(tmp_path / "aligned.tsv"), "alignment_column": "alignment", "streaming": True}
    sections = {"data": {"train": source, "shuffle_rows": 64}, "tokenizer": {"sampling_alpha": 0.3}}
    whole, halves = guided("whole", **sections), guided("halves", **sections)
    run = train(whole)
    train(halves.model_copy(update={"training": halves.training.model_copy(update={"max_steps": 5})}))
    train(halves)
    found = [weights(Path(config.output)) for config in (whole, halves)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert '"alignment_loss"' in (run / "metrics.jsonl").read_text(encoding="utf-8")


def without_head(config: Config, **training: Any) -> Config:
    """The configuration as of a file that names neither the layer nor the head."""
    values = yaml.safe_load(to_yaml(config))
    del values["model"]["alignment_layer"], values["model"]["alignment_head"]
    values["training"] |= training
    return validate(values, "my.yaml")


def test_a_run_inherits_the_alignment_head_of_the_model_that_it_starts_from_or_resumes(
    guided: Tiny, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(guided("earlier", model={"alignment_layer": 1}))
    earlier = str(tmp_path / "earlier")
    tuned = without_head(guided("tuned"), start_from=earlier, max_steps=4)
    run = train(tuned)
    assert f"model.alignment_layer=1 and model.alignment_head=2 inherited from {earlier}" in capfd.readouterr().err
    assert load_config(run / "config.yaml").model.alignment_head == 2
    train(without_head(guided("tuned"), start_from=earlier))  # resumes, although the configuration lacks the head
    assert f"inherited from {run}" in capfd.readouterr().err
    assert "Head 2 of decoder layer 1 gives word alignments." in (run / "README.md").read_text(encoding="utf-8")
    plain = {"train": str(tmp_path / "aligned.tsv")}
    mean = guided("mean", data=plain, model={"alignment_head": None}, training={"guided_alignment_weight": 0})
    run = train(mean.model_copy(update={"training": mean.training.model_copy(update={"start_from": earlier})}))
    assert load_config(run / "config.yaml").model.alignment_head is None  # given, as null
    assert "inherited" not in capfd.readouterr().err


def test_no_head_is_inherited_from_a_model_with_other_heads_which_is_refused(
    guided: Tiny, capfd: pytest.CaptureFixture[str]
) -> None:
    earlier = str(train(guided("earlier")))
    config = without_head(guided("tuned", model={"decoder_heads": 1, "alignment_head": 1}), start_from=earlier)
    capfd.readouterr()
    with pytest.raises(ConfigError, match=r"must be that of training\.start_from(.*\n)*.*decoder_heads"):
        train(config)
    assert "inherited" not in capfd.readouterr().err


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_head_that_cannot_be_inherited_is_asked_for(
    guided: Tiny, tmp_path: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = {"train": str(tmp_path / "aligned.tsv")}
    train(guided("earlier", data=plain, model={"alignment_head": None}, training={"guided_alignment_weight": 0}))
    earlier = str(tmp_path / "earlier")
    config = to_yaml(without_head(guided("tuned"), start_from=earlier))
    values = {line for line in config.splitlines() if not line.startswith("  alignment_")}
    (tmp_path / "tuned.yaml").write_text("\n".join(line for line in config.splitlines() if line in values))
    assert main([command, str(tmp_path / "tuned.yaml")]) == 2
    captured = capfd.readouterr()
    assert (
        "training.guided_alignment_weight requires model.alignment_head, the head to train, and "
        f"{earlier} has none to inherit. Set model.alignment_head=1."
    ) in captured.out + captured.err
    assert not (tmp_path / "tuned" / "config.yaml").exists()


def test_check_inherits_the_head_and_predicts_memory_with_links(
    guided: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = str(train(guided("earlier")))
    factors: list[Tensor | None] = []
    forward_backward = ForwardBackward.__call__

    def seen(self: Any, batch: Batch, number: int, seeds: Tensor, link_factor: Tensor | None, **rest: Any) -> Any:
        factors.append(link_factor if batch.links is not None and len(batch.links.weights) else None)
        return forward_backward(self, batch, number, seeds, link_factor, **rest)

    monkeypatch.setattr(ForwardBackward, "__call__", seen)
    config = without_head(guided("tuned"), start_from=earlier, batch_tokens=512)
    lines: list[str] = []
    assert not [finding for finding in check(config, lines.append, lines.append) if finding.is_problem]
    assert f"model.alignment_head=2 inherited from {earlier}" in lines
    assert len(factors) > 2 and all(factor is not None for factor in factors)  # parts of a batch, and two steps
