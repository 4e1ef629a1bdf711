"""Detectors of translations that have failed: each compares a text with its translation, without a model."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from translator.inference.abbreviations import STARTERS
from translator.inference.numbers import has_equal_numbers, missing_numbers

KINDS = ("empty", "looping", "copied", "length", "numbers", "urls", "emails", "placeholders", "names")

_WORD = re.compile(r"[^\W_]+")
_SYLLABLES = re.compile(r"([^\W\d_]{2,12}?)\1{4,}|([^\W\d_])\2{7,}")  # hahahahaha, aaaaaaaa
_TRIPLE = re.compile(r"\b([^\W\d_]+)\s+\1\s+\1\b", re.IGNORECASE)
_MAX_CYCLE = 8  # words
_MAX_REPEATS = 3  # of one word in a row: "very, very, very"
_MAX_CYCLE_REPEATS = 2  # of several words
_NGRAM = 3  # words
_MAX_MORE_NGRAMS = 2  # occurrences of an n-gram more than the source has of any
_MIN_LONG = 4  # letters, so that articles and prepositions do not count
_MAX_MORE_WORDS = 3  # occurrences of a long word more than the source has of any

_MIN_COPIED_WORDS = 4  # shorter texts, such as names, may be equal in both languages
_MIN_COPIED_SHARE = 0.7  # of the words of the source
_MIN_COPIED_LOWERCASE = 3  # words, so that names and titles are not copies

_MAX_LENGTH_RATIO = 3.0
_MIN_LENGTH_RATIO = 0.25
_LENGTH_SLACK = 20  # characters that a short text may be longer or shorter beyond the ratio
_WIDE = "\u2e80"  # from here on, characters are syllables or words

_URL = re.compile(
    r"(?:https?://|ftp://|www\.)[^\s<>«»\"“”]+"
    r"|\b(?<!@)(?:[a-z0-9-]+\.)+(?:com|org|net|fr|eu|io|gov|edu|info|ca|be|ch|uk)\b(?:/[^\s<>«»\"“”]*)?",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\s]+\}\}|\$\{[^{}\s]+\}|\{[\w.:-]*\}"
    r"|%\([\w.]+\)[sdif]|%\d+\$[sd]|(?<!\d)(?<!\d\s)%[sdif]\b(?!['’])"
    r"|</?(?:a|b|i|u|p|br|hr|em|strong|span|div|code|pre|ul|ol|li|h[1-6]|img|sub|sup|small|td|th|tr|table)\s*/?>"
    r"|\b__\w+?__\b"
)
_LITERAL_MARK = re.compile(r"[@/%{}<&]|__|[.]\w")  # in every literal
_ENTITY = re.compile(r"&#?\w+;")
_OPENING = "([{«“\"'’"
_CLOSING = ".,;:!?…)]}»”\"'’"
_SENTENCE_START = re.compile(r"(?:\A|[.!?…:;»«“”\"(\[–—-])\W*\Z")
_NAME_ENDINGS = frozenset(["", "e", "es", "s", "ie", "ien", "ienne", "ais", "aise", "ois", "oise", "ique", "é", "ée"])
_MIN_NAME = 4  # letters
_MIN_STEM = 4  # letters


def find_failures(source: str, target: str, is_rare: Callable[[str], bool] = lambda word: False) -> tuple[str, ...]:
    """Return the kinds of failures of a translation, of `KINDS`, in that order.

    Args:
        source: the text.
        target: its translation.
        is_rare: predicate of words that the model has no token for; only capitalized words for which it is True are
            checked as names, since common ones have translations (`Allemagne`, `Noël`).
    """
    if not any(map(str.isalnum, source)):
        return ()
    if not any(map(str.isalnum, target)):
        return ("empty",)
    source_words, target_words = _words(source), _words(target)
    plain_source, plain_target = without_literals(source), without_literals(target)
    has_literals = plain_source is not source
    found = {
        "looping": is_looping(source_words, target_words) or has_repetition(source, target),
        "copied": is_copied(plain_source, plain_target),
        "length": has_implausible_length(source, target),
        "numbers": not has_equal_numbers(plain_source, plain_target),
        "urls": has_literals and bool(lost(urls(source), target)),
        "emails": has_literals and bool(lost(emails(source), target)),
        "placeholders": has_literals and bool(lost(placeholders(source), target)),
        "names": bool(changed_names(plain_source, target, is_rare)),
    }
    return tuple(kind for kind, is_found in found.items() if is_found)


def is_looping(source_words: Sequence[str], target_words: Sequence[str]) -> bool:
    """Return True if the target repeats words in a row, or n-grams or long words often, and the source does not.

    Args:
        source_words: words of the source, in lowercase.
        target_words: words of the target, in lowercase.
    """
    if max(Counter(target_words).values(), default=0) <= _MAX_CYCLE_REPEATS:
        return False  # true of most texts, and fast
    allowed = max((repeats for _, repeats in _cycles(source_words)), default=1)
    for length, repeats in _cycles(target_words):
        if repeats > max(allowed, _MAX_REPEATS if length == 1 else _MAX_CYCLE_REPEATS):
            return True
    if _most_frequent(target_words, _NGRAM) > _most_frequent(source_words, _NGRAM) + _MAX_MORE_NGRAMS:
        return True
    return _most_frequent_long(target_words) > _most_frequent_long(source_words) + _MAX_MORE_WORDS


def has_repetition(source: str, target: str) -> bool:
    """Return True if the target has a word three times without a comma, or syllables many times, and the source not."""
    return any(pattern.search(target) and not pattern.search(source) for pattern in (_TRIPLE, _SYLLABLES))


def is_copied(source: str, target: str) -> bool:
    """Return True if most of the source stands in the target, word by word."""
    given = _WORD.findall(source)
    folded, written = [word.casefold() for word in given], _words(target)
    length = max(_MIN_COPIED_WORDS, int(_MIN_COPIED_SHARE * len(given)))
    if len(given) < length or len(written) < length or sum(word in written for word in folded) < length:
        return False
    runs = {tuple(written[start : start + length]) for start in range(len(written) - length + 1)}
    copied = (start for start in range(len(given) - length + 1) if tuple(folded[start : start + length]) in runs)
    for start in copied:
        num_lowercase = sum(len(word) > 1 and word.islower() for word in given[start : start + length])
        return num_lowercase >= _MIN_COPIED_LOWERCASE or source.isupper()
    return False


def has_implausible_length(source: str, target: str) -> bool:
    """Return True if the target is much longer or shorter than the source, in characters."""
    given, written = _length(source), _length(target)
    return written > _MAX_LENGTH_RATIO * given + _LENGTH_SLACK or written < _MIN_LENGTH_RATIO * (given - _LENGTH_SLACK)


def urls(text: str) -> list[str]:
    """Return the URLs and domain names of a text."""
    return [match[0].rstrip(_CLOSING) for match in _URL.finditer(text)]


def emails(text: str) -> list[str]:
    """Return the e-mail addresses of a text."""
    return [match[0].rstrip(_CLOSING) for match in _EMAIL.finditer(text)]


def placeholders(text: str) -> list[str]:
    """Return the placeholders of a text: `{name}`, `%s`, `${name}`, `<b>`."""
    return [match[0] for match in _PLACEHOLDER.finditer(text)]


def lost(literals: Sequence[str], target: str) -> list[str]:
    """Return the strings that the target has less often than the list, whatever their case."""
    folded = target.casefold()
    counts = Counter(literal.casefold() for literal in literals)
    return [literal for literal in literals if folded.count(key := literal.casefold()) < counts[key]]


def without_literals(text: str) -> str:
    """Return a text without its URLs, e-mail addresses, placeholders and entities; the same object if it has none."""
    if not _LITERAL_MARK.search(text):
        return text
    for pattern in (_URL, _EMAIL, _PLACEHOLDER, _ENTITY):
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


def lost_spans(source: str, target: str, is_rare: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Return the places in the source of what must be in the target and is not: literals, numbers and names.

    Args:
        source: the text.
        target: its translation.
        is_rare: see `find_failures`.

    Returns:
        Start and end of each, in order; a number with what is written around it without space (`14h30`, `2,5%`).
    """
    spans = []
    for find, pattern in ((urls, _URL), (emails, _EMAIL), (placeholders, _PLACEHOLDER)):
        missing = set(lost(find(source), target))
        found = [
            (match.start(), match[0].rstrip(_CLOSING) if find is not placeholders else match[0])
            for match in pattern.finditer(source)
        ]
        spans += [(start, start + len(literal)) for start, literal in found if literal in missing]
    plain_source = without_literals(source)
    for number in missing_numbers(plain_source, without_literals(target)):
        spans.append(_widened(plain_source, number.start(), number.end()))
    missing = set(changed_names(plain_source, target, is_rare))
    spans += [match.span() for match in _WORD.finditer(plain_source) if match[0] in missing]
    return merged(spans)


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span with the characters around it up to white space, brackets, quotes and final punctuation."""
    while start and text[start - 1] not in _OPENING and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, start + len(text[start:end].rstrip(_CLOSING))


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap as one."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return result


def changed_names(source: str, target: str, is_rare: Callable[[str], bool]) -> list[str]:
    """Return the rare names inside sentences of the source that are not in the target.

    A name may lose accents and end like English names (`Mésopotamie`, `Mesopotamia`).
    """
    names = list(_names(source))
    folded = _without_accents(target) if names else ""
    return [
        name
        for name in names
        if (plain := _without_accents(name)) not in folded and is_rare(name) and not _has_stem(plain, folded)
    ]


def _names(text: str) -> Iterator[str]:
    """Yield the capitalized words inside the sentences of a text."""
    for match in _WORD.finditer(text):
        word = match[0]
        if len(word) < _MIN_NAME or not word[0].isupper() or not word[1:].islower():
            continue
        if word.casefold() in STARTERS or _SENTENCE_START.search(text, max(0, match.start() - 4), match.start()):
            continue
        yield word


def _has_stem(name: str, target: str) -> bool:
    """Return True if the target has the name with another ending."""
    return any(
        len(name) - len(ending) >= _MIN_STEM and name.endswith(ending) and name[: len(name) - len(ending)] in target
        for ending in _NAME_ENDINGS
    )


def _without_accents(text: str) -> str:
    decomposed = text if text.isascii() else unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed.casefold() if not unicodedata.combining(c)) if decomposed else ""


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _cycles(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield for each length of a cycle the maximum number of times in a row that one occurs."""
    for length in range(1, min(_MAX_CYCLE, len(words) // 2) + 1):
        longest = run = 0
        for word, before in zip(words[length:], words, strict=False):
            run = run + 1 if word == before else 0
            longest = max(longest, run)
        yield length, longest // length + 1


def _most_frequent(words: Sequence[str], n: int) -> int:
    """Return the count of the most frequent n-gram of a text."""
    ngrams = zip(*(words[start:] for start in range(n)), strict=False)
    return max(Counter(ngrams).values(), default=0)


def _most_frequent_long(words: Sequence[str]) -> int:
    """Return the count of the most frequent long word of a text."""
    return max(Counter(word for word in words if len(word) >= _MIN_LONG).values(), default=0)


def _length(text: str) -> int:
    """Return the length of a text in letters of an alphabet."""
    stripped = text.strip()
    return len(stripped) if stripped.isascii() else sum(3 if c >= _WIDE else 1 for c in stripped)
