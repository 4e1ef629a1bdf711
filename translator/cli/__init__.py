"""The `translator` command: one module a verb, and what all verbs share when they end.

Exit codes: 0 done; 1 a failure of ours; 2 what the user gave is wrong; 130 interrupted; 141 the reader of the output
closed it; 143 terminated.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from translator import __version__
from translator.cli import (
    attention,
    average,
    bundle,
    classify,
    embeddings,
    evaluate,
    generate,
    score,
    tokenizer,
    trace,
    train,
    translate,
)
from translator.cli.streams import discard_output, standard_streams

# A verb has add_parser(subparsers) and run(arguments); what is slow to import, it imports in run.
VERBS = (
    train,
    translate,
    classify,
    generate,
    evaluate,
    score,
    attention,
    embeddings,
    trace,
    tokenizer,
    average,
    bundle,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and give the exit code.

    Args:
        argv: arguments after the program's name; by default those of this process.
    """
    # Read by the OpenMP runtime when torch loads it: idle threads that spin take the cores from those that work. A few
    # turns (microseconds) before they sleep take nothing and spare small operations the wait for a thread to wake.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "300")
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
    except Exception as error:
        _flush_or_discard_stdout()
        return _report(error)


def _parse_and_run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parse(argv)
    except SystemExit as stop:  # help, version or a usage error
        return _exit_code(stop)
    status: int = arguments.run(arguments)
    return status


def _exit_code(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; a sentence, or several, may come after options too, where argparse leaves them over."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not any(argument.startswith("-") for argument in rest):
        if hasattr(arguments, "sentences"):
            arguments.sentences += rest
            return arguments
        if len(rest) == 1 and getattr(arguments, "sentence", "") is None:
            arguments.sentence = rest[0]
            return arguments
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="translator", description="Train a translator, and translate with it.")
    parser.add_argument("--version", action="version", version=f"translator {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(subparsers)
    return parser


def _report(error: Exception) -> int:
    """Say what went wrong: in one message if it is the user's to mend, with a traceback if it is ours."""
    from translator.errors import UserError

    if isinstance(error, UserError):
        print(f"translator: {error}", file=sys.stderr)
        return 2
    if isinstance(error, OSError) and error.strerror:
        place = "".join(f": {name}" for name in (error.filename,) if name)
        print(f"translator: {error.strerror}{place}", file=sys.stderr)
        return 2
    traceback.print_exception(error)
    print(f"translator: an error of the program, not of your input: {type(error).__name__}.", file=sys.stderr)
    return 1


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the program, so that files are closed, and end it with exit code 143."""

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
