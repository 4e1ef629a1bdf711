"""Translation of documents: `translate_document`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from translator.atomic_io import atomic_write
from translator.config import DecodingChanges
from translator.documents.errors import DocumentError
from translator.documents.formats import TranslatableDocument, read_document, require_same_format, suffix_of
from translator.documents.inline import Content, change_texts, without_period
from translator.documents.markup import Markup, one_line
from translator.file_input import expand_user
from translator.inference.results import Translation
from translator.inference.translator import Translator

_SENTENCE_END = re.compile(r"[.!?…:;][»”\"’')\]\s]*\Z")
_WINDOW_TEXTS = 1000  # translated together


def translate_document(
    translator: Translator, path: str | Path, output: str | Path, **changes: Unpack[DecodingChanges]
) -> Counter[str]:
    """Translate a document into another file of the same format. The suffix of its name decides which it is.

    Args:
        translator: translates the texts. Inline markup requires one encoder-decoder model.
        path: document in one of the formats `.docx`, `.odt`, `.html`, `.md`, `.srt`, `.po` and `.txt`.
        output: file to write, atomically. An existing one is replaced.
        **changes: as in `Translator.translate`. Sentences are split unless `split_sentences` is given.

    Returns:
        The number of texts with each flag; see `Translation.flags`.

    Raises:
        DocumentError: if the document cannot be read, or the output cannot be written.
        ConfigError, DecodingError: as in `Translator.translate`.
    """
    source, target = expand_user(path), expand_user(output)
    suffix = suffix_of(source)
    require_same_format(target, suffix)
    if target.is_dir():
        raise DocumentError(f"The output must be a file. Received: {output}, which is a directory.")
    try:
        data = source.read_bytes()
        is_same = target.exists() and target.samefile(source)
    except OSError as error:
        raise DocumentError(f"A document must be a readable file. Received: {path} ({error.strerror}).") from error
    if is_same:
        raise DocumentError(f"The output must not be the document that is read. Received: {output}.")
    flags: Counter[str] = Counter()
    document = read_document(data, suffix)
    content = translate_contents(translator, document, lambda translation: flags.update(translation.flags), **changes)
    try:
        atomic_write(target, content)
    except OSError as error:
        raise DocumentError(f"The output must be a writable file. Received: {output} ({error.strerror}).") from error
    return flags


def translate_contents(
    translator: Translator,
    document: TranslatableDocument,
    note: Callable[[Translation], None] = lambda translation: None,
    **changes: Unpack[DecodingChanges],
) -> bytes:
    """Return the content of a translated document.

    Args:
        translator: see `translate_document`.
        document: the document.
        note: function that is called with each translation.
        **changes: see `translate_document`.

    Raises:
        DocumentError: if the document has inline markup and the model gives no word alignment.
        ConfigError, DecodingError: as in `Translator.translate`.
    """
    contents = document.contents
    texts: list[Content] = []

    def collect(text: Content) -> Content:
        texts.append(text)
        return text

    for content in contents:
        change_texts(content, collect)
    translated = _translate(translator, texts, note, {"split_sentences": True, **changes})
    written = [change_texts(content, lambda _: next(translated)) for content in contents]
    return document.write(written)


def _translate(
    translator: Translator, texts: Sequence[Content], note: Callable[[Translation], None], changes: DecodingChanges
) -> Iterator[Content]:
    """Yield the translation of each text."""
    has_alignment = not translator.engine.unsupported(translator.decoding.model_copy(update={"alignment": True}))
    for start in range(0, len(texts), _WINDOW_TEXTS):
        window = texts[start : start + _WINDOW_TEXTS]
        markups = [Markup(text, has_alignment=has_alignment) for text in window]
        if not has_alignment and not all(markup.is_plain for markup in markups):
            raise DocumentError(
                "Inline markup in a document requires word alignment, which decoder-only models and ensembles do not "
                "give. Use one encoder-decoder model, or remove the markup."
            )
        plain = [one_line(text) for text, markup in zip(window, markups, strict=True) if markup.is_plain]
        marked = [markup.xml for markup in markups if not markup.is_plain]
        of_plain = iter(translator.translate(plain, **changes))
        of_marked = iter(translator.translate_markup(marked, **changes) if marked else [])
        for text, markup in zip(window, markups, strict=True):
            translation = next(of_plain if markup.is_plain else of_marked)
            note(translation)
            content: Content = (translation.text,) if markup.is_plain else markup.read(translation.text)
            yield content if _SENTENCE_END.search(one_line(text)) else without_period(content)
