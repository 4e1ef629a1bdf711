"""`translator train`: train what a YAML file describes, or go on where it stopped."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from a YAML configuration",
        description="Train a model, or resume a run: the same command always goes on from the last checkpoint.",
    )
    parser.add_argument("config", help="YAML file, such as configs/multi30k.yaml")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="values over those of the file")
    parser.add_argument(
        "--allow-config-change",
        action="store_true",
        help="let a resumed run differ from the configuration it began with",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train."""
    from translator.config import load_config
    from translator.training.trainer import train

    train(load_config(args.config, args.overrides), allow_config_change=args.allow_config_change)
    return 0
