"""`translator check CONFIG`: faults of a run, found before its first step."""

from __future__ import annotations

import argparse
import sys

from translator.cli.lines import write_line
from translator.cli.streams import open_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Check a run before its first step: configuration, kernels, data, tokenizer, memory, and two training steps. "
        "The exit code is 0 if the run can start and 2 if there are problems."
    )
    parser.add_argument("config", help="YAML file, such as configs/multi30k.yaml")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="overrides of values in the file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, print the report and the verdict, and return the exit code."""
    from translator.config import load_config
    from translator.training.check import check
    from translator.training.memory import bound_primitive_caches, keep_freed_memory

    config = load_config(args.config, args.overrides)
    keep_freed_memory()
    bound_primitive_caches()
    with open_output(None, []) as output:

        def show(line: str) -> None:
            write_line(output, line)
            output.flush()

        show(f"config      {args.config}: valid")
        findings = check(config, show, lambda line: print(line, file=sys.stderr))
        problems = [finding.text for finding in findings if finding.is_problem]
        warnings = [finding.text for finding in findings if not finding.is_problem]
        for title, texts in (("problem", problems), ("warning", warnings)):
            for text in texts:
                show(f"{title}: {text}")
        show(f"verdict     {_verdict(len(problems), len(warnings))}")
    return 2 if problems else 0


def _verdict(problems: int, warnings: int) -> str:
    counts = [
        f"{count} {name}{'s' * (count > 1)}" for count, name in ((problems, "problem"), (warnings, "warning")) if count
    ]
    return ", ".join(["not ready to train" if problems else "ready to train", *counts])
