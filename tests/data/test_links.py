"""Word alignments: read, kept through typing noise, and projected to the tokens of each sampled segmentation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import data_config, stream

from translator.config import AugmentationConfig, DataConfig, TokenizerConfig
from translator.data.batch import Batch
from translator.data.corpus import Corpus, load_corpus
from translator.data.files import DataError
from translator.data.links import WordLinks, keep_through_noise, read_links, token_links
from translator.data.objectives import AlignedTranslation
from translator.data.store import Ragged
from translator.data.streaming import load_stream
from translator.tokenizer import Tokenizers
from translator.tokenizer.words import words_of

_ALIGNED = AlignedTranslation()
# Each row has the links that a reader of both languages gives, on words and punctuation marks.
ROWS = [
    ("J'aime l'école, bien sûr.", "I like school, of course.", "0-0 1-1 3-2 4-3 5-4 5-5 6-4 6-5 7-6"),
    ("Où est la gare ?", "Where is the station?", "0-0 1-1 2-2 3-3 4-4"),
    ("Elle ne mange pas.", "She doesn't eat.", "0-0 1-2 2-3 3-2 4-4"),
    ("Aujourd'hui, il pleut.", "Today, it's raining.", "0-0 1-1 2-2 3-3 3-4 4-5"),
    ("Bonne nuit !", "Good night!", ""),
]


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    return Tokenizers.train([row[:2] for row in ROWS] * 20, TokenizerConfig(vocab_size=318), seed=1)


@pytest.fixture
def make(tmp_path: Path, tokenizers: Tokenizers) -> Callable[..., Corpus]:
    """Makes the corpus of a TSV file of aligned rows."""

    def made(rows: list[tuple[str, ...]] = ROWS, alpha: float = 0.0, **options: Any) -> Corpus:
        path = tmp_path / "train.tsv"
        path.write_text("fr\ten\talignment\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
        source = {"file": str(path), "alignment_column": "alignment"} | options.pop("source", {})
        return loaded(data_config(tmp_path / "cache", source, **options), tokenizers, alpha)

    return made


def loaded(data: DataConfig, tokenizers: Tokenizers, alpha: float = 0.0) -> Corpus:
    return load_corpus(
        data.train,
        data,
        tokenizers,
        sampling_alpha=alpha,
        seed=1,
        max_positions=128,
        log=lambda line: None,
        objective=_ALIGNED,
    )


def linked_words(source: list[str], target: list[str], links: np.ndarray) -> str:
    """The alignment that links between tokens come from; every token of a linked word must be linked."""
    pairs = {tuple(pair) for pair in links.reshape(-1, 2).tolist()}
    source_groups, target_groups = words_of(source)[1], words_of(target)[1]
    found, explained = [], set()
    for i, first in enumerate(source_groups):
        for j, second in enumerate(target_groups):
            tokens = {(a, b) for a in first for b in second}
            if tokens <= pairs:
                found.append(f"{i}-{j}")
                explained |= tokens
    assert explained == pairs
    return " ".join(found)


def test_links_follow_every_sampled_segmentation(make: Callable[..., Corpus], tokenizers: Tokenizers) -> None:
    corpus, segmentations = make(alpha=0.2), set()
    for epoch in range(20):
        source, target, links = corpus.pieces(np.arange(len(ROWS)), epoch)
        for row, (_, _, given) in enumerate(ROWS):
            pieces = tokenizers.source.pieces(source[row]), tokenizers.target.pieces(target[row])
            segmentations.add((row, *pieces[0]))
            assert linked_words(*pieces, links[row]) == given
    assert len(segmentations) > 10 * len(ROWS)


def test_links_of_cached_tokens_are_those_of_their_rows(make: Callable[..., Corpus], tokenizers: Tokenizers) -> None:
    source, target, links = make().pieces(np.array([3, 0]), 0)
    pieces = [(tokenizers.source.pieces(source[row]), tokenizers.target.pieces(target[row])) for row in range(2)]
    assert [linked_words(*pair, links[row]) for row, pair in enumerate(pieces)] == [ROWS[3][2], ROWS[0][2]]


def test_an_augmentation_drops_the_links_of_final_punctuation_and_of_joined_words_only(
    make: Callable[..., Corpus], tokenizers: Tokenizers
) -> None:
    noise = {"lowercase": 0.3, "accents": 0.3, "final_punctuation": 0.5, "apostrophes": 0.3, "typos": 0.5}
    corpus, seen = make(augmentation=AugmentationConfig(**noise)), set()
    for epoch in range(60):
        source, target, links = corpus.pieces(np.arange(len(ROWS)), epoch)
        for row, (clean, _, given) in enumerate(ROWS):
            pieces = tokenizers.source.pieces(source[row]), tokenizers.target.pieces(target[row])
            words = words_of(pieces[0])[0]
            found = linked_words(*pieces, links[row])
            without_end = " ".join(given.split()[:-1])  # the last link of each row is that of its final mark
            expected = given if words[-1] in ".?!" else without_end
            assert found == expected or (found == "" and "'" in clean)
            seen.add((row, found))
    assert {(0, ""), (0, ROWS[0][2]), (1, " ".join(ROWS[1][2].split()[:-1]))} <= seen


@pytest.mark.parametrize(
    ("clean", "noisy", "expected"),
    [
        ("l'ami dort.", "L'AMI DORT.", "4-4 0-0 1-1 2-2 3-3"),
        ("l'ami dort.", "l'ami dort", "3-4 0-0 1-1 2-2"),
        ("l'ami dort.", "l ami dort.", "4-4 0-0 1-1 2-2 3-3"),
        ("l'ami dort.", "lami dort.", ""),
        ("l'ami dort.", "lami dort", ""),
        ("Aujourd'hui !", "Aujourd hui", ""),
    ],
)
def test_noise_keeps_the_links_of_words_that_it_neither_joins_nor_divides(
    clean: str, noisy: str, expected: str
) -> None:
    [links] = WordLinks().encode_arrays(["4-4 0-0 1-1 2-2 3-3"])
    [wanted] = WordLinks().encode_arrays([expected])
    assert keep_through_noise(links, clean, noisy).tolist() == wanted.tolist()


def test_texts_that_are_divided_by_spaces_are_linked_without_their_punctuation() -> None:
    found = read_links("L'école est , finie.", "School is over.", "0-0 1-1 2-1 3-2", by_spaces=True, origin="row 1")
    assert found == "6-4 0-0 1-0 2-1 3-1 4-2"


@pytest.mark.parametrize(
    ("links", "source", "problem"),
    [
        (
            "0-0 1:1",
            {},
            r"must be pairs of numbers from 0, source-target, such as 0-0 1-2\. Received: '0-0 1:1' in row 2 of ",
        ),
        ("0-0 -1-1", {}, r"Received: '0-0 -1-1' in row 2 of "),
        (
            "0-0 2-1",
            {},
            r"must name words of its texts\. Received: 2-1 in row 2 of .*train\.tsv, whose source has 2 words and "
            r"punctuation marks, numbered from 0\. Set alignment_split",
        ),
        ("0-2", {}, r"Received: 0-2 in row 2 of .*, whose target has 2 words and"),
        ("1-0", {"alignment_split": "spaces"}, r"Received: 1-0 .* whose source has 1 words between spaces, numbered"),
    ],
)
def test_a_wrong_alignment_is_refused_by_its_row(
    make: Callable[..., Corpus], links: str, source: dict[str, str], problem: str
) -> None:
    rows = [("oui", "yes", "0-0"), ("non.", "no.", links)]
    with pytest.raises(DataError, match=problem):
        make(rows, source=source)


def test_alignments_may_be_a_third_aligned_file(tmp_path: Path, tokenizers: Tokenizers, make: Any) -> None:
    sides = {"source": 0, "target": 1, "alignment": 2}
    for name, side in sides.items():
        (tmp_path / name).write_text("".join(f"{row[side]}\n" for row in ROWS), encoding="utf-8")
    data = data_config(tmp_path / "cache", {"text": {name: str(tmp_path / name) for name in sides}})
    examples = np.arange(len(ROWS))
    for mine, other in zip(loaded(data, tokenizers).pieces(examples, 0), make().pieces(examples, 0), strict=True):
        assert mine.values.tolist() == other.values.tolist()
    (tmp_path / "alignment").write_text("0-0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"Received: .*source with 5 lines, .*target with 5, .*alignment with 1\."):
        loaded(data, tokenizers)


def test_a_stream_has_the_links_of_its_rows(tmp_path: Path, tokenizers: Tokenizers, make: Any) -> None:
    expected = make([*ROWS, (*ROWS[0][:2], "0-0")])  # duplicates differ in their links alone: the first is kept
    for name, side in {"source": 0, "target": 1, "alignment": 2}.items():
        lines = [row[side] for row in (*ROWS, ROWS[0])]
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "plain.tsv").write_text("fr\ten\nIl pleut.\tIt's raining.\n", encoding="utf-8")
    files = {name: str(tmp_path / name) for name in ("source", "target", "alignment")}
    column = {"file": str(tmp_path / "train.tsv"), "alignment_column": "alignment", "streaming": True}
    plain = {"file": str(tmp_path / "plain.tsv"), "streaming": True}
    linked = linked_rows(expected.pieces(np.arange(len(ROWS)), 0))
    for source in (column, {"text": files, "streaming": True}):
        data = data_config(tmp_path / "cache", source, plain)
        opened = load_stream(data, tokenizers, sampling_alpha=0.0, seed=1, max_positions=128, objective=_ALIGNED)
        chunk = next(opened.read(1, (100, 100), 0))
        assert chunk.links is not None
        found = linked_rows((chunk.source, chunk.target, chunk.links))
        assert {row for row in found if len(row[2])} == {row for row in linked if len(row[2])}
        assert (
            tuple(tokenizers.source.encode("Il pleut.")),
            tuple(tokenizers.target.encode("It's raining.")),
            (),
        ) in found


def linked_rows(sides: tuple[Ragged, ...]) -> set[tuple[tuple[int, ...], ...]]:
    """Source, target and links of each example."""
    return {tuple(tuple(side[row].tolist()) for side in sides) for row in range(len(sides[0]))}


def test_a_wrong_alignment_in_a_stream_is_refused_by_its_row(
    make: Callable[..., Corpus], tmp_path: Path, tokenizers: Tokenizers
) -> None:
    make()
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("oui\tyes\t0-1\n")
    source = {"file": str(tmp_path / "train.tsv"), "alignment_column": "alignment", "streaming": True}
    data = data_config(tmp_path / "cache", source)
    with pytest.raises(DataError, match=r"Received: 0-1 in row 6 of .*train\.tsv, in the order of this pass, whose"):
        load_stream(data, tokenizers, sampling_alpha=0.0, seed=1, max_positions=128, objective=_ALIGNED)


def test_a_missing_alignment_column_is_named_with_the_option_that_names_it(make: Callable[..., Corpus]) -> None:
    with pytest.raises(DataError, match=r"Received: 'links', which is not among .* label_column, alignment_column or"):
        make(source={"alignment_column": "links"})


def test_a_source_without_alignments_is_mixed_with_one_that_has_them(
    make: Callable[..., Corpus], tmp_path: Path, tokenizers: Tokenizers
) -> None:
    make()  # writes the file
    (tmp_path / "plain.tsv").write_text("fr\ten\nIl pleut.\tIt's raining.\n", encoding="utf-8")
    aligned = {"file": str(tmp_path / "train.tsv"), "alignment_column": "alignment"}
    corpus = loaded(data_config(tmp_path / "cache", {"file": str(tmp_path / "plain.tsv")}, aligned), tokenizers)
    assert [bool(length) for length in corpus.pieces(np.arange(6), 0)[2].lengths] == [False, *[True] * 4, False]


def test_pairs_that_differ_in_their_links_alone_are_duplicates_and_change_the_fingerprint(
    make: Callable[..., Corpus],
) -> None:
    corpus = make([("oui", "yes", "0-0"), ("oui", "yes", "")])
    assert len(corpus) == 1 and len(corpus.pieces(np.array([0]), 0)[2].values)  # the first is kept
    assert make([("oui", "yes", "")]).fingerprint != make([("oui", "yes", "0-0")]).fingerprint


def test_tokens_with_another_number_of_words_have_no_links() -> None:
    [links] = WordLinks().encode_arrays(["2-2 0-0 1-1"])
    assert token_links(links, ["▁Oui", "…"], ["▁Yes", "…"]) == [0, 0, 1, 1]
    assert token_links(links, ["▁Oui", "..."], ["▁Yes", "…"]) == []


def placed(batch: Batch) -> list[tuple[list[int], list[int], list[tuple[int, int, float]]]]:
    """Source and target tokens of each example, and its links: target, source, weight."""
    assert batch.links is not None
    links = list(zip(*batch.links.places.tolist(), batch.links.weights.tolist(), strict=True))
    return [
        (source.tolist(), target.tolist(), [link[1:] for link in links if link[0] == number])
        for number, (source, target) in enumerate(zip(batch.source.unpack(), batch.target_input.unpack(), strict=True))
    ]


def test_links_stay_with_their_examples_in_batches_parts_and_resumed_streams(
    make: Callable[..., Corpus], tokenizers: Tokenizers
) -> None:
    space = tokenizers.source.encode("a")[0]  # a token of the space alone, which belongs to no word
    assert tokenizers.source.pieces([space]) == ["▁"]
    rows = [(f"{a} {b}", f"{b} {a}", "0-1 1-0") for a in ("oui", "nuit", "gare", "école") for b in ("il", "la", "pas")]
    whole, halted = (stream(make(rows, alpha=0.3), batch_tokens=64) for _ in range(2))
    batches = list(islice(whole, 8))
    list(islice(halted, 3))
    resumed = stream(make(rows, alpha=0.3), batch_tokens=64)
    resumed.load_state_dict(halted.state_dict())
    assert [placed(batch) for batch in islice(resumed, 5)] == [placed(batch) for batch in batches[3:]]
    for batch in batches:
        examples = placed(batch)
        assert batch.links is not None
        assert placed(batch.part(1, 3)) == examples[1:3] and placed(batch.part(0, 1)) == examples[:1]
        linked = 0
        for source, target, links in examples:  # the target is BOS and then what the steps predict
            predicted = {place for place, token in enumerate(target[1:]) if token != space}
            assert {place for place, _, _ in links} == predicted
            assert {place for _, place, _ in links} == {n for n, token in enumerate(source[:-1]) if token != space}
            assert sum(weight for _, _, weight in links) == pytest.approx(len(predicted))
            linked += len(predicted)
        assert batch.links.num_targets == linked
