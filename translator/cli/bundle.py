"""`translator bundle`: a model as a folder to hand on, without what only training needs."""

from __future__ import annotations

import argparse
import sys


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "bundle",
        help="write a model as a small folder to hand on",
        description="Write configuration, tokenizer, weights and model card into a new folder.",
    )
    parser.add_argument("model", metavar="MODEL", help="run directory, checkpoint or bundle")
    parser.add_argument("folder", metavar="FOLDER", help="new folder; its name becomes the model's")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "int8"),
        default="bfloat16",
        help="of the weights in the file (default: %(default)s, half of float32)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the bundle."""
    from pathlib import Path

    from translator.checkpoint import load_model, write_bundle
    from translator.checkpoint.location import find_model

    loaded = load_model(find_model(arguments.model))
    folder = write_bundle(loaded, Path(arguments.folder).expanduser(), arguments.precision)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 2**20:.1f} MiB, weights in {arguments.precision}", file=sys.stderr)
    return 0
