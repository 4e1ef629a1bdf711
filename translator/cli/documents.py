"""Translation of plain-text documents: `translate --document`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from translator.cli.filtering import notify, open_files
from translator.cli.lines import WINDOW_LINES, read_text
from translator.cli.splitting import require_splittable
from translator.inference.document import Document
from translator.inference.texts import clean
from translator.ranks import Rank


def run_documents(
    arguments: argparse.Namespace,
    load: Callable[[], Callable[[Sequence[str]], Sequence[Any]]],
    notices: Mapping[str, str],
) -> int:
    """Translate the input, or each argument, as a document.

    Args:
        arguments: parsed arguments of `add_filter`.
        load: function that loads the model and returns the function that translates texts.
        notices: message for each flag of a translation; `{}` stands for the number of texts.
    """
    if Rank.of_environment().world_size > 1:
        require_splittable(arguments)
    with ExitStack() as stack:
        sources, output = open_files(arguments, stack)
        translate = load()
        texts = [read_text(sources[0])] if sources else [f"{text}\n" for text in arguments.sentences]
        counts: Counter[str] = Counter()
        for text in texts:
            document = Document.read(text)
            written = document.write(_translations(document.texts, translate, counts))
            output.write(clean(written).encode())
            output.flush()
    if not arguments.quiet:
        notify(counts, notices)
    return 0


def _translations(
    texts: Sequence[str], translate: Callable[[Sequence[str]], Sequence[Any]], counts: Counter[str]
) -> Iterator[str]:
    """Yield the translation of each text, and count its flags."""
    for start in range(0, len(texts), WINDOW_LINES):
        for translation in translate(texts[start : start + WINDOW_LINES]):
            counts.update(translation.flags)
            yield translation.text
