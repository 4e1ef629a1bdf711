"""Word alignments of training pairs: read, kept through typing noise, and projected to the tokens of each segmentation.

A row of links is a flat array: the numbers of words of source and target, then the words of each link in turn, source
first. It is empty if a pair has no alignment. The words are those of `tokenizer.words`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from translator.data.files import DataError
from translator.data.store import IntArray
from translator.errors import shorten
from translator.tokenizer.invisible import remove_invisible
from translator.tokenizer.words import words_in, words_of

_LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


class WordLinks:
    """Encoder of word alignments, which takes the place of a tokenizer.

    Attributes:
        vocab_size: upper bound on the numbers in a row.
    """

    vocab_size = 1 << 31

    def encode_arrays(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the row of links of each text that `read_links` returned, as int32 arrays."""
        return [np.array(text.replace("-", " ").split(), np.int32) for text in texts]


def read_links(source: str, target: str, links: str, *, by_spaces: bool, origin: str) -> str:
    """Return a word alignment with the numbers of words of both texts before its links, in the same form.

    Args:
        source: source text.
        target: target text.
        links: alignment in Pharaoh form, `0-0 1-2`; a text of spaces only gives an empty text.
        by_spaces: whether links number the parts between spaces; otherwise the words of `tokenizer.words`.
        origin: description of the row for the error message.

    Raises:
        DataError: if the alignment has another form, or names a word that a text does not have.
    """
    if not links.strip():
        return ""
    found = [_LINK.fullmatch(link) for link in links.split()]
    pairs = [(int(link[1]), int(link[2])) for link in found if link is not None]
    if len(pairs) < len(found):
        raise DataError(
            "A word alignment must be pairs of numbers from 0, source-target, such as 0-0 1-2. "
            f"Received: {shorten(repr(links))} in {origin}."
        )
    unit = "words between spaces" if by_spaces else "words and punctuation marks"
    divided = [_divide(remove_invisible(text).strip(), by_spaces) for text in (source, target)]
    for pair in pairs:
        for side, place, (words, _) in zip(("source", "target"), pair, divided, strict=True):
            if place >= len(words):
                raise DataError(
                    f"A word alignment must name words of its texts. Received: {pair[0]}-{pair[1]} in {origin}, whose "
                    f"{side} has {len(words)} {unit}, numbered from 0. "
                    "Set alignment_split to the division that the aligner used, or correct the row."
                )
    (source_words, source_count), (target_words, target_count) = divided
    linked = sorted({(i, j) for first, second in pairs for i in source_words[first] for j in target_words[second]})
    return " ".join(f"{i}-{j}" for i, j in ((source_count, target_count), *linked))


def keep_through_noise(links: IntArray, clean: str, noisy: str) -> IntArray:
    """Return a row of links for a source text with typing noise; an empty one if words were joined or divided.

    Links to final punctuation that the noise removed are dropped. Removed apostrophes join words (`l'ami`, `lami`) or
    divide them (`aujourd hui`), unless a space takes the place of one at the end of a word (`l ami`).
    """
    is_word, is_noisy_word = ([_is_word(word) for word in words_in(text)] for text in (clean, noisy))
    count = len(is_noisy_word)
    if is_noisy_word != is_word[:count] or any(is_word[count:]) or not len(links):
        return links[:0]
    pairs = links[2:].reshape(-1, 2)
    return np.concatenate([[count, links[1]], pairs[pairs[:, 0] < count].ravel()]).astype(links.dtype)


def token_links(links: IntArray, source_pieces: Sequence[str], target_pieces: Sequence[str]) -> list[int]:
    """Return the links between tokens, flat, source first: each token of a word with each of the other word.

    The result is empty if the number of words that the tokens spell is not the one that the row of links states. This
    happens after a normalization that writes `...` for an ellipsis, or if a clean text replaces a noisy one.

    Args:
        links: row of links.
        source_pieces: tokens of the source.
        target_pieces: tokens of the target.
    """
    if not len(links):
        return []
    source, target = words_of(source_pieces)[1], words_of(target_pieces)[1]
    if [len(source), len(target)] != links[:2].tolist():
        return []
    numbers = links.tolist()
    linked = {
        (i, j)
        for first, second in zip(numbers[2::2], numbers[3::2], strict=True)
        for i in source[first]
        for j in target[second]
    }
    return [place for link in sorted(linked) for place in link]


def _divide(text: str, by_spaces: bool) -> tuple[list[list[int]], int]:
    """Return, for each word as an aligner numbers them, its numbers in `words_in`; and the length of `words_in`.

    A part between spaces has the numbers of its words, without its punctuation marks. If it consists of punctuation
    marks alone, it has their numbers.
    """
    words = words_in(text)
    if not by_spaces:
        return [[number] for number in range(len(words))], len(words)
    groups: list[list[int]] = []
    start = 0
    for part in text.split():
        stop = start + len(words_in(part))
        numbers = range(start, stop)
        groups.append([number for number in numbers if _is_word(words[number])] or list(numbers))
        start = stop
    return groups, len(words)


def _is_word(word: str) -> bool:
    return any(map(str.isalnum, word))
