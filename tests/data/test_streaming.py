from __future__ import annotations

import gzip
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import contents, data_config, make_pairs, sharings, take, write_text

from translator.config import DataConfig, Source
from translator.data import streaming
from translator.data.batching import BatchStream
from translator.data.cleaning import DUPLICATE, IDENTICAL, TOO_MANY_TOKENS
from translator.data.files import DataError
from translator.data.source_stream import SourceStream
from translator.data.streaming import StreamedCorpus, StreamReader, load_stream, stream_rows
from translator.tokenizer import Tokenizers

Pairs = list[tuple[str, str]]


def write_shards(folder: Path, pairs: Pairs, count: int, kind: str) -> dict[str, Any]:
    """Write pairs as shards; returns them as a source."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        rows = pairs[len(pairs) * number // count : len(pairs) * (number + 1) // count]
        name = f"part-{number}"
        if kind in ("parquet", "hub"):
            table = pa.table(dict(zip(("fr", "en"), map(list, zip(*rows, strict=True)), strict=True)))
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=100)
        elif kind == "jsonl.gz":
            lines = "".join(json.dumps({"fr": a, "en": b}) + "\n" for a, b in rows)
            (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        elif kind in ("tsv", "hub-tsv"):
            lines = "".join(f"{a}\t{b}\n" for a, b in [("fr", "en"), *rows])
            (folder / f"{name}.tsv").write_text(lines, encoding="utf-8")
        else:
            write_text(folder, rows, name)
    if kind.startswith("hub"):
        return {"hub": str(folder), "streaming": True}
    if kind == "text":
        return {"text": {"source": str(folder / "part-*.fr"), "target": str(folder / "part-*.en")}, "streaming": True}
    return {"file": str(folder / f"part-*.{kind}"), "streaming": True}


KINDS = ("parquet", "jsonl.gz", "tsv", "text", "hub", "hub-tsv")


def load(data: DataConfig, tokenizers: Tokenizers, **options: Any) -> StreamedCorpus:
    from translator.data.objectives import Translation

    defaults: dict[str, Any] = {"sampling_alpha": 0.0, "seed": 1, "max_positions": 128, "objective": Translation()}
    return load_stream(data, tokenizers, **(defaults | options))


def batches_of(corpus: StreamedCorpus, **options: Any) -> BatchStream:
    return BatchStream(corpus, **({"seed": 1, "batch_tokens": 512} | options))


@pytest.fixture
def pairs() -> Pairs:
    return make_pairs(3000)


@pytest.mark.parametrize("kind", KINDS)
def test_each_pass_holds_every_row_of_every_shard_once(kind: str, tmp_path: Path, pairs: Pairs) -> None:
    source = write_shards(tmp_path / "set", pairs, 3, kind)
    data = data_config(tmp_path / "cache", source, shuffle_rows=500)
    stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    assert stream.num_shards == 3
    passes = [stream.take(3000), stream.take(3000)]
    assert all(sorted(rows) == sorted(pairs) for rows in passes)
    assert passes[0] != passes[1] and passes[0] != pairs
    assert stream.dropped == {}
    assert not (tmp_path / "cache").exists()  # nothing is stored


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [700, 1_000_000])
def test_a_stream_continues_exactly_at_any_position(kind: str, window: int, tmp_path: Path, pairs: Pairs) -> None:
    source = write_shards(tmp_path / "set", pairs[:1500] + pairs[:300] + pairs[1500:2000], 2, kind)
    cleaning = {"duplicate_window": window}
    data = data_config(tmp_path / "cache", source, shuffle_rows=400, cleaning=cleaning)
    whole = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    positions, rows = [], []
    for _ in range(30):
        positions.append(json.loads(json.dumps(whole.position)))  # by value
        rows.append(whole.take(177))
    other = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    for number in (29, 7, 0, 15):
        other.seek(positions[number])
        assert [other.take(177) for _ in range(30 - number)] == rows[number:]


def test_duplicates_are_found_within_the_window_alone(tmp_path: Path, pairs: Pairs) -> None:
    source = write_shards(tmp_path / "set", pairs + pairs[:200], 1, "parquet")
    for window, expected in ((10_000, 200), (1_000, 0)):
        data = data_config(tmp_path / "cache", source, shuffle_rows=500, cleaning={"duplicate_window": window})
        stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
        stream.take(3200 if expected == 0 else 3001)  # the last block has no other rows than duplicates
        assert stream.dropped.get(DUPLICATE, 0) == expected
    data = data_config(tmp_path / "cache", source, cleaning={"drop_duplicates": False})
    assert len(set(SourceStream(data.train[0], 0, data, "pairs", seed=1).take(3200))) == 3000


def test_rows_are_cleaned_filtered_and_limited_like_those_of_a_cached_source(tmp_path: Path) -> None:
    rows = [{"fr": f" a{n} ", "en": f"b{n}", "kind": n % 3} for n in range(30)] + [{"fr": "x", "en": "x", "kind": 1}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"file": str(tmp_path / "a.jsonl"), "streaming": True, "where": {"kind": ["1"]}, "max_examples": 11}
    data = data_config(tmp_path / "cache", source)
    stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    assert sorted(stream.take(10)) == sorted((f"a{n}", f"b{n}") for n in range(1, 30, 3))
    assert stream.dropped == {IDENTICAL: 1}
    data = data_config(tmp_path / "cache", source | {"max_examples": 4})
    assert len(set(SourceStream(data.train[0], 0, data, "pairs", seed=1).take(8))) == 4


def test_the_end_of_the_first_pass_is_logged_once(
    tmp_path: Path, pairs: Pairs, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_shards(tmp_path / "set", pairs[:100], 2, "tsv")
    data = data_config(tmp_path / "cache", source)
    with caplog.at_level(logging.WARNING):
        SourceStream(data.train[0], 0, data, "pairs", seed=1, is_logged=True).take(350)
        SourceStream(data.train[0], 0, data, "pairs", seed=1).take(350)
    assert [record.message.split("ended")[1] for record in caplog.records] == [
        " after 100 rows; it is read again, in another order"
    ]


def test_a_stream_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    source = write_shards(tmp_path / "set", [("a", "a"), ("b", "b")], 1, "tsv")
    data = data_config(tmp_path / "cache", source)
    with pytest.raises(
        DataError, match=r"at least one row that cleaning keeps. Received: .*, which ended after 2 rows"
    ):
        SourceStream(data.train[0], 0, data, "pairs", seed=1).take(1)


@pytest.mark.parametrize("kind", ["jsonl.gz", "hub"])
def test_a_stream_that_breaks_off_is_one_clear_error(kind: str, tmp_path: Path, pairs: Pairs) -> None:
    source = write_shards(tmp_path / "set", pairs, 2, kind)
    data = data_config(tmp_path / "cache", source, shuffle_rows=300)
    stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    stream.take(100)
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(path.read_bytes()[:-200] + bytes(200 if kind == "jsonl.gz" else 0))
    with pytest.raises(DataError, match=r"(must be a readable file|must be reachable).* Received: "):
        stream.take(6000)


@pytest.mark.parametrize("change", ["cut in a row", "cut after a row", "longer", "missing"])
@pytest.mark.parametrize("kind", ["jsonl.gz", "tsv", "text", "hub-tsv"])
def test_a_streamed_file_that_changes_during_a_run_is_an_error_and_resumes_when_it_is_restored(
    kind: str, change: str, tmp_path: Path, pairs: Pairs
) -> None:
    source = write_shards(tmp_path / "set", pairs, 2, kind)
    data = data_config(tmp_path / "cache", source, shuffle_rows=300)
    stream = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    stream.take(100)
    place = stream.position
    contents = {path: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    for path, content in contents.items():
        if change == "missing":
            path.unlink()
        elif change == "longer":
            path.write_bytes(2 * content)
        else:
            half = content[: len(content) // 2 + 1]
            path.write_bytes(half if change == "cut in a row" else half.rpartition(b"\n")[0] + b"\n")
    found = "which cannot be found any more" if change == "missing" else r"of [\d,]+ bytes and of [\d,]+ at the start"
    with pytest.raises(DataError, match=rf"must not change during a run\. Received: .*part-\d\.\S+, {found}.* Restore"):
        stream.take(6000)
    for path, content in contents.items():
        path.write_bytes(content)
    again = SourceStream(data.train[0], 0, data, "pairs", seed=1)
    again.seek(place)
    assert len(again.take(6000)) == 6000


def test_patterns_that_match_nothing_or_differently_are_refused(tmp_path: Path, pairs: Pairs) -> None:
    for source, message in (
        ({"file": str(tmp_path / "no-*.tsv")}, r"Received: .*no-\*\.tsv, a pattern that matches none"),
        ({"text": {"source": str(tmp_path / "*.fr"), "target": str(tmp_path / "*.en")}}, "which match 2 and 1 files"),
    ):
        for name in ("a.fr", "a.en", "b.fr"):
            (tmp_path / name).write_text("x\n")
        data = data_config(tmp_path / "cache", source | {"streaming": True})
        with pytest.raises(DataError, match=message):
            SourceStream(data.train[0], 0, data, "pairs", seed=1)


def test_a_file_whose_name_looks_like_a_pattern_is_read(tmp_path: Path) -> None:
    (tmp_path / "a[1].tsv").write_text("fr\ten\na\tb\n")
    data = data_config(tmp_path / "cache", {"file": str(tmp_path / "a[1].tsv"), "streaming": True})
    assert SourceStream(data.train[0], 0, data, "pairs", seed=1).take(1) == [("a", "b")]


@pytest.fixture
def mixed(tmp_path: Path) -> DataConfig:
    """Two streams of several shards; the first has three quarters of the mixture."""
    first = write_shards(tmp_path / "first", make_pairs(2500, seed=1), 3, "parquet") | {"weight": 3}
    second = write_shards(tmp_path / "second", make_pairs(2500, seed=2), 2, "text")
    return data_config(tmp_path / "cache", first, second, shuffle_rows=600)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_batches_continue_exactly_from_a_state_with_any_number_of_workers(
    alpha: float, mixed: DataConfig, tokenizers: Tokenizers
) -> None:
    corpus = load(mixed, tokenizers, sampling_alpha=alpha)
    whole = take(batches_of(corpus), 60)
    for workers in (0, 2):
        batches = batches_of(corpus, workers=workers)
        assert take(batches, 25) == whole[:25]
        state = json.loads(json.dumps(batches.state_dict()))
        batches.close()
        again = batches_of(load(mixed, tokenizers, sampling_alpha=alpha), workers=2 - workers)
        again.load_state_dict(state)
        assert take(again, 35) == whole[25:]
        again.load_state_dict(state)  # drops what the workers prepared
        assert take(again, 5) == whole[25:30]
        again.close()
    assert not Path(str(mixed.cache)).exists()


def test_ranks_interleave_to_the_batches_of_one(mixed: DataConfig, tokenizers: Tokenizers) -> None:
    corpus = load(mixed, tokenizers)
    whole = take(batches_of(corpus), 20)
    ranks = [take(batches_of(corpus, rank=rank, world_size=2), 10) for rank in (0, 1)]
    assert [batch for pair in zip(*ranks, strict=True) for batch in pair] == whole


def test_ranks_that_share_the_tokenization_get_the_batches_of_one(mixed: DataConfig, tokenizers: Tokenizers) -> None:
    corpus = load(mixed, tokenizers)
    whole = take(batches_of(corpus), 24)
    both = sharings(2)

    def run(rank: int) -> tuple[list[Any], dict[str, Any]]:
        batches = batches_of(corpus, rank=rank, world_size=2, sharing=both[rank])
        return take(batches, 10), batches.state_dict()

    with ThreadPoolExecutor(2) as pool:
        (first, state), (second, other_state) = pool.map(run, range(2))
    assert [batch for pair in zip(first, second, strict=True) for batch in pair] == whole[:20]
    assert state == other_state
    alone = batches_of(corpus)
    alone.load_state_dict(state)
    assert take(alone, 4) == whole[20:]


def test_readers_with_a_share_read_the_chunks_of_one_and_end_at_the_same_positions(
    mixed: DataConfig, tokenizers: Tokenizers
) -> None:
    corpus = load(mixed, tokenizers, sampling_alpha=0.2)

    def chunks(reader: StreamReader, count: int) -> list[list[list[int]]]:
        return [[chunk.source[row].tolist() for row in range(len(chunk))] for chunk in islice(reader, count)]

    one = corpus.read(1, (200, 200), 0)
    whole, places = [], []
    for _ in range(6):
        whole += chunks(one, 1)
        places.append(one.position)
    for own in (0, 1, 2):
        shared = corpus.read(1, (200, 200), 0, (own, 3))
        assert chunks(shared, 2) == whole[own::3]
        assert shared.ends == places[3:] and shared.position == places[5]


def test_the_shares_of_a_mixture_follow_weights_and_temperature(mixed: DataConfig) -> None:
    for temperature, expected in ((1.0, 0.75), (5.0, 3**0.2 / (3**0.2 + 1))):
        data = mixed.model_copy(update={"mixing_temperature": temperature})
        assert streaming.mixture(data)[0] == pytest.approx(expected)
    first = set(make_pairs(2500, seed=1))
    rows = list(stream_rows(mixed, "pairs", 400, seed=1))
    assert len(rows) == 400 and sum(row in first for row in rows) == pytest.approx(300, abs=2)


def test_every_chunk_mixes_its_sources(mixed: DataConfig, tokenizers: Tokenizers) -> None:
    reader = load(mixed, tokenizers).read(1, (200, 200), 0)
    first = {source for source, _ in make_pairs(2500, seed=1)}
    found = []
    for _ in range(4):
        task, _ = reader._read_round()
        origins = [row[0] in first for row in task.examples]
        found.append(sum(origins[:512]) / 512)
    assert np.mean(found) == pytest.approx(0.75, abs=0.05) and len(set(found)) > 1


def test_the_fingerprint_follows_content_not_place(tmp_path: Path, pairs: Pairs, tokenizers: Tokenizers) -> None:
    def fingerprint(name: str, rows: Sequence[tuple[str, str]], **options: Any) -> str:
        source = write_shards(tmp_path / name, list(rows), 2, "tsv")
        return load(data_config(tmp_path / "cache", source, **options), tokenizers).fingerprint

    here = fingerprint("a", pairs)
    assert fingerprint("b", pairs) == here
    assert fingerprint("c", [("tu", "ut"), *pairs[1:]]) != here
    assert fingerprint("a", pairs, shuffle_rows=77) != here


def test_the_report_is_of_the_first_rows(tmp_path: Path, tokenizers: Tokenizers) -> None:
    source = write_shards(tmp_path / "set", [*make_pairs(500), ("la " * 300, "al " * 300)], 1, "tsv")
    corpus = load(data_config(tmp_path / "cache", source), tokenizers)
    (report,) = corpus.report((512, 512))
    assert "(first 501 rows)" in report.name
    assert (report.read, report.kept, report.dropped) == (501, 500, {TOO_MANY_TOKENS: 1})
    lengths = [batch.num_target_tokens / len(contents(batch)[1]) for batch in islice(batches_of(corpus), 20)]
    assert corpus.mean_target_length == pytest.approx(np.mean(lengths), rel=0.1)


def test_a_stream_of_which_nothing_fits_the_model_is_refused(tmp_path: Path, tokenizers: Tokenizers) -> None:
    source = write_shards(tmp_path / "set", [("la " * 300, "al " * 300)], 1, "tsv")
    with pytest.raises(DataError, match=r"none of the first rows of .* fits the model. Change model.max_positions"):
        load(data_config(tmp_path / "cache", source), tokenizers)


def test_streaming_is_set_for_all_sources_or_for_none() -> None:
    with pytest.raises(ValueError, match=r"set streaming: true for all of its sources or for none. Received: 1 of 2."):
        data_config(Path("cache"), {"file": "a.tsv", "streaming": True}, {"file": "b.tsv"})


def test_texts_of_several_columns_are_streamed_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\ty\n" + "".join(f"un {n}\tdeux {n}\n" for n in range(20)))
    source = Source(file=str(tmp_path / "a.tsv"), streaming=True, text_column=("x", "y"))
    data = DataConfig(train=(source,), cache=str(tmp_path / "cache"))
    rows = SourceStream(source, 0, data, "texts", seed=1).take(40)
    assert Counter(rows) == Counter((f"{word} {n}",) for n in range(20) for word in ("un", "deux"))


Make = Callable[..., Any]


def test_a_temperature_draws_more_from_small_cached_sources(make_corpus: Make, tokenizers: Tokenizers) -> None:
    from translator.data.mixing import tempered_weights

    assert tempered_weights((1.0, 2.0), (100, 50), 1.0) == (1.0, 2.0)
    weights = tempered_weights((1.0, 1.0), (900, 100), 2.0)
    assert weights == pytest.approx((0.75 * 1000 / 900, 0.25 * 1000 / 100))
    assert tempered_weights((1.0, 1.0), (900, 0), 2.0) == (1.0, 0.0)
