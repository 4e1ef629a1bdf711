"""The `data` section: where text comes from, and what is done to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from translator.config.section import PositiveFloat, PositiveInt, Probability, Section, as_list

# What a row of text is: a text and its translation, one text, or a text and its label.
Form = Literal["pairs", "texts", "labelled"]


class TextPair(Section):
    """Two aligned text files, plain or .gz: line n of one translates line n of the other."""

    source: str
    target: str


Columns = Annotated[tuple[str, ...], BeforeValidator(as_list), Field(min_length=1)]


class Source(Section):
    """Where text comes from: exactly one of `hub`, `file`, `text`, `phrasebook` and `sentiment`.

    Parallel text has two columns, `source_column` and `target_column`; text for an objective without translations has
    one, `text_column`, and `label_column` beside it for classification.

    Attributes:
        hub: name of a Hugging Face data set, such as `Helsinki-NLP/opus-100`, or a local folder of the same form.
        subset: its configuration, such as `en-fr`.
        split: its split.
        revision: commit, tag or branch of the data set on the hub.
        streaming: read it as a stream instead of downloading it whole first; it is written to the cache either way.
        file: path or URL of a .parquet, .jsonl, .json, .csv or .tsv file, or of a .txt file, a text a line, which is
            its column `text` (.gz allowed).
        header: whether the first line of a .csv or .tsv names the columns; without it they are called `0`, `1`, ….
        text: two aligned text files, as paths or URLs.
        phrasebook: a split of the embedded corpus: train, valid, test or compositional.
        sentiment: a split of the embedded French remarks with their labels: train, valid or test.
        source_column: column of the source text; by default the source language's code, alone or inside `translation`.
        target_column: likewise for the target text.
        text_column: column of the text (default `text`); with several, each of a row's texts is an example.
        label_column: column of the label, text or a whole number (default `label`).
        where: read only rows whose column has one of these values, such as `{source: [tatoeba, news]}`.
        weight: how many times each of its pairs is seen in an epoch on average; 0.5 is every other epoch.
        max_examples: read only the first so many pairs.
    """

    hub: str | None = None
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    streaming: bool = False
    file: str | None = None
    header: bool = True
    text: TextPair | None = None
    phrasebook: Literal["train", "valid", "test", "compositional"] | None = None
    sentiment: Literal["train", "valid", "test"] | None = None
    source_column: str | None = None
    target_column: str | None = None
    text_column: Columns | None = None
    label_column: str | None = None
    where: dict[str, Columns] = Field(default_factory=dict)
    weight: PositiveFloat = 1.0
    max_examples: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _path_is_a_file(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one_kind(self) -> Source:
        possible = ("hub", "file", "text", "phrasebook", "sentiment")
        kinds = [kind for kind in possible if getattr(self, kind) is not None]
        if len(kinds) != 1:
            received = " and ".join(kinds) or "none of them"
            raise ValueError(
                f"A source is exactly one of hub, file, text, phrasebook and sentiment. Received: {received}."
            )
        only_hub = [key for key in ("subset", "split", "revision", "streaming") if key in self.model_fields_set]
        if only_hub and not self.hub:
            raise ValueError(f"{', '.join(only_hub)} belong(s) to a hub data set only. Received: {kinds[0]}.")
        if self.where and self.text:
            raise ValueError("where needs a source with named columns. Received: text, which has none.")
        return self

    def problems(self, form: Form) -> list[str]:
        """What keeps rows of this form from being read here."""
        columns = {
            "pairs": ("source_column", "target_column"),
            "texts": ("text_column",),
            "labelled": ("text_column", "label_column"),
        }
        others = sorted({name for names in columns.values() for name in names} - set(columns[form]))
        found = [f"{key} does not belong to {form}." for key in others if getattr(self, key) is not None]
        if self.text and form != "pairs":
            found.append(f"text is two aligned files of a translation, not {form}. Give one of them as a .txt file.")
        if self.sentiment and form == "pairs":
            found.append("sentiment holds texts and labels, and no translations.")
        if form == "labelled" and len(self.text_column or ()) > 1:
            found.append("a label belongs to one text_column.")
        return found

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


Sources = Annotated[tuple[Source, ...], BeforeValidator(as_list)]
SomeSources = Annotated[Sources, Field(min_length=1)]


class CleaningConfig(Section):
    """Which examples are dropped before training; each drop is counted and reported by its reason.

    Attributes:
        max_characters: longest side, in characters.
        max_length_ratio: longer side over shorter side, in characters; sides of under 20 characters are exempt.
        drop_identical: drop pairs whose two sides are the same text.
        drop_duplicates: keep only the first of equal examples.
    """

    max_characters: PositiveInt = 2000
    max_length_ratio: Annotated[float, Field(gt=1)] = 4.0
    drop_identical: bool = True
    drop_duplicates: bool = True


class AugmentationConfig(Section):
    """How often the source text of a training pair is typed as carelessly as people type; its translation stays.

    Each is the share of pairs that it happens to, drawn anew in each epoch.

    Attributes:
        lowercase: no capitals; teaches what `decoding.fold_capitals` gives the model, too.
        accents: no accents and no cedillas: `ete` for `été`.
        final_punctuation: no full stop, question or exclamation mark at the end.
        apostrophes: left out, or typed as a space: `cest`, `c est`.
        typos: a letter doubled, left out, swapped with the next or mistaken for one beside it, in one word of eight.
    """

    lowercase: Probability = 0.0
    accents: Probability = 0.0
    final_punctuation: Probability = 0.0
    apostrophes: Probability = 0.0
    typos: Probability = 0.0


class DataConfig(Section):
    """Text and what is done to it.

    Attributes:
        source_language: code of the language translated from; also the default name of its column. For translation.
        target_language: code of the language translated to. For translation.
        labels: the classes of a classifier, in the order of its outputs.
        train: sources to learn from.
        valid: sources for validation during training.
        test: sources for the scores of the finished model.
        cleaning: what is dropped from `train`; `valid` and `test` are never cleaned.
        augmentation: careless typing in the source texts of `train`.
        cache: directory of downloaded and tokenized text; by default `translator` in `$XDG_CACHE_HOME` or `~/.cache`.
    """

    source_language: str | None = None
    target_language: str | None = None
    labels: tuple[str, ...] = ()
    train: SomeSources
    valid: Sources = ()
    test: Sources = ()
    cleaning: CleaningConfig = CleaningConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    cache: str | None = None
