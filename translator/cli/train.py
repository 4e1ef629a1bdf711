"""`translator train`: train the model of a YAML file, or resume its run."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Train a model. If the run exists, the same command resumes it from its last checkpoint."
    parser.add_argument("config", help="YAML file, such as configs/multi30k.yaml")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="overrides of values in the file")
    parser.add_argument(
        "--allow-config-change",
        action="store_true",
        help="allow a resumed run to differ from the configuration that it began with",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train or resume."""
    from translator.config import load_config
    from translator.training.trainer import train

    train(load_config(args.config, args.overrides), allow_config_change=args.allow_config_change)
    return 0
