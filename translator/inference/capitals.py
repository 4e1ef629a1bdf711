"""Folding of texts typed in capitals."""

from __future__ import annotations

from translator.inference.splitting import sentence_spans


def fold_capitals(text: str) -> str:
    """A text of two words or more that is all in capitals, in small letters but for the first of each sentence.

    Any other text as it is.
    """
    words = [word for word in text.split() if sum(map(str.isalpha, word)) > 1]
    if len(words) < 2 or text != text.upper():
        return text
    return "".join(_begun_by_a_capital(span.lower()) for span in sentence_spans(text))


def _begun_by_a_capital(text: str) -> str:
    start = next((place for place, letter in enumerate(text) if letter.isalpha()), 0)
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]
