"""`translator export MODEL --to FORMAT`: write a model in the format of another toolkit."""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from typing import TYPE_CHECKING

from translator.cli.options import OptionError

if TYPE_CHECKING:
    from translator.config import DataConfig

QUANTIZATIONS = ("int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16")
_TEXTS = "{phrasebook: test, max_examples: 200}"
_MAX_TEXTS = 500  # of --test: a comparison needs no more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Write a model in the format of another toolkit. The exported model translates the same texts as the original, "
        "and is refused if it does so differently."
    )
    parser.add_argument(
        "model", metavar="MODEL", help="run directory, checkpoint or bundle; or name of a bundled model"
    )
    parser.add_argument(
        "--to",
        required=True,
        choices=("ctranslate2", "marian"),
        help="format to write; marian is Hugging Face's MarianMTModel",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="new folder (default: MODEL-FORMAT, here)")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="data type of the weights in CTranslate2's format (default: float32)",
    )
    parser.add_argument(
        "--test",
        metavar="SPEC",
        help=f"pairs to compare both models on: what data.test takes; at most {_MAX_TEXTS:,} are used "
        f"(default: {_TEXTS})",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the model and print the comparison."""
    from translator.checkpoint import load_model
    from translator.checkpoint.location import find_model
    from translator.file_input import expand_user
    from translator.inference.purpose import require_objective

    if arguments.quantization and arguments.to != "ctranslate2":
        raise OptionError("--quantization applies to --to ctranslate2 only.")
    path = find_model(arguments.model)
    suffix = f"-{arguments.quantization}" if arguments.quantization else ""
    folder = expand_user(arguments.output or f"{path.resolve().name}-{arguments.to}{suffix}")
    loaded = load_model(path)
    require_objective(loaded.config, path, "translation")
    rows = _rows(arguments.test or _TEXTS, loaded.config.data)
    data = loaded.config.data
    has_references = arguments.test is not None or (data.source_language, data.target_language) == ("fr", "en")
    if arguments.to == "ctranslate2":
        from translator.export.ctranslate2 import export_to_ctranslate2

        parity = export_to_ctranslate2(
            loaded, folder, rows, quantization=arguments.quantization, has_references=has_references
        )
        print(parity.as_text(), file=sys.stderr)
    else:
        from translator.export.marian import export_to_marian

        compared = export_to_marian(loaded, folder, rows, has_references=has_references)
        message = "not compared with the original: transformers is not installed"
        print(message if compared is None else compared.as_text(), file=sys.stderr)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 2**20:.1f} MiB", file=sys.stderr)
    return 0


def _rows(spec: str, data: DataConfig) -> list[tuple[str, ...]]:
    from translator.config import parse_sources
    from translator.data.sources import read_rows

    return list(islice(read_rows(parse_sources(spec), data), _MAX_TEXTS))
