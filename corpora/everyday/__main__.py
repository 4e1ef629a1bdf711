"""Write the everyday pairs to a Parquet file with the columns fr, en and source (the kind, such as `number`)."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.everyday import generate


def main() -> None:
    """Write the rows to the Parquet file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m corpora.everyday", description=__doc__)
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default: %(default)s)")
    arguments = parser.parse_args()
    french, english, kinds = zip(*generate(arguments.seed), strict=True)
    pq.write_table(pa.table({"fr": french, "en": english, "source": kinds}), arguments.output, compression="zstd")


if __name__ == "__main__":
    main()
