"""Translation of documents: `translate MODEL FILE.docx`, and `translate --document`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from translator.cli.filtering import notify
from translator.cli.lines import LineError
from translator.cli.splitting import require_splittable
from translator.cli.streams import DescriptorReader, open_input, open_output
from translator.config import DecodingChanges
from translator.documents.errors import DocumentError
from translator.documents.formats import BINARY_SUFFIXES, SUFFIXES, read_document, require_same_format, suffix_of
from translator.ranks import Rank

if TYPE_CHECKING:
    from translator.inference.results import Translation
    from translator.inference.translator import Translator

_FILE_NAME = re.compile(r".*\.[a-zA-Z0-9]{1,8}/?", re.DOTALL)


def find_document(arguments: argparse.Namespace) -> str | None:
    """Return the name of the document to translate; None if the input is lines, arguments or unnamed plain text.

    A document is a single argument that names a file or ends with the suffix of a format and has no spaces; or, with
    `--document`, an input file whose name ends with such a suffix.

    Raises:
        DocumentError: if the argument is a file of another format, or there are several files.
    """
    names: list[str] = [text for text in arguments.sentences if _is_file_name(text)]
    if len(names) > 1 and len(names) == len(arguments.sentences):
        raise DocumentError(f"Documents are translated one by one. Received: {', '.join(names)}.")
    if len(arguments.sentences) == 1 and names:
        suffix_of(names[0])
        return names[0]
    if arguments.document and arguments.input is not None and Path(arguments.input).suffix.lower() in SUFFIXES:
        return str(arguments.input)
    return None


def _is_file_name(text: str) -> bool:
    if not _FILE_NAME.fullmatch(text):
        return False
    is_document = Path(text).suffix.lower() in SUFFIXES and not re.search(r"\s", text)
    return is_document or os.path.isfile(text)  # noqa: PTH113 (Path.is_file raises for names that are too long)


def run_documents(
    arguments: argparse.Namespace,
    name: str | None,
    load: Callable[[], Translator],
    changes: DecodingChanges,
    note: Callable[[Translation], None],
    notices: Mapping[str, str],
) -> int:
    """Translate a document: a file, standard input, or each argument.

    Args:
        arguments: parsed arguments of `add_filter`.
        name: name of the document. Without one, the input and the arguments are plain text.
        load: function that loads the model; called when the document is read.
        changes: decoding options.
        note: function that is called with each translation.
        notices: message for each flag of a translation; `{}` stands for the number of texts.
    """
    if Rank.of_environment().world_size > 1:
        require_splittable(arguments)
    if arguments.sentences and arguments.input is not None:
        raise LineError("Sentences as arguments and --input are mutually exclusive. Pass only one.")
    suffix = suffix_of(name) if name else ".txt"
    _require_output(arguments.output, suffix, has_name=name is not None)
    flags: Counter[str] = Counter()

    def count(translation: Translation) -> None:
        flags.update(translation.flags)
        note(translation)

    with ExitStack() as stack:
        is_read = name is not None or not arguments.sentences
        sources = [stack.enter_context(open_input(name or arguments.input))] if is_read else []
        output = stack.enter_context(open_output(arguments.output, sources))
        given = [_read(sources[0])] if sources else [f"{text}\n".encode() for text in arguments.sentences]
        documents = [read_document(data, suffix) for data in given]
        translator = load()
        from translator.documents.translation import translate_contents

        for document in documents:
            output.write(translate_contents(translator, document, count, **changes))
            output.flush()
    if not arguments.quiet:
        notify(flags, notices)
    return 0


def _require_output(output: str | None, suffix: str, *, has_name: bool) -> None:
    """Check the name of the output, if the document has a name, too."""
    if has_name and output is not None:
        require_same_format(output, suffix)
    if output is None and suffix in BINARY_SUFFIXES and sys.stdout is not None and sys.stdout.isatty():
        raise DocumentError(f"The {suffix} document is not written to a terminal. Give --output.")


def _read(descriptor: int) -> bytes:
    try:
        return DescriptorReader(descriptor).readall()
    except OSError as error:
        raise DocumentError(f"The input must be readable. Received: {error.strerror}.") from error
