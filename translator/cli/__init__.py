"""The `translator` command: one module per subcommand; errors and exit codes are handled here.

Exit codes: 0 success; 1 internal error; 2 invalid input, options, configuration or files; 130 interrupted (SIGINT);
141 output pipe closed by its reader; 143 terminated (SIGTERM).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from types import FrameType

from translator import __version__
from translator.cli.parsing import parse
from translator.cli.streams import discard_output, standard_streams

# Name and summary of each subcommand. Its module has `run(arguments)`, and `add_arguments(parser)`, which sets `run`. A
# module is imported only if it is chosen, so that `--help` is fast.
SUBCOMMANDS = {
    "check": "check a configuration, its data and its memory before training",
    "train": "train a model from a YAML configuration",
    "translate": "translate lines, or sentences given as arguments",
    "serve": "serve translations over HTTP, with LibreTranslate's API and a page",
    "classify": "label lines, or texts given as arguments, with a classifier",
    "generate": "continue lines, or prompts given as arguments, with a language model",
    "evaluate": "score a model on a test set",
    "score": "log-probabilities of given translations",
    "attention": "draw attention maps",
    "embeddings": "nearest neighbors, angles and plots of word vectors",
    "trace": "show the intermediate values of one translation",
    "tokenizer": "train only the tokenizer of a configuration",
    "average": "average the weights of a run's last checkpoints",
    "bundle": "write a model to a small folder to distribute",
    "export": "write a model in the format of another toolkit",
    "import": "write a model of another toolkit as a model directory",
}
# Those that divide their work among several ranks. Others would do the same work on each, and write the same files.
_DIVIDED = ("train", "translate", "classify", "generate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code.

    Args:
        argv: arguments after the name of the program; by default those of this process.
    """
    # Read by the OpenMP runtime when torch loads it. Idle threads that spin take cores from working threads; a few
    # microseconds of spinning cost nothing and spare small operations the time to wake a thread.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "300")
    # Read when torch is imported. Where a rank ends, the others would print stack traces of C++ before their message.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with standard_streams():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    """Run a subcommand and return the exit code; no exception leaves."""
    try:
        with _sigterm_as_exit():
            status = _parse_and_run(argv)
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
    except SystemExit as stop:
        discard_output()
        return _exit_code(stop)
    except KeyboardInterrupt:
        discard_output()
        return 128 + signal.SIGINT
    except BrokenPipeError:
        discard_output()
        return 128 + signal.SIGPIPE
    except Exception as error:  # the last handler: an internal error of any class gets its traceback and exit code 1
        _flush_or_discard_stdout()
        return _report(error)


def _parse_and_run(argv: Sequence[str] | None) -> int:
    try:
        argv = sys.argv[1:] if argv is None else argv
        arguments = parse(_parser(argv), argv)
    except SystemExit as stop:  # help, version or a usage error
        return _exit_code(stop)
    _require_ranks(_subcommand(argv))
    status: int = arguments.run(arguments)
    return status


def _exit_code(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command, with the arguments of the subcommand that `argv` names."""
    parser = argparse.ArgumentParser(prog="translator", description="Train translation models, translate and evaluate.")
    parser.add_argument("--version", action="version", version=f"translator {__version__}")
    subparsers = parser.add_subparsers(title="subcommands", metavar="COMMAND", required=True)
    chosen = _subcommand(argv)
    for name, summary in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary)
        if name == chosen:
            import_module(module_of(name)).add_arguments(subparser)
    return parser


def _subcommand(argv: Sequence[str]) -> str | None:
    return next((argument for argument in argv if not argument.startswith("-")), None)


def _require_ranks(subcommand: str | None) -> None:
    """Raise RankError if several ranks were started for a subcommand that one process runs."""
    from translator.ranks import Rank, RankError

    if subcommand not in _DIVIDED and (place := Rank.of_environment()).world_size > 1:
        raise RankError(
            f"Several ranks can run {', '.join(_DIVIDED[:-1])} and {_DIVIDED[-1]}. Received: {subcommand}, as rank "
            f"{place.rank} of {place.world_size}. Start one process, without torchrun or srun, or unset WORLD_SIZE."
        )


def module_of(subcommand: str) -> str:
    """Return the name of the module of a subcommand."""
    return f"translator.cli.{subcommand}" + "_" * iskeyword(subcommand)


def _report(error: Exception) -> int:
    """Print an error that the user can correct as one message, an internal error with its traceback."""
    from translator.errors import UserError

    if isinstance(error, UserError):
        print(f"translator: {error}", file=sys.stderr)
        return 2
    if isinstance(error, OSError) and error.strerror:
        place = "".join(f": {name}" for name in (error.filename,) if name)
        print(f"translator: {error.strerror}{place}", file=sys.stderr)
        return 2
    traceback.print_exception(error)
    print(f"translator: internal error: {type(error).__name__}. Please report it with the traceback.", file=sys.stderr)
    return 1


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Raise SystemExit(143) on SIGTERM, so that files are closed."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _flush_or_discard_stdout() -> None:
    """Write what standard output buffers, or drop it if that fails: an error is already being reported."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        discard_output()
