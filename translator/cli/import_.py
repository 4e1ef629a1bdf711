"""`translator import FOLDER`: write a model of another toolkit as a model directory."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Write a Hugging Face Marian model (MarianMTModel, as Helsinki-NLP/opus-mt-fr-en) as a model directory, which "
        "translates and from which training can start (training.start_from)."
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder with config.json, vocab.json, *.spm and the weights")
    parser.add_argument("-o", "--output", metavar="MODEL", required=True, help="new model directory")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import the model."""
    from translator.export.marian_import import import_marian
    from translator.file_input import expand_user

    output = expand_user(arguments.output)
    import_marian(expand_user(arguments.folder), output)
    size = sum(file.stat().st_size for file in output.iterdir())
    print(f"{output}: {size / 2**20:.1f} MiB", file=sys.stderr)
    return 0
