"""Protected text: placeholders, URLs, e-mail addresses and telephone numbers, which a translation keeps as they are.

The model reads a short word, a mask, in place of each. The search places the masks, and the text takes their places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from translator.inference.alignment import Alignment
from translator.inference.pieces import as_inside
from translator.inference.results import Hypothesis, Translation
from translator.inference.texts import clean

_PROTECTED = re.compile(
    r"(?:https?|ftps?|file)://[^\s<>\"«»“”]+|www\.[^\s<>\"«»“”]+"  # URLs
    r"|mailto:\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail addresses
    r"|\{\{[^{}\n]*\}\}|\$\{[^{}\n]*\}|\{%[^{}\n]*%\}"  # {{ name }}, ${name}, {% tag %}
    r"|\{[\w.:!,\[\]-]*\}|%\{\w+\}"  # {name}, {0:.2f}, %{name}
    r"|(?<![\w%])%(?:\(\w+\))?(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh|ll|[hlLzjt])?[sdiufgGxXeEcr@](?!\w)"  # %s, %1$.2f
    r"|(?<!\w)\$\w*[A-Za-z_]\w*|(?<!\w)%[A-Za-z_]\w*%"  # $name, %name%
    r"|(?<![\w+])(?:0|\+\d{1,3}[^\S\n]?)[1-9](?:(?:[^\S\n]|[.-])?\d\d){4}(?!\w|[\s.,-]\d)"  # 01 23 45 67 89
)
_CLOSING = ".,;:!?'’…"  # ends the sentence rather than a URL or an address
_EDGES = re.compile(r"(\W*)(?:.*\w)?(\W*)", re.DOTALL)
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Masked:
    """A text with masks in place of its protected parts.

    Attributes:
        text: the text with masks.
        masks: the part that each mask stands for, in the order of the text.
    """

    text: str
    masks: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> Masked:
        """Replace the protected parts of a text by masks."""
        spans = list(protected_spans(text))
        names = masks_for(text)
        masks: dict[str, str] = {}
        pieces, place = [], 0
        for start, end in spans:
            mask = next(names)
            masks[mask] = clean(text[start:end])
            pieces += [text[place:start], mask]
            place = end
        return cls("".join([*pieces, text[place:]]), masks)

    @property
    def is_all(self) -> bool:
        """True if the text has no letters and digits besides its protected parts."""
        return bool(self.masks) and not any(map(str.isalnum, mask_pattern(list(self.masks)).sub("", self.text)))

    def copied(self, hypothesis: Hypothesis) -> Hypothesis:
        """Return an empty hypothesis with the text as its translation, and its masks as aligned words."""
        words = tuple(re.findall(rf"{mask_pattern(list(self.masks)).pattern}|\S", self.text))
        links = tuple((number, number) for number in range(len(words)))
        alignment = None if hypothesis.alignment is None else Alignment(words, words, links)
        return replace(hypothesis, text=" ".join(self.text.split()), alignment=alignment)

    def apply(self, target: str) -> str:
        """Return a translation with the masks in place of the protected parts that it has; each mask occurs once."""
        for mask, part in self.masks.items():
            target = target.replace(part, mask, 1)
        return target

    def restored(self, text: str) -> str:
        """Return a text with the protected parts in place of their masks."""
        if not self.masks:
            return text
        return mask_pattern(list(self.masks)).sub(lambda match: self.masks[match[0]], text)

    def has_all(self, text: str) -> bool:
        """Return True if a text has each mask once."""
        found = mask_pattern(list(self.masks)).findall(text) if self.masks else []
        return len(found) == len(self.masks) == len(set(found))

    def restore(self, hypothesis: Hypothesis) -> Hypothesis:
        """Return a hypothesis with the protected parts in its text and in the words of its alignment."""
        alignment = hypothesis.alignment
        if alignment is not None:
            source, target = (
                tuple(self.masks.get(word, word) for word in words) for words in (alignment.source, alignment.target)
            )
            alignment = Alignment(source, target, alignment.links)
        return replace(hypothesis, text=self.restored(hypothesis.text), alignment=alignment)

    def pieces(self) -> list[tuple[str, bool]]:
        """Return the text in pieces, and whether each is to be translated; the others are copied."""
        pieces = re.split(f"({mask_pattern(list(self.masks)).pattern})", self.text)
        return [(piece, piece not in self.masks and any(map(str.isalnum, piece))) for piece in pieces]


def protected_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each protected part of a text, in order."""
    for match in _PROTECTED.finditer(text):
        end = match.end()
        if match[0][0] not in "{$%":
            end = match.start() + len(_without_closing(match[0]))
        yield match.start(), end


def _without_closing(part: str) -> str:
    """Return a URL or an address without the punctuation of the sentence after it."""
    while part[-1] in _CLOSING or (part[-1] in _BRACKETS and part.count(part[-1]) > part.count(_BRACKETS[part[-1]])):
        part = part[:-1]
    return part


def masks_for(text: str) -> Iterator[str]:
    """Yield words that do not occur in a text and that models copy: X1, X2, …"""
    number = 0
    while True:
        number += 1
        if f"X{number}" not in text:
            yield f"X{number}"


def mask_pattern(masks: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern that finds masks, of which there is at least one."""
    return re.compile(rf"(?:{'|'.join(masks)})(?!\d)")


def core(piece: str) -> str:
    """Return a piece without what is not a letter or digit at its ends."""
    before, after = _around(piece)
    return piece[len(before) : len(piece) - len(after)]


def _around(piece: str) -> tuple[str, str]:
    match = _EDGES.fullmatch(piece)
    assert match is not None
    return match[1], match[2]


def joined(pieces: Sequence[tuple[str, bool]], translations: Sequence[Translation]) -> Hypothesis:
    """Return the hypothesis that consists of the best translations of pieces, and of those that are copied.

    Args:
        pieces: see `Masked.pieces`.
        translations: one for each piece that is translated.
    """
    following = iter(translations)
    best, texts = [], []
    for number, (piece, is_text) in enumerate(pieces):
        if not is_text:
            texts.append(piece)
            continue
        hypothesis = next(following).hypotheses[0]
        before, after = _around(piece)
        written = as_inside(core(piece), hypothesis.text, is_first=not number, is_last=number == len(pieces) - 1)
        texts.append(before + (written.rstrip(_CLOSING) if after.strip() else written) + after)
        best.append(hypothesis)
    aligned = [each.alignment for each in best if each.alignment is not None]
    return Hypothesis(
        text=" ".join("".join(texts).split()),
        score=math.fsum(each.score for each in best),
        log_probability=math.fsum(each.log_probability for each in best),
        tokens=tuple(piece for each in best for piece in each.tokens),
        token_log_probabilities=tuple(value for each in best for value in each.token_log_probabilities),
        alignment=sum(aligned, start=Alignment((), (), ())) if aligned else None,
    )
