"""Prepare the corpus of configs/general-cpu.yaml: choose sources, hold out a news test set, add short everyday pairs.

    python -m scripts.general_data data data/mixture

Reads `general/`, `prose/` and `multi30k/` below the first folder (Parquet, columns fr, en and source) and writes
`train.parquet`, `valid.parquet` and `news-test.parquet` (500 pairs of wmt-news-dev) into the second. The held-out pairs
are those whose French has the smallest SHA-256, so the set does not depend on the order of the rows. Training pairs
that share a side with a held-out, test or validation pair are dropped, everyday pairs among them, and pairs whose
lengths do not fit each other or whose apostrophes were lost. Sources for non-commercial use only are left out, and
large sources that are far from what people translate are capped.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.everyday import generate

NON_COMMERCIAL = {
    "progit2",
    "cakephp-docs",
    "stories",
    "epi-handbook",
    "nyu-lectures",
    "free-culture",
    "ted-corpus",
    "multi-ted",
}
LEFT_OUT = {"numbers", "canada-laws", "optech-newsletters", "hpo-terms"}
CAPS = {
    "gutenberg-2": 45_000,
    "infinity-mods": 35_000,
    "idioms": 20_000,
    "hansard": 100_000,
    "mdn": 12_000,
    "debian-website": 12_000,
    "php-manual": 6_000,
    "postgresql-manual": 6_000,
    "python-docs": 8_000,
    "django-docs": 6_000,
    "tanakh": 4_000,
    "apache-httpd-manual": 4_000,
    "git-manpages": 4_000,
    "quran": 4_000,
    "wesnoth": 12_000,
    "esco": 2_500,
}
NEWS = "wmt-news-dev"
NUM_NEWS_TEST = 500
_MIN_LENGTH_RATIO, _MAX_LENGTH_RATIO = 0.62, 1.9  # of French to English, in characters
_SHORT = 8  # added to both lengths: the ratio of short texts varies more
_LOST_APOSTROPHE = re.compile(r"\b[ldnsj](?=[A-Z][a-z])")

Row = tuple[str, str, str]


def main() -> None:
    """Write the three files that the command line asks for."""
    parser = argparse.ArgumentParser(description="Prepare the training mixture of configs/general-cpu.yaml.")
    parser.add_argument("data", type=Path, help="folder with general/, prose/ and multi30k/")
    parser.add_argument("output", type=Path, help="folder to write")
    arguments = parser.parse_args()
    data: Path = arguments.data
    train = list(read(data / "general/train.parquet"))
    news_test = sorted((row for row in train if row[2] == NEWS), key=lambda row: _digest(row[0]))[:NUM_NEWS_TEST]
    valid = list(read(data / "general/valid.parquet")) + list(read(data / "multi30k/valid.parquet"))
    test = list(read(data / "general/test.parquet")) + list(read(data / "multi30k/test_2016_flickr.parquet"))
    held_out = {normalize(side) for row in (*news_test, *valid, *test) for side in row[:2]}
    rows = (
        *train,
        *read(data / "multi30k/train.parquet"),
        *read(data / "prose/prose.parquet"),
        *read(data / "prose/dictionary.parquet"),
    )
    everyday = [(french, english, f"everyday-{kind}") for french, english, kind in generate()]
    kept = list(without([*filter(is_plausible, choose(rows)), *everyday], held_out))
    arguments.output.mkdir(parents=True, exist_ok=True)
    write(arguments.output / "train.parquet", kept)
    write(arguments.output / "valid.parquet", [row for row in valid if row[2] not in NON_COMMERCIAL | LEFT_OUT])
    write(arguments.output / "news-test.parquet", news_test)
    for source, count in Counter(row[2] for row in kept).most_common():
        print(f"{source}\t{count}")


def read(path: Path) -> Iterator[Row]:
    """Read the rows of a Parquet file; without a column `source`, the name of its folder is the source.

    Raises:
        SystemExit: if the file cannot be read, with a message.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise SystemExit(f"{path} must be a readable Parquet file. {error}") from error
    sources = table["source"].to_pylist() if "source" in table.column_names else [path.parent.name] * len(table)
    return zip(table["fr"].to_pylist(), table["en"].to_pylist(), sources, strict=True)


def choose(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of the sources that are used; of a capped source those with the smallest digests."""
    capped: dict[str, list[Row]] = {source: [] for source in CAPS}
    for row in rows:
        if row[2] in capped:
            capped[row[2]].append(row)
        elif row[2] not in NON_COMMERCIAL | LEFT_OUT:
            yield row
    for source, found in capped.items():
        yield from sorted(found, key=lambda row: _digest(row[0]))[: CAPS[source]]


def is_plausible(row: Row) -> bool:
    """Return False where part of one side is probably missing, or where French apostrophes were lost ("lEmpire").

    Of 50 such pairs read from each of the large sources nearly all were misaligned.
    """
    french, english, _ = row
    ratio = (len(french) + _SHORT) / (len(english) + _SHORT)
    return _MIN_LENGTH_RATIO <= ratio <= _MAX_LENGTH_RATIO and not _LOST_APOSTROPHE.search(french)


def without(rows: Iterable[Row], held_out: set[str]) -> Iterator[Row]:
    """Yield the rows that share no side with a held-out set."""
    return (row for row in rows if normalize(row[0]) not in held_out and normalize(row[1]) not in held_out)


def normalize(text: str) -> str:
    """Return the letters and digits of a text without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a Parquet file."""
    french, english, sources = zip(*rows, strict=True)
    pq.write_table(pa.table({"fr": french, "en": english, "source": sources}), path, compression="zstd")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main()
