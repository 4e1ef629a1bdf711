"""The languages of the server: their names, and detection of one of them."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Any

import py3langid  # noqa: F401  # a server without it must not start; `identifier_of` imports it with the first text

from translator.data.languages import identifier_of

# English names of the languages for which parallel text is most common (ISO 639-1).
_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def language_name(code: str) -> str:
    """Return the English name of a language, or the code itself if the name is not listed."""
    return _NAMES.get(code, code)


class LanguageDetector:
    """Decides between source and target language by the n-grams of a text (Lui and Baldwin, 2012; py3langid).

    Args:
        source: code of the source language.
        target: code of the target language.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target
        self._lock = Lock()

    def detect(self, text: str) -> tuple[str, float]:
        """Return the language of a text and the probability that it is this one of the two, from 0 to 1.

        A text without evidence, as a number, is in the source language, with probability 0.5. If py3langid lacks one
        of the languages, every text is in the source language, with probability 0.
        """
        with self._lock:
            identifier = self._identifier
        if identifier is None:
            return self.source, 0.0
        ranks: dict[str, float] = dict(identifier.rank(text))
        source, target = ranks[self.source], ranks[self.target]
        return (self.source, source) if source >= target else (self.target, target)

    @cached_property
    def _identifier(self) -> Any:
        """The identifier, loaded when the first text is detected; None if it cannot tell the languages apart."""
        return identifier_of((self.source, self.target)) if self.source != self.target else None
