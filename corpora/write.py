"""Write the embedded corpora as Parquet files, one per split.

    python -m corpora.write [FOLDER]

FOLDER defaults to `translator/data/embedded`, the files that are installed with the package.

| file                     | columns                                             |
|--------------------------|-----------------------------------------------------|
| phrasebook-SPLIT.parquet | fr, en, construction, alignment, possible_alignment |
| sentiment-SPLIT.parquet  | text, label, construction                           |

`alignment` holds the word alignment that the grammar knows, in Pharaoh form: `0-0 1-2` links French token 0 with
English token 0, and 1 with 2. `corpora.alignment` defines the tokens. A link means that both tokens belong to the
smallest constituent that the grammar renders as a whole. Links of constituents that are a single token in at least one
language are in `alignment`: these are the sure links of the alignment error rate (Och and Ney, 2003). Links of
constituents of several tokens in both languages, such as `hier soir` and `last night`, are in `possible_alignment`:
each token with each. Words without a counterpart, such as a French article that English omits, have no link. Both
columns are null for authored sentences, whose alignment is not known.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpora import phrasebook, sentiment

FOLDER = Path(__file__).parents[1] / "translator" / "data" / "embedded"
NAMES = (
    *(f"phrasebook-{split}" for split in phrasebook.SPLITS),
    *(f"sentiment-{split}" for split in sentiment.SPLITS),
)
_ZSTD_LEVEL = 19


def phrasebook_table(pairs: list[phrasebook.Pair]) -> pa.Table:
    """Return pairs as a table."""
    alignments = [pair.alignment for pair in pairs]
    columns = {
        "fr": [pair.french for pair in pairs],
        "en": [pair.english for pair in pairs],
        "construction": [pair.construction for pair in pairs],
        "alignment": [alignment and alignment.sure for alignment in alignments],
        "possible_alignment": [alignment and alignment.possible for alignment in alignments],
    }
    return pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns]))


def sentiment_table(examples: list[sentiment.Example]) -> pa.Table:
    """Return remarks as a table."""
    columns = {
        "text": [example.text for example in examples],
        "label": [example.label for example in examples],
        "construction": [example.construction for example in examples],
    }
    return pa.table(columns)


def table_of(name: str) -> pa.Table:
    """Return the content of a file by its name without suffix, such as `phrasebook-train`."""
    corpus, split = name.split("-")
    if corpus == "phrasebook":
        return phrasebook_table(phrasebook.generate(split))
    return sentiment_table(sentiment.generate(split))


def write(name: str, folder: Path) -> Path:
    """Write a file by its name without suffix, and return its path."""
    table = table_of(name)
    path = folder / f"{name}.parquet"
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=[column for column in ("label", "construction") if column in table.column_names],
        store_schema=False,
    )
    return path


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description="Write the embedded corpora as Parquet files.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help=f"output folder (default: {FOLDER})")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        print(write(name, folder))


if __name__ == "__main__":
    main()
