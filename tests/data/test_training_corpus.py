from __future__ import annotations

import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import data_config, make_pairs, write_text

from translator.config import DataConfig, Source
from translator.data.cleaning import LONGER_THAN_BATCH, SourceReport, find_duplicates, table
from translator.data.corpus import Corpus, DataError, encode_rows, load_corpus, read_clean_rows
from translator.data.sources import describe
from translator.tokenizer import EOS_ID, Tokenizers

Make = Callable[..., Corpus]
LONG = "la " * 800


def load(data: DataConfig, tokenizers: Tokenizers, **options: Any) -> Corpus:
    defaults: dict[str, Any] = {"sampling_alpha": 0.0, "seed": 1, "max_positions": 128, "log": lambda line: None}
    return load_corpus(data.train, data, tokenizers, **(defaults | options))


def texts(corpus: Corpus, tokenizers: Tokenizers) -> list[tuple[str, str]]:
    examples = corpus.encode(np.arange(len(corpus)), epoch=0)
    return [(tokenizers.source.decode(e.source), tokenizers.target.decode(e.target)) for e in examples]


def test_each_reason_to_drop_a_pair_is_counted_and_shown(tmp_path: Path, tokenizers: Tokenizers) -> None:
    good = [("la to vi", "ot iv al"), ("mo", "om"), ("sa " * 12 + "fin", "as " * 12)]
    bad = [
        ("", "x"),
        ("x", " \u00a0 "),
        ("x", ""),
        (LONG, LONG),
        ("la la la la la la la la", "al"),
        ("mo mo", "mo mo"),
        good[0],
        (f" {good[1][0]} ", good[1][1]),
    ]
    source = write_text(tmp_path, good + bad)
    with Path(source["text"]["source"]).open("ab") as file:
        file.write(b"caf\xe9\n")
    with Path(source["text"]["target"]).open("ab") as file:
        file.write(b"coffee\n")
    lines: list[str] = []
    corpus = load(data_config(tmp_path / "cache", source), tokenizers, max_positions=60, log=lines.append)
    assert corpus.cleaning_report[0].dropped == {
        "empty": 3,
        "too long": 1,
        "length ratio": 1,
        "identical": 1,
        "duplicate": 2,
        "undecodable": 1,
        "too many tokens": 0,
    }
    assert (corpus.cleaning_report[0].read, corpus.cleaning_report[0].kept, len(corpus)) == (12, 3, 3)
    assert texts(corpus, tokenizers) == [(a.strip(), b.strip()) for a, b in good]
    header, row = table(corpus.cleaning_report).splitlines()
    assert header.split("  ")[0].strip() == "source" and "too many tokens" not in header
    tokens = sum(len(example.target) + 1 for example in corpus.encode(np.arange(3), 0))
    assert len(header) == len(row) and row.split()[-2:] == ["3", str(tokens)]


def test_invisible_characters_are_removed_before_pairs_are_compared(tmp_path: Path, tokenizers: Tokenizers) -> None:
    pairs = [("la to vi", "ot iv al"), ("\u202ala t\u00ado\ufe0f vi\u202c", "\ufeffot iv al"), ("\u200b \u2060", "om")]
    corpus = load(data_config(tmp_path / "cache", write_text(tmp_path, pairs)), tokenizers)
    assert (corpus.cleaning_report[0].dropped["duplicate"], corpus.cleaning_report[0].dropped["empty"]) == (1, 1)
    assert texts(corpus, tokenizers) == [pairs[0]]


def test_pairs_with_too_many_tokens_are_dropped_and_counted(tmp_path: Path, tokenizers: Tokenizers) -> None:
    pairs = make_pairs(200)
    data = data_config(tmp_path / "cache", write_text(tmp_path, pairs))
    lengths = np.stack([side.lengths + 1 for side in encode_rows(pairs, tokenizers, data)]).max(axis=0)
    corpus = load(data, tokenizers, max_positions=40)
    assert corpus.cleaning_report[0].dropped["too many tokens"] == sum(length > 40 for length in lengths) > 0
    assert len(corpus) == sum(length <= 40 for length in lengths)
    assert max(corpus.longest) <= 40


