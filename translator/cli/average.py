"""`translator average`: the mean of the last checkpoints of a run, as a new checkpoint."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Average the weights of a run's last checkpoints into checkpoints/average."
    parser.add_argument("run_directory", help="directory of a training run")
    parser.add_argument("--last", type=int, default=5, metavar="N", help="number of checkpoints (default: %(default)s)")
    parser.add_argument("--best", action="store_true", help="make the average the best checkpoint of the run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Average the checkpoints."""
    from translator.checkpoint import (
        CheckpointError,
        average_weights,
        locked,
        point,
        step_checkpoints,
        write_checkpoint,
    )
    from translator.file_input import expand_user
    from translator.tokenizer import Tokenizers

    directory = expand_user(args.run_directory)
    if args.last < 1:
        raise CheckpointError(f"--last must be at least 1. Received: {args.last}.")
    found = step_checkpoints(directory)
    if not found:
        raise CheckpointError(
            f"average requires a run with checkpoints. Received: {directory}, which has none. Train it first."
        )
    if len(found) < args.last:
        raise CheckpointError(
            f"--last must be at most the number of checkpoints. Received: {args.last}; {directory} has {len(found)}. "
            "Raise training.keep_last for the run or lower --last."
        )
    with locked(directory):
        tokenizers = Tokenizers.load(directory)
        average = write_checkpoint(directory, "average", average_weights(found[-args.last :]), tokenizers)
        if args.best:
            point(directory, "best", average)
    print(f"{average}: mean of {', '.join(path.name for path in found[-args.last :])}", file=sys.stderr)
    return 0
