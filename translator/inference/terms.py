"""Terms: how given words of the source must, or should, be translated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from translator.decoding.request import Term, TokenSet
from translator.errors import UserError, shorten
from translator.file_input import expand_user, open_text
from translator.tokenizer import UNK_ID, Tokenizer, Tokenizers
from translator.tokenizer.normalization import SPACE_MARK

_WORD = re.compile(r"\w+|[^\w\s]")
_LETTERS = re.compile(r"[^\W\d_]+")
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_FIRST_BYTE = re.compile("<0x[0-7C-F][0-9A-F]>")  # of a character in UTF-8
_MAX_BYTES_SHARE = 0.5  # of the letters of a word; a model does not know how to go on after more
_KINDS = ("hard", "soft")


class TermError(UserError):
    """Terms that cannot be read or translated to."""


@dataclass(frozen=True)
class TermEntry:
    """A term.

    Attributes:
        source: words of the source language. They are found as whole words, in any case.
        target: text that the translation contains, verbatim; its first letter may be capitalized at the beginning.
        is_soft: True if the translation should rather than must contain it.
    """

    source: str
    target: str
    is_soft: bool = False


@dataclass(frozen=True)
class Terms:
    """Terms; prepared once, they serve several calls.

    Attributes:
        entries: the terms. Several entries with one source are alternatives.
        name: file or description of the terms, for messages.
    """

    entries: tuple[TermEntry, ...]
    name: str = "terms"

    @classmethod
    def read(cls, path: str | Path) -> Terms:
        """Read a TSV file: source, target and optionally `hard` (the default) or `soft`.

        Raises:
            TermError: if the file cannot be read, or a line has another form.
        """
        try:
            with open_text(expand_user(path)) as file:
                text = file.read().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise TermError(f"--terms must be a readable TSV file. Received: {path} ({reason}).") from error
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        return cls(tuple(_entries(lines, str(path))), str(path))

    @classmethod
    def of(cls, terms: TermsLike) -> Terms:
        """Return terms given as a file, as a mapping from source to target, or as entries."""
        if isinstance(terms, Terms):
            return terms
        if isinstance(terms, str | Path):
            return cls.read(terms)
        if isinstance(terms, Mapping):
            entries = [TermEntry(source, target) for source, target in terms.items()]
        else:
            entries = list(terms)
        for entry in entries:
            if not isinstance(entry, TermEntry) or not all(
                isinstance(text, str) and text.strip() for text in (entry.source, entry.target)
            ):
                raise TermError(
                    "A term must be a TermEntry with a source and a target that are not empty. "
                    f"Received: {shorten(entry)}."
                )
        return cls(tuple(entries))


TermsLike = Terms | str | Path | Mapping[str, str] | Iterable[TermEntry]


def _entries(lines: Sequence[str], name: str) -> Iterator[TermEntry]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        kind = columns[2] if len(columns) > 2 else "hard"
        if not 2 <= len(columns) <= 3 or not all(columns[:2]) or kind not in _KINDS:
            raise TermError(
                "A line of --terms must be source<TAB>target, or source<TAB>target<TAB>hard or soft. "
                f"Received: {shorten(line, 60)!r}, line {number} of {name}."
            )
        yield TermEntry(columns[0], columns[1], kind == "soft")


class Match(NamedTuple):
    """The terms of a source text.

    Attributes:
        hard: terms that the translation must contain.
        soft: forms of the terms that it should contain.
        switched: the text with the targets of hard terms in place of its words.
    """

    hard: tuple[Term, ...]
    soft: tuple[tuple[int, ...], ...]
    switched: str


class TermMatcher:
    """Finds terms in source text and spells their translations with a model's vocabulary.

    Args:
        terms: the terms.
        tokenizers: tokenizers of the model.

    Raises:
        TermError: if the vocabulary cannot spell a target.
    """

    def __init__(self, terms: Terms, tokenizers: Tokenizers) -> None:
        self.has_hard = any(not entry.is_soft for entry in terms.entries)
        self._source = tokenizers.source
        self._continuations = continuations_of(tokenizers.target)
        self._entries: dict[tuple[str, ...], list[tuple[TermEntry, Term]]] = {}
        for entry in terms.entries:
            term = spell(entry.target, tokenizers.target, self._continuations, terms.name)
            self._entries.setdefault(self._words(entry.source), []).append((entry, term))
        self._longest = max(map(len, self._entries), default=0)

    def match(self, text: str, prefix: str = "") -> Match:
        """Return the terms of a source text.

        The longest term is found where several begin. Terms that the prefix of the translation has are left out, and
        hard terms whose target is part of that of another one.

        Args:
            text: source text.
            prefix: text that the translation begins with.
        """
        text = self._source.normalize(text)
        spans = [match.span() for match in _WORD.finditer(text)]
        words = tuple(text[start:end].casefold() for start, end in spans)
        found: dict[tuple[str, ...], list[tuple[TermEntry, Term]]] = {}
        switched, place, end = [], 0, 0
        while place < len(words):
            for length in range(min(self._longest, len(words) - place), 0, -1):
                key = words[place : place + length]
                if key in self._entries:
                    found[key] = [each for each in self._entries[key] if not _has_words(prefix, each[0].target)]
                    targets = [entry.target for entry, _ in found[key] if not entry.is_soft]
                    if targets:
                        switched += [text[end : spans[place][0]], targets[0]]
                        end = spans[place + length - 1][1]
                    place += length - 1
                    break
            place += 1
        groups = [group for group in found.values() if group]
        hard = [[each for each in group if not each[0].is_soft] for group in groups]
        targets = [entry.target for group in hard for entry, _ in group]
        terms = dict.fromkeys(
            Term(
                tuple(form for _, term in group for form in term.forms),
                tuple(form for _, term in group for form in term.initial_forms),
                self._continuations,
            )
            for group in hard
            if group and not _is_covered(group, targets)
        )
        soft = [form for group in groups for entry, term in group if entry.is_soft for form in term.forms]
        return Match(tuple(terms), tuple(dict.fromkeys(soft)), "".join([*switched, text[end:]]))

    def _words(self, text: str) -> tuple[str, ...]:
        return tuple(_WORD.findall(self._source.normalize(text).casefold()))


def _has_words(text: str, part: str) -> bool:
    """Return True if a text has another as whole words."""
    return bool(text) and re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def _is_covered(group: Sequence[tuple[TermEntry, Term]], targets: Sequence[str]) -> bool:
    """Return True if the only target of a term is part of another's."""
    [target, *others] = [entry.target for entry, _ in group]
    return not others and any(_has_words(other, target) for other in targets if other != target)