def test_a_corpus_with_nothing_left_is_an_error(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = data_config(tmp_path / "cache", write_text(tmp_path, [("la", "la")]))
    with pytest.raises(DataError, match=r"at least one example, and none is left after cleaning:\nsource .* identical"):
        load(data, tokenizers)


def test_duplicates_are_dropped_across_sources_and_only_if_asked(tmp_path: Path, tokenizers: Tokenizers) -> None:
    pairs = make_pairs(300)
    sources = write_text(tmp_path, pairs, "a"), write_text(tmp_path, pairs[100:] + pairs[:7], "b")
    corpus = load(data_config(tmp_path / "cache", *sources), tokenizers)
    assert [report.kept for report in corpus.cleaning_report] == [300, 0]
    assert corpus.cleaning_report[1].dropped["duplicate"] == 207
    kept = load(data_config(tmp_path / "cache", *sources, cleaning={"drop_duplicates": False}), tokenizers)
    assert len(kept) == 507
    assert kept.fingerprint != corpus.fingerprint


def test_the_first_of_equal_hashes_stays() -> None:
    hashes = np.array([5, 3, 5, 5, 3, 9], np.uint64)
    assert sorted(find_duplicates(hashes, np.arange(10, 16)).tolist()) == [12, 13, 14]


def test_table_is_aligned_and_omits_reasons_that_dropped_nothing() -> None:
    reports = [
        SourceReport("a", 1200, 1000, {"empty": 200}),
        SourceReport("longer", 5, 4, {"empty": 0, "identical": 1}),
    ]
    assert table(reports) == (
        "source   read  empty  identical   kept\n"
        "a       1,200    200          0  1,000\n"
        "longer      5      0          1      4"
    )


def test_table_states_target_tokens_and_what_is_longer_than_a_batch() -> None:
    reports = [SourceReport("a", 105, 100, {LONGER_THAN_BATCH: 5}, target_tokens=2290, left_out_tokens=1755)]
    assert table(reports) == (
        "source  read  longer than a batch  kept  target tokens\n"
        "a        105                    5   100          2,290\n"
        "5 examples with 1,755 target tokens are longer than a batch and are left out. "
        "A larger training.batch_tokens keeps them."
    )


def test_table_shortens_the_name_of_a_source_with_a_long_where() -> None:
    where = {"source": [f"collection-{number}" for number in range(40)]}
    name = describe(Source.model_validate({"file": "/data/corpus.parquet", "where": where}))
    assert len(name) > 500
    header, row = table([SourceReport(name, 10, 10, {})]).splitlines()
    assert len(row) == len(header) < 90
    assert row.startswith("/data/corpus.parquet: collection-0") and "…" in row and "collection-39  " in row


def test_examples_are_the_tokenizers_ids(make_corpus: Make, tokenizers: Tokenizers) -> None:
    corpus = make_corpus(500)
    pairs = make_pairs(500)
    rows = np.array([499, 0, 7, 7])
    for example, row in zip(corpus.encode(rows, epoch=3), rows, strict=True):
        assert example.source.tolist() == [*tokenizers.source.encode(pairs[row][0]), EOS_ID]
        assert example.target.tolist() == tokenizers.target.encode(pairs[row][1])


def test_lengths_are_measured_as_the_mixture_has_them(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    examples = corpus.encode(np.arange(500), epoch=0)
    source, target = sum(len(e.source) for e in examples), sum(len(e.target) + 1 for e in examples)
    assert corpus.length_ratio == pytest.approx(source / target)
    assert corpus.mean_target_length == pytest.approx(target / 500)
    assert corpus.longest == (max(len(e.source) for e in examples), max(len(e.target) + 1 for e in examples))
    first, second, mixed = make_corpus(500), make_corpus(500, weights=(0, 1)[1:]), make_corpus(500, weights=(3, 1))
    assert first.length_ratio == second.length_ratio != mixed.length_ratio


def test_the_fingerprint_is_of_content_not_of_paths(tmp_path: Path, tokenizers: Tokenizers) -> None:
    fingerprints = []
    for name, pairs in (("a", make_pairs(50)), ("b", make_pairs(50)), ("c", make_pairs(51))):
        (tmp_path / name).mkdir()
        data = data_config(tmp_path / name / "cache", write_text(tmp_path / name, pairs))
        fingerprints.append(load(data, tokenizers).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_what_changes_the_batches_changes_the_fingerprint(make_corpus: Make) -> None:
    corpora = [
        make_corpus(50),
        make_corpus(50, alpha=0.2),
        make_corpus(50, weights=(2,)),
        make_corpus(50, max_positions=64),
    ]
    assert len({corpus.fingerprint for corpus in corpora}) == 4


def test_the_cache_is_used_and_notices_changes(tmp_path: Path, tokenizers: Tokenizers) -> None:
    source = write_text(tmp_path, make_pairs(50))
    data = data_config(tmp_path / "cache", source)
    load(data, tokenizers)
    lines: list[str] = []
    corpus = load(data, tokenizers, log=lines.append)
    assert not lines and len(corpus) == 50  # nothing was read
    write_text(tmp_path, make_pairs(60))
    assert len(load(data, tokenizers)) == 60
    other = data_config(tmp_path / "cache", source, cleaning={"max_characters": 30})
    assert len(load(other, tokenizers)) < 60


def test_a_half_written_cache_is_never_used(
    tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_config(tmp_path / "cache", write_text(tmp_path, make_pairs(50)))

    def interrupt(self: object, count: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("translator.data.ids.Progress.reached", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(data, tokenizers)
    leftovers = [path for path in (tmp_path / "cache").glob("*/*") if path.suffix != ".lock"]
    assert all((path / "meta.json").exists() for path in leftovers)
    assert len(load(data, tokenizers)) == 50


def test_two_processes_build_one_cache_at_once(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = data_config(tmp_path / "cache", write_text(tmp_path, make_pairs(3000)))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [
        context.Process(target=lambda: queue.put(load(data, tokenizers).fingerprint), daemon=True) for _ in range(3)
    ]
    for process in processes:
        process.start()
    fingerprints = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert fingerprints == {load(data, tokenizers).fingerprint}
    assert len([path for path in (tmp_path / "cache" / "ids").iterdir() if path.is_dir()]) == 1


def test_ids_take_the_smallest_type_that_holds_them(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = data_config(tmp_path / "cache", write_text(tmp_path, make_pairs(50)))
    corpus = load(data, tokenizers)
    assert corpus.pieces(np.arange(3), epoch=0)[0].values.dtype == np.uint16


def test_drawn_pieces_are_a_function_of_seed_epoch_example_and_side(make_corpus: Make, tokenizers: Tokenizers) -> None:
    corpus = make_corpus(400, alpha=0.1)
    rows = np.arange(100)

    def draw(corpus: Corpus, rows: np.ndarray, epoch: int) -> list[list[int]]:
        return [example.source.tolist() for example in corpus.encode(rows, epoch)]

    first = draw(corpus, rows, 0)
    assert draw(corpus, rows, 0) == first
    assert draw(corpus, rows[::-1].copy(), 0) == first[::-1]
    assert draw(pickle.loads(pickle.dumps(corpus)), rows, 0) == first
    assert sum(a != b for a, b in zip(draw(corpus, rows, 1), first, strict=True)) > 80
    assert [tokenizers.source.decode(ids) for ids in first] == [pair[0] for pair in make_pairs(400)[:100]]


def test_a_draw_that_is_too_long_gives_way_to_the_best_split(make_corpus: Make, tokenizers: Tokenizers) -> None:
    corpus = make_corpus(400, alpha=0.01)
    best = [example.source for example in make_corpus(400).encode(np.arange(400), 0)]
    drawn = corpus.pieces(np.arange(400), epoch=0, longest=(30, 30))[0]
    assert (drawn.lengths < np.maximum(30, [len(ids) for ids in best])).all()
    assert sum(len(ids) > 30 for ids in best) == (drawn.lengths >= 30).sum() > 0


def test_clean_pairs_are_what_a_tokenizer_learns_from(tmp_path: Path) -> None:
    pairs = make_pairs(100)
    source = write_text(tmp_path, [*pairs, pairs[0], ("", "x")])
    data = data_config(tmp_path / "cache", source)
    assert list(read_clean_rows(data.train, data, log=lambda line: None)) == pairs


def test_a_cache_that_vanishes_is_made_again(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = data_config(tmp_path / "cache", write_text(tmp_path, make_pairs(50)))
    fingerprint = load(data, tokenizers).fingerprint
    shutil.rmtree(tmp_path / "cache")
    assert load(data, tokenizers).fingerprint == fingerprint
