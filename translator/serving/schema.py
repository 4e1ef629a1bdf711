"""Requests and responses of the API, as its OpenAPI description shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

MAX_TEXTS = 1000
MAX_ALTERNATIVES = 9

Text = Annotated[str, Field(description="text to translate")]


def _as_int(value: Any) -> Any:
    """Return 1 for 1.0: to JSON Schema, both are integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Alternatives = Annotated[
    int,
    Field(ge=0, le=MAX_ALTERNATIVES, description="number of further translations"),
    BeforeValidator(_as_int),
]
Guard = Annotated[bool, Field(description="`false`: do not check translations for failures")]


class TranslateRequest(BaseModel):
    """Body of `/translate`: LibreTranslate's fields, and `guard`. Unknown fields are ignored."""

    q: Text | Annotated[list[str], Field(max_length=MAX_TEXTS, description="texts to translate")]
    source: str = Field(description="language code of the text, or `auto`", examples=["fr"])
    target: str = Field(description="language code of the translation", examples=["en"])
    format: Literal["text", "html"] = Field("text", description="`html`: tags are kept, text is translated")
    alternatives: Alternatives = 0
    guard: Guard = True
    api_key: str | None = Field(None, description="accepted for compatibility and ignored")


class StreamRequest(BaseModel):
    """Body of `/translate/stream`."""

    q: Text
    source: str = Field(description="language code of the text, or `auto`", examples=["fr"])
    target: str = Field(description="language code of the translation", examples=["en"])
    guard: Guard = True


class DetectRequest(BaseModel):
    """Body of `/detect`."""

    q: str = Field(description="text whose language is detected")
    api_key: str | None = Field(None, description="accepted for compatibility and ignored")


class ExplainRequest(BaseModel):
    """Body of `/explain`."""

    q: str = Field(description="one sentence")
    alternatives: Alternatives = 4
    prefix: str = Field("", description="text that the translations must begin with")


class Detection(BaseModel):
    """A detected language."""

    confidence: float = Field(description="from 0 to 100")
    language: str


class TranslateResponse(BaseModel):
    """Response of `/translate`; lists if `q` is a list."""

    translatedText: str | list[str]  # noqa: N815  # LibreTranslate's name
    detectedLanguage: Detection | list[Detection] | None = Field(None, description="if source is `auto`")  # noqa: N815
    alternatives: list[str] | list[list[str]] | None = Field(None, description="if alternatives is above 0")


class Language(BaseModel):
    """A language, and the languages into which it is translated."""

    code: str
    name: str
    targets: list[str]


class Health(BaseModel):
    """Response of `/health`."""

    status: Literal["ok"]


class Word(BaseModel):
    """A word of a text: the characters from `start` to `end`."""

    start: int
    end: int


class ScoredText(BaseModel):
    """A translation and its score; higher is better."""

    text: str
    score: float


class Explanation(BaseModel):
    """Response of `/explain`."""

    source: str = Field(description="the sentence as the tokenizer reads it")
    source_words: list[Word]
    target_words: list[Word] = Field(description="words of the best translation")
    attention: list[list[float]] = Field(
        description="for each target word the attention to each source word: cross-attention of the last decoder "
        "layer, mean over its heads"
    )
    translations: list[ScoredText] = Field(description="best first")


class Error(BaseModel):
    """An error."""

    error: str = Field(description="requirement, received value and fix")
