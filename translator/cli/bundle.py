"""`translator bundle`: a model as one small folder, ready to distribute."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Write configuration, tokenizer, weights and model card to a new folder."
    parser.add_argument("model", metavar="MODEL", help="run directory, checkpoint or bundle")
    parser.add_argument("folder", metavar="FOLDER", help="new folder; its name becomes the name of the model")
    parser.add_argument(
        "--storage",
        choices=("float32", "bfloat16", "int8"),
        default="bfloat16",
        help="data type of the weights in the file; they are loaded as float32 (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the bundle."""
    from translator.checkpoint import load_model, write_bundle
    from translator.checkpoint.location import find_model
    from translator.file_input import expand_user

    loaded = load_model(find_model(arguments.model))
    folder = write_bundle(loaded, expand_user(arguments.folder), arguments.storage)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 2**20:.1f} MiB, weights stored in {arguments.storage}", file=sys.stderr)
    return 0
