"""What each objective reads from the sources and puts into its batches."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import make_pairs

from translator.config import Config, ModelConfig, TokenizerConfig, validate
from translator.data.batching import Batch, BatchStream
from translator.data.corpus import Corpus, DataError, encode_rows, load_corpus, read_clean_rows, read_rows
from translator.data.objectives import objective_of
from translator.model import build_model
from translator.packing import IGNORE_INDEX
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizers

ARCHITECTURES = {
    "translation": "decoder_only",
    "denoising": "encoder_decoder",
    "language_modeling": "decoder_only",
    "masked_language_modeling": "encoder_only",
    "classification": "encoder_only",
}
OBJECTIVES = list(ARCHITECTURES)
LABELS = ("much", "little")
Make = Callable[..., tuple[Config, Corpus]]


def label(text: str) -> str:
    return LABELS[len(text) < 30]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("objectives") / "table.tsv"
    lines = [f"{source}\t{target}\t{label(source)}\n" for source, target in make_pairs(400)]
    path.write_text("fr\ten\tlabel\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hiding_tokenizers() -> Tokenizers:
    return Tokenizers.train(make_pairs(2000, seed=99), TokenizerConfig(vocab_size=320, sentinels=8), seed=1)


@pytest.fixture(scope="module")
def make(table: Path, hiding_tokenizers: Tokenizers) -> Make:
    """Makes the configuration and the corpus of an objective; keyword arguments are sections to change."""

    def load(objective: str, alpha: float = 0.0, **training: Any) -> tuple[Config, Corpus]:
        source: dict[str, Any] = {"file": str(table)}
        data: dict[str, Any] = {"cache": str(table.parent / "cache")}
        if objective == "translation":
            data |= {"source_language": "fr", "target_language": "en"}
        else:
            source["text_column"] = "fr"
        if objective == "classification":
            data["labels"] = LABELS
        values = {
            "output": "run",
            "data": data | {"train": source},
            "tokenizer": {"vocab_size": 320, "sentinels": 8, "sampling_alpha": alpha},
            "model": {"architecture": ARCHITECTURES[objective], "max_positions": 96},
            "training": {"objective": objective, "batch_tokens": 256} | training,
        }
        config = validate(values, "test")
        return config, corpus_of(config, hiding_tokenizers)

    return load


def corpus_of(config: Config, tokenizers: Tokenizers) -> Corpus:
    return load_corpus(
        config.data.train,
        config.data,
        tokenizers,
        sampling_alpha=config.tokenizer.sampling_alpha,
        seed=config.seed,
        max_positions=config.model.max_positions,
        log=lambda line: None,
        objective=objective_of(config, tokenizers),
    )


def numbers(batch: Batch) -> tuple[Any, ...]:
    sides = [[row.tolist() for row in side.unpack()] for side in (batch.source, batch.target_input)]
    return batch.index, *sides, batch.labels.tolist(), batch.num_target_tokens


def stream(corpus: Corpus, **options: Any) -> BatchStream:
    return BatchStream(corpus, **({"seed": 1, "batch_tokens": 256} | options))


@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_batch_k_is_a_function_of_seed_and_k_for_every_objective(make: Make, objective: str, alpha: float) -> None:
    _, corpus = make(objective, alpha)
    whole = [numbers(batch) for batch in islice(stream(corpus), 30)]
    assert whole == [numbers(batch) for batch in islice(stream(pickle.loads(pickle.dumps(corpus))), 30)]
    assert whole[0] != numbers(next(stream(corpus, seed=2)))
    begun = stream(corpus)
    for _ in range(11):
        next(begun)
    resumed = stream(corpus)
    resumed.load_state_dict(begun.state_dict())
    assert [numbers(batch) for batch in islice(resumed, 19)] == whole[11:]
    ranks = [stream(corpus, rank=rank, world_size=2) for rank in (0, 1)]
    assert [numbers(next(ranks[k % 2])) for k in range(10)] == whole[:10]


def test_worker_processes_hide_the_same(make: Make) -> None:
    _, corpus = make("denoising")
    ahead = stream(corpus, workers=2)
    try:
        assert [numbers(batch) for batch in islice(ahead, 5)] == [numbers(b) for b in islice(stream(corpus), 5)]
    finally:
        ahead.close()


def padded(corpus: Corpus) -> Batch:
    """The first batch, padded to its capacity."""
    batches = stream(corpus)
    return next(batches).padded(batches.capacity)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_padding_changes_no_loss_of_any_objective(make: Make, objective: str) -> None:
    config, corpus = make(objective)
    small = {"d_model": 16, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_heads": 2}
    sizes = ModelConfig.model_validate(config.model.model_dump() | small | {"decoder_heads": 2, "dropout": 0.0})
    torch.manual_seed(0)
    model = build_model(sizes, 320, 320, num_labels=len(config.data.labels)).double()
    losses = [model.loss(batch) for batch in (next(stream(corpus)), padded(corpus))]
    torch.testing.assert_close(losses[0], losses[1])
    assert int(losses[0][1]) == next(stream(corpus)).num_target_tokens


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_batches_of_every_objective_are_full_and_within_their_budgets(make: Make, objective: str) -> None:
    config, corpus = make(objective)
    batches = stream(corpus, batch_tokens=1024)
    counted = []
    for batch in islice(batches, 20):
        assert len(batch.source.values) <= batches.capacity.source_tokens
        assert len(batch.target_input.values) <= batches.capacity.target_tokens
        is_read = config.model.architecture == "encoder_only"
        counted.append(len(batch.source.values) if is_read else batch.num_target_tokens)
    assert 0.9 * 1024 < np.mean(counted) <= 1024


def test_language_modeling_has_empty_sources_and_every_token_of_the_text(
    make: Make, hiding_tokenizers: Tokenizers
) -> None:
    _, corpus = make("language_modeling")
    texts = {tuple(hiding_tokenizers.source.encode(source)) for source, _ in make_pairs(400)}
    batch = next(stream(corpus))
    assert not len(batch.source.values)
    assert batch.source.num_sequences == batch.target_input.num_sequences
    labels = batch.target_input.with_values(batch.labels)
    for row, label in zip(batch.target_input.unpack(), labels.unpack(), strict=True):
        assert row[0] == BOS_ID and tuple(row[1:].tolist()) in texts
        assert label.tolist() == [*row[1:].tolist(), EOS_ID]


def test_masked_pieces_differ_from_epoch_to_epoch_and_are_what_the_labels_say(
    make: Make, hiding_tokenizers: Tokenizers
) -> None:
    _, corpus = make("masked_language_modeling")
    rows = np.arange(50)
    best = corpus._cached(rows)[0]
    epochs = [corpus.pieces(rows, epoch) for epoch in (0, 1)]
    for read, labels in epochs:
        is_hidden = labels.values != IGNORE_INDEX
        assert (labels.values[is_hidden] == best.values[is_hidden]).all()
        assert (read.values[~is_hidden] == best.values[~is_hidden]).all()
        assert (read.values[is_hidden] == hiding_tokenizers.source.sentinels[0]).mean() > 0.6
    assert (epochs[0][1].values != epochs[1][1].values).any()
    batch = next(stream(corpus))
    ends = batch.source.cu_seqlens[1:] - 1
    assert (batch.source.values[ends] == EOS_ID).all() and (batch.labels[ends] == IGNORE_INDEX).all()
    assert batch.num_target_tokens == int((batch.labels != IGNORE_INDEX).sum())


def test_a_classifier_gets_the_number_of_each_label(make: Make, hiding_tokenizers: Tokenizers) -> None:
    _, corpus = make("classification")
    wanted = {tuple(hiding_tokenizers.source.encode(text)): LABELS.index(label(text)) for text, _ in make_pairs(400)}
    batch = next(stream(corpus))
    assert batch.target_input.num_sequences == 0
    assert [wanted[tuple(row[:-1].tolist())] for row in batch.source.unpack()] == batch.labels.tolist()


def test_denoising_by_tokens_asks_for_the_whole_text(make: Make) -> None:
    _, corpus = make("denoising", corruption={"method": "tokens", "permute_sentences": True, "share": 0.3})
    best = corpus._cached(np.arange(40))[0]
    read, target = corpus.pieces(np.arange(40), 0)
    assert (target.values == best.values).all()
    assert 0.2 < (read.values != best.values).mean() < 0.4


def test_in_one_sequence_source_and_target_share_the_positions(make: Make, hiding_tokenizers: Tokenizers) -> None:
    config, _ = make("translation")
    for alpha in (0.0, 0.05):
        model = config.model.model_copy(update={"max_positions": 60})
        tokenizer = config.tokenizer.model_copy(update={"sampling_alpha": alpha})
        corpus = corpus_of(config.model_copy(update={"model": model, "tokenizer": tokenizer}), hiding_tokenizers)
        assert corpus.cleaning_report[0].dropped["too many tokens"] > 0
        source, target = corpus.pieces(np.arange(len(corpus)), 0)
        assert (source.lengths + target.lengths + 2).max() <= 60


def test_several_text_columns_are_texts_of_their_own(table: Path) -> None:
    config = validate(monolingual({"file": str(table), "text_column": ["fr", "en"], "max_examples": 3}, table), "test")
    rows = list(read_rows(config.data.train, config.data, "texts"))
    assert rows == [(text,) for pair in make_pairs(400)[:3] for text in pair]
    clean = list(read_clean_rows(config.data.train, config.data, lambda line: None, "texts"))
    assert clean == rows


def test_a_text_file_is_a_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("Un.\nDeux ?\u2028\n\nTrois\n", encoding="utf-8")
    config = validate(monolingual(str(path), tmp_path / "x"), "test")
    assert [row[0] for row in read_rows(config.data.train, config.data, "texts")] == [
        "Un.",
        "Deux ?\u2028",
        "",
        "Trois",
    ]
    assert len(list(read_clean_rows(config.data.train, config.data, lambda line: None, "texts"))) == 3


def monolingual(source: Any, table: Path) -> dict[str, Any]:
    return {
        "output": "run",
        "data": {"train": source, "cache": str(table.parent / "cache")},
        "model": {"architecture": "decoder_only"},
        "training": {"objective": "language_modeling"},
    }


def labelled(source: Any, cache: Path, labels: tuple[str, ...]) -> Config:
    values = {
        "output": "run",
        "data": {"train": source, "labels": labels, "cache": str(cache)},
        "model": {"architecture": "encoder_only"},
        "training": {"objective": "classification"},
    }
    return validate(values, "test")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "hub", "csv"])
def test_labels_are_text_whole_numbers_or_names_of_classes(tmp_path: Path, kind: str) -> None:
    import datasets

    rows = {"text": ["bon", "mauvais", "bien"], "label": [1, 0, 1]}
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    names = ("0", "1")
    source: dict[str, Any] = {"file": str(tmp_path / f"table.{kind}")}
    if kind == "jsonl":
        (tmp_path / "table.jsonl").write_text(
            "".join(f'{{"text": "{text}", "label": {value}}}\n' for text, value in zip(*rows.values(), strict=True))
        )
    elif kind == "csv":
        (tmp_path / "table.csv").write_text("text,label\nbon,1\nmauvais,0\nbien,1\n")
    elif kind == "parquet":
        datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "table.parquet"))
    else:
        (tmp_path / "hub").mkdir()
        datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "hub" / "train.parquet"))
        source, names = {"hub": str(tmp_path / "hub")}, ("neg", "pos")
    config = labelled(source, tmp_path / "cache", names)
    found = list(read_rows(config.data.train, config.data, "labelled"))
    assert found == [("bon", names[1]), ("mauvais", names[0]), ("bien", names[1])]


def test_a_label_that_is_none_is_named(tmp_path: Path, hiding_tokenizers: Tokenizers) -> None:
    (tmp_path / "table.tsv").write_text("text\tlabel\nbon\tplus\nmal\tminus\nnon\tmeh\n")
    config = labelled(str(tmp_path / "table.tsv"), tmp_path / "cache", ("plus", "minus"))
    expected = r"A label must be one of data\.labels: plus, minus\. Received: 'meh'\."
    with pytest.raises(DataError, match=expected):
        corpus_of(config, hiding_tokenizers)
    rows = list(read_rows(config.data.train, config.data, "labelled"))
    with pytest.raises(DataError, match=expected):
        encode_rows(rows, hiding_tokenizers, config.data, objective_of(config, hiding_tokenizers))


def test_hiding_needs_a_tokenizer_with_sentinels(make: Make, tokenizers: Tokenizers) -> None:
    config, _ = make("denoising")
    with pytest.raises(DataError, match="the tokenizer of this run has none"):
        objective_of(config, tokenizers)
