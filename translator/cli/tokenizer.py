"""`translator tokenizer`: train the tokenizer of a configuration without the model."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Train the SentencePiece tokenizer of a configuration and write it to the model directory."
    parser.add_argument("config", help="YAML file, such as configs/multi30k.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="values that override those of the file"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train the tokenizer."""
    from translator.checkpoint import locked
    from translator.config import load_config
    from translator.file_input import expand_user
    from translator.training.setup import claim_directory, prepare_tokenizers

    config = load_config(args.config, args.overrides)
    directory = expand_user(config.output)
    with locked(directory):
        claim_directory(directory, config, allow_config_change=False)
        tokenizers = prepare_tokenizers(directory, config, lambda line: print(line, file=sys.stderr))
    sizes = sorted({tokenizers.source.vocab_size, tokenizers.target.vocab_size})
    print(f"{directory}: {' and '.join(map(str, sizes))} pieces", file=sys.stderr)
    return 0