@lru_cache(maxsize=4096)
def mask_term(mask: str, tokenizer: Tokenizer) -> Term:
    """Return the term that keeps a mask in a translation, once."""
    return Term((tuple(tokenizer.encode(mask)),), continuations=continuations_of(tokenizer), is_unique=True)


@lru_cache(maxsize=8)
def continuations_of(tokenizer: Tokenizer) -> TokenSet:
    """Return the tokens that continue a word: those that begin with a letter or digit, and bytes."""
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    return TokenSet(
        frozenset(index for index, piece in enumerate(pieces) if piece[:1].isalnum() or _BYTE.fullmatch(piece))
    )


def spell(target: str, tokenizer: Tokenizer, continuations: TokenSet, name: str) -> Term:
    """Return the tokens of a target.

    Raises:
        TermError: if the vocabulary cannot spell it as it is, or has no tokens for most letters of a word.
    """
    ids = tuple(tokenizer.encode(target))
    written = tokenizer.decode(ids)
    if not ids or UNK_ID in ids or written != " ".join(target.split()):
        shown = repr("".join(tokenizer.pieces(ids)).replace(SPACE_MARK, " ").strip() if UNK_ID in ids else written)
    elif any(_is_spelled_by_bytes(word, tokenizer) for word in _LETTERS.findall(target)):
        shown = "by single bytes"
    else:
        shown = ""
    if shown:
        raise TermError(
            f"The vocabulary of the model must spell the target of a term. Received: {target!r} in {name}, "
            f"which it spells {shown}. Change or remove the term."
        )
    capitalized = target[:1].upper() + target[1:]
    initial = (tuple(tokenizer.encode(capitalized)),) if capitalized != target else ()
    return Term((ids,), initial, continuations)


def _is_spelled_by_bytes(word: str, tokenizer: Tokenizer) -> bool:
    """Return True if most letters of a word have no token, as those of another script."""
    pieces = tokenizer.pieces(tokenizer.encode(word))
    return sum(bool(_FIRST_BYTE.fullmatch(piece)) for piece in pieces) > _MAX_BYTES_SHARE * len(word)
