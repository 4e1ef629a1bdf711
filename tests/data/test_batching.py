from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import contents, data_config, make_pairs, sharings, stream, take, write_text

from translator.config import ModelConfig
from translator.data.batch import Capacity
from translator.data.batching import make_batches
from translator.data.cleaning import LONGER_THAN_BATCH
from translator.data.corpus import Corpus, DataError, load_corpus
from translator.data.objectives import Translation
from translator.data.store import IntArray, Ragged
from translator.model import build_model
from translator.packing import IGNORE_INDEX, Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizers

Make = Callable[..., Corpus]
MULTI30K = Path(__file__).parents[3] / "shared" / "data" / "multi30k" / "train.parquet"  # beside the repository


def test_source_target_input_and_labels_are_shifted_as_they_should_be(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    examples = {(*e.source.tolist(),): e.target.tolist() for e in corpus.encode(np.arange(500), 0)}
    batch = next(stream(corpus))
    labels = batch.target_input.with_values(batch.labels).unpack()
    assert batch.index == 0
    assert batch.num_target_tokens == len(batch.labels) == len(batch.target_input.values)
    for source, target_input, label in zip(batch.source.unpack(), batch.target_input.unpack(), labels, strict=True):
        target = examples[(*source.tolist(),)]
        assert source[-1] == EOS_ID
        assert target_input.tolist() == [BOS_ID, *target]
        assert label.tolist() == [*target, EOS_ID]
    assert batch.source.values.dtype == batch.labels.dtype == torch.int64
    assert batch.source.cu_seqlens.dtype == torch.int32
    assert batch.source.max_seqlen == int(batch.source.lengths.max())


def test_an_epoch_shows_each_example_once_and_streams_into_the_next(make_corpus: Make) -> None:
    corpus = make_corpus(700)
    seen: Counter[tuple[int, ...]] = Counter()
    batches = stream(corpus)
    epochs = 0
    for batch in batches:
        seen.update(tuple(row.tolist()) for row in batch.source.unpack())
        epochs = sum(seen.values()) // 700
        if epochs == 4:
            break
    # What the buffer still holds may be an epoch late, never more.
    assert len(seen) == 700
    assert min(seen.values()) >= 3 and max(seen.values()) <= 5


def test_weights_are_honoured_in_batches(make_corpus: Make) -> None:
    corpus = make_corpus(600, weights=(2.0, 0.5))
    first = {(*example.source.tolist(),) for example in corpus.encode(np.arange(600), 0)}
    rows = [tuple(row.tolist()) for batch in islice(stream(corpus), 300) for row in batch.source.unpack()]
    assert sum(row in first for row in rows) / len(rows) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_batches_stay_within_both_budgets_and_are_98_percent_full(make_corpus: Make, alpha: float) -> None:
    batches = stream(make_corpus(3000, alpha=alpha), batch_tokens=2048)
    filled, capacity = [], batches.capacity
    for batch in islice(batches, 60):
        assert batch.num_target_tokens <= 2048 and len(batch.source.values) <= capacity.source_tokens
        assert batch.source.num_sequences <= capacity.sequences
        filled.append(batch.num_target_tokens / 2048)
    assert np.mean(filled) >= 0.98


@pytest.mark.skipif(not MULTI30K.exists(), reason=f"Multi30k is not at {MULTI30K}")
def test_batches_of_real_text_are_98_percent_full(tmp_path: Path) -> None:
    from translator.config import TokenizerConfig
    from translator.data.corpus import load_corpus, read_rows
    from translator.tokenizer import Tokenizers

    data = data_config(tmp_path, {"file": str(MULTI30K), "max_examples": 5000})
    tokenizers = Tokenizers.train(read_rows(data.train, data), TokenizerConfig(vocab_size=1000), seed=1)
    corpus = load_corpus(
        data.train, data, tokenizers, sampling_alpha=0.0, seed=1, max_positions=256, log=lambda line: None
    )
    for batch_tokens in (1024, 4096):
        batches = stream(corpus, batch_tokens=batch_tokens)
        assert np.mean([next(batches).num_target_tokens for _ in range(50)]) >= 0.98 * batch_tokens


def test_long_sentences_wait_no_longer_than_the_next_batch(make_corpus: Make) -> None:
    """Each example leaves the buffer within two batches of the place where its turn was."""
    corpus = make_corpus(2000)
    batches = stream(corpus, batch_tokens=256)
    places = {(*e.source.tolist(),): place for place, e in enumerate(corpus.encode(batches._reader._order.epoch(0), 0))}
    reached = 0
    for batch in islice(batches, 100):
        here = sorted(places[tuple(row.tolist())] for row in batch.source.unpack())
        behind = [place for place in here if place < reached]
        # What was passed over comes before anything new that is as far along as the last batch's head.
        assert all(reached - place < 200 for place in behind)
        reached = max(reached, here[len(here) // 2])


def test_batches_are_unbiased_in_length(make_corpus: Make) -> None:
    corpus = make_corpus(3000)
    batches = stream(corpus, batch_tokens=512)
    means = [float(next(batches).target_input.lengths.float().mean()) for _ in range(80)]
    assert np.mean(means[:20]) == pytest.approx(np.mean(means[60:]), rel=0.05)
    assert np.mean(means) == pytest.approx(corpus.mean_target_length, rel=0.03)


def test_batch_k_is_a_function_of_seed_and_corpus(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    assert take(stream(corpus), 50) == take(stream(corpus), 50)
    assert take(stream(corpus, seed=2), 3) != take(stream(corpus), 3)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize("cut", [0, 1, 7, 23])
def test_a_resumed_stream_is_the_uninterrupted_one(make_corpus: Make, alpha: float, cut: int) -> None:
    corpus = make_corpus(300, alpha=alpha)  # some 9 batches an epoch: the run crosses borders
    whole = take(stream(corpus), 45)
    first = stream(corpus)
    assert take(first, cut) == whole[:cut]
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second = stream(corpus)
    next(second)  # where it stood before does not matter
    second.load_state_dict(torch.load(buffer, weights_only=True))
    assert take(second, 45 - cut) == whole[cut:]


def test_state_holds_the_buffer_by_value(make_corpus: Make) -> None:
    """The state of a stream restores buffered examples without the corpus that they came from."""
    corpus = make_corpus(3000)
    batches = stream(corpus, batch_tokens=2048)
    take(batches, 5)
    state = batches.state_dict()
    expected = take(batches, 1)
    resumed = stream(corpus, batch_tokens=2048)
    resumed.load_state_dict(state)
    resumed._reader = None  # type: ignore[assignment]  # nothing can be read: the next batch is in the buffer
    assert take(resumed, 1) == expected


def test_state_of_an_earlier_version_is_refused(make_corpus: Make) -> None:
    batches = stream(make_corpus(300))
    state = batches.state_dict()
    del state["position"]
    with pytest.raises(DataError, match=r"was written by an earlier version, and training cannot resume from it"):
        batches.load_state_dict(state)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_interleave_to_the_stream_of_one(make_corpus: Make, world_size: int) -> None:
    corpus = make_corpus(300, alpha=0.2)
    whole = take(stream(corpus), 24)
    ranks = [stream(corpus, rank=rank, world_size=world_size) for rank in range(world_size)]
    parts = [take(rank, 4) for rank in ranks]
    assert [batch for round_ in zip(*parts, strict=True) for batch in round_] == whole[: 4 * world_size]
    assert all(rank.state_dict() == ranks[0].state_dict() for rank in ranks)
    alone = stream(corpus)
    alone.load_state_dict(ranks[0].state_dict())
    assert take(alone, 5) == whole[4 * world_size : 4 * world_size + 5]
    ranks[1].load_state_dict(ranks[0].state_dict())
    assert take(ranks[1], 1) == [whole[4 * world_size + 1]]


@pytest.mark.parametrize("workers", [0, 1])
def test_ranks_that_share_the_reading_get_the_batches_of_one_and_read_each_example_once(
    make_corpus: Make, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(3000, alpha=0.2)
    whole = take(stream(corpus, batch_tokens=512), 24)
    read: dict[str, int] = Counter()

    def pieces(self: Corpus, examples: IntArray, *rest: Any) -> tuple[Ragged, Ragged]:
        read[threading.current_thread().name] += len(examples)
        return original(self, examples, *rest)

    original = Corpus.pieces
    monkeypatch.setattr(Corpus, "pieces", pieces)
    both = sharings(2)

    def run(rank: int) -> tuple[list[Any], dict[str, Any]]:
        threading.current_thread().name = f"rank {rank}"
        batches = stream(
            corpus,
            batch_tokens=512,
            rank=rank,
            world_size=2,
            workers=workers,
            sharing=both[rank],
        )
        with closing(batches):
            return take(batches, 10), batches.state_dict()

    with ThreadPoolExecutor(2) as pool:
        (first, state), (second, other_state) = pool.map(run, range(2))
    assert [batch for pair in zip(first, second, strict=True) for batch in pair] == whole[:20]
    assert state == other_state
    alone = stream(corpus, batch_tokens=512)
    alone.load_state_dict(state)
    assert take(alone, 4) == whole[20:]
    if not workers:
        assert read["rank 0"] > 1000 and 0 <= read["rank 0"] - read["rank 1"] <= 1024, read


def test_a_state_of_another_stream_is_refused(make_corpus: Make) -> None:
    state = stream(make_corpus(300)).state_dict()
    for other in (
        stream(make_corpus(301)),
        stream(make_corpus(300), seed=2),
        stream(make_corpus(300), batch_tokens=511),
    ):
        with pytest.raises(DataError, match=r"must have the same training data, seed and training\.batch_tokens"):
            other.load_state_dict(state)
    odd = stream(make_corpus(300))
    next(odd)
    with pytest.raises(DataError, match=r"divisible by the number of processes\. Received: batch 1, 2 processes"):
        stream(make_corpus(300), world_size=2).load_state_dict(odd.state_dict())


def test_static_shapes_are_the_same_in_every_batch_and_hold_the_same_sentences(make_corpus: Make) -> None:
    corpus = make_corpus(500)
    batches = stream(corpus)
    for plain in islice(batches, 20):
        capacity = batches.capacity
        batch, count = plain.padded(capacity), plain.num_target_tokens
        assert batch.num_target_tokens == count and batch.seeds.shape == (capacity.sequences,)
        assert contents(batch) == contents(plain)
        assert batch.source.values.shape == (capacity.source_tokens,)
        assert batch.target_input.values.shape == batch.labels.shape == (512,)
        assert batch.source.cu_seqlens.shape == batch.target_input.cu_seqlens.shape == (capacity.sequences + 1,)
        longest = max(int(each.lengths.max()) for each in (plain.source, plain.target_input))
        bound = corpus.max_positions if longest > 64 else min(64, corpus.max_positions)
        assert batch.source.max_seqlen == batch.target_input.max_seqlen == bound
        assert batch.target_input.cu_seqlens[-1] == count
        assert (batch.labels[count:] == IGNORE_INDEX).all() and (batch.target_input.values[count:] == EOS_ID).all()
        assert (batch.labels[:count] >= 0).all()


def test_a_batch_has_one_of_two_bounds_on_lengths() -> None:
    """The lower one if all its sequences, source and target, have up to 64 tokens; a smaller limit is the only one."""
    short, longer = (Packed.from_sequences([[5] * length, [6]]) for length in (64, 65))
    capacity = Capacity(source_tokens=200, target_tokens=200, sequences=4, max_seqlen=512)
    assert capacity.bound(short, short) == capacity.bound(short) == 64
    assert capacity.bound(short, longer) == capacity.bound(longer, short) == 512
    assert replace(capacity, max_seqlen=40).bound(Packed.from_sequences([[5]])) == 40


def test_a_batch_too_small_for_the_corpus_is_refused(make_corpus: Make) -> None:
    with pytest.raises(
        DataError, match=r"at most 5% of the examples.*Received: 20; \d+ of 500 examples .* longer than a batch"
    ):
        stream(make_corpus(500), batch_tokens=20)


def test_few_examples_with_many_tokens_are_not_left_out_either(tmp_path: Path, tokenizers: Tokenizers) -> None:
    """5 of 105 examples are below the limit, but they hold a third of the target tokens."""
    long = [("la mo " * 60 + str(number), "al om " * 60 + str(number)) for number in range(5)]
    data = data_config(tmp_path / "cache", write_text(tmp_path, make_pairs(100) + long))
    corpus = load_corpus(
        data.train, data, tokenizers, sampling_alpha=0.0, seed=1, max_positions=512, log=lambda line: None
    )
    with pytest.raises(DataError, match=r"5 of 105 examples with [\d,]+ of [\d,]+ target tokens are longer") as caught:
        stream(corpus, batch_tokens=100)
    numbers = re.search(r"with ([\d,]+) of ([\d,]+) target tokens", str(caught.value))
    assert numbers
    tokens, total = (int(number.replace(",", "")) for number in numbers.groups())
    lengths = corpus.lengths(slice(0, 105))[1]
    assert (tokens, total) == (lengths[100:].sum(), lengths.sum())


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_the_few_pairs_longer_than_a_batch_are_left_out_and_counted(make_corpus: Make, alpha: float) -> None:
    corpus = make_corpus(500, alpha=alpha)
    source, target = corpus.lengths(slice(0, 500))
    budget = int(np.quantile(target, 0.98))
    batches = stream(corpus, batch_tokens=budget)
    fits = (source <= batches.capacity.source_tokens) & (target <= budget)
    (report,) = batches.report
    assert report.dropped[LONGER_THAN_BATCH] == (~fits).sum() > 0
    assert report.kept == fits.sum()
    assert (report.target_tokens, report.left_out_tokens) == (target[fits].sum(), target[~fits].sum())
    seen: set[tuple[int, ...]] = set()
    for batch in islice(batches, 400):
        seen.update(tuple(row.tolist()) for row in batch.target_input.unpack())
        assert len(batch.labels) <= budget
    if alpha == 0:
        assert len(seen) <= fits.sum()


def test_a_corpus_smaller_than_a_batch_streams_too(make_corpus: Make) -> None:
    batches = stream(make_corpus(5), batch_tokens=4096)
    assert next(batches).num_target_tokens > 0.95 * 4096


def test_validation_batches_keep_order_and_drop_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(3, 50, rng.integers(0, 30)) for _ in range(200)]
    rows[50] = np.full(200, 7)
    source, target = Ragged.of_rows(rows[:100], np.int64), Ragged.of_rows(rows[100:], np.int64)
    batches = make_batches(source, target, 100, Translation())
    assert [batch.index for batch in batches] == list(range(len(batches)))
    sources = [row.tolist() for batch in batches for row in batch.source.unpack()]
    targets = [row.tolist() for batch in batches for row in batch.target_input.unpack()]
    assert sources == [[*row.tolist(), EOS_ID] for row in rows[:100]]
    assert targets == [[BOS_ID, *row.tolist()] for row in rows[100:]]
    for batch in batches:
        assert batch.source.num_sequences == 1 or max(len(batch.source.values), len(batch.labels)) <= 100
    nothing = Ragged.of_rows([], np.int64)
    assert make_batches(nothing, nothing, 100, Translation()) == []


def test_a_batch_moves_to_a_device_whole(make_corpus: Make) -> None:
    batch = next(stream(make_corpus(50))).to(torch.device("meta"))
    assert batch.source.values.is_meta and batch.target_input.cu_seqlens.is_meta and batch.labels.is_meta


def test_padding_changes_neither_the_loss_nor_a_gradient(make_corpus: Make) -> None:
    """What the GPU trains on, batches of exact sizes, is what the CPU trains on."""
    corpus = make_corpus(100)
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 1}
    config = ModelConfig(**sizes, encoder_heads=2, decoder_heads=2, dropout=0.0, max_positions=corpus.max_positions)
    model = build_model(config, 300, 300).double()
    results = []
    batches = stream(corpus)
    first = next(batches)
    for batch in (first, first.padded(batches.capacity)):
        loss, count = model.loss(batch)
        results.append([loss.detach(), count, *torch.autograd.grad(loss, list(model.parameters()))])
    for ragged, static in zip(*results, strict=True):
        torch.testing.assert_close(static, ragged)
