"""Preparation of source text: cleaning, folding of capitals, splitting, encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from translator.config import DecodingOptions
from translator.inference.capitals import fold_capitals
from translator.inference.splitting import sentences_of, split_text
from translator.inference.texts import clean
from translator.tokenizer import Tokenizer
from translator.tokenizer.invisible import remove_invisible


@dataclass(frozen=True)
class Line:
    """A source text, ready to translate.

    Attributes:
        source: the text, cleaned.
        ids: its tokens, as one sequence.
        parts: tokens of each part that is translated on its own; one part if the text is not split, none if it is
            empty.
        texts: text of each part, as it was encoded.
        flags: see `Translation.flags`.
    """

    source: str
    ids: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    flags: tuple[str, ...]


def read_lines(texts: Sequence[str], tokenizer: Tokenizer, longest_source: int, options: DecodingOptions) -> list[Line]:
    """Clean, fold, encode and, where necessary, split source texts.

    Args:
        texts: source texts.
        tokenizer: tokenizer of the source language.
        longest_source: maximum number of tokens in a part.
        options: `fold_capitals` and `split_sentences`.
    """
    sources = [clean(text) for text in texts]
    visible = [remove_invisible(source) for source in sources]
    read = [fold_capitals(source, tokenizer) for source in visible] if options.fold_capitals else visible
    lines = []
    for number, (source, folded, ids) in enumerate(zip(sources, read, tokenizer.encode_batch(read), strict=True)):
        flags: tuple[str, ...] = ("invalid_bytes",) if source != texts[number] else ()
        flags = (*flags, "capitals") if folded != visible[number] else flags
        parts = [(tuple(ids), folded)]
        if not ids:
            parts, flags = [], (*flags, "empty")
        elif len(ids) > longest_source:
            parts, flags = _split(folded, tokenizer, longest_source, (*flags, "split"))
        elif options.split_sentences and len(sentences_of(folded)) > 1:
            parts, flags = _split(folded, tokenizer, longest_source, (*flags, "sentences"))
        encoded, written = tuple(part for part, _ in parts), tuple(text for _, text in parts)
        lines.append(Line(source, tuple(ids), encoded, written, flags))
    return lines


def _split(
    text: str, tokenizer: Tokenizer, longest_source: int, flags: tuple[str, ...]
) -> tuple[list[tuple[tuple[int, ...], str]], tuple[str, ...]]:
    """Return the tokens and the texts of the parts of a text, and its flags."""
    texts = split_text(text, lambda part: len(tokenizer.encode(part)) <= longest_source)
    parts = [(tuple(ids), part) for part in texts if (ids := tokenizer.encode(part))]
    if any(len(ids) > longest_source for ids, _ in parts):  # one character of very many tokens
        flags = (*flags, "truncated")
    return [(ids[:longest_source], part) for ids, part in parts], flags
