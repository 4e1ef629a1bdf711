"""The `data` section: sources of text, cleaning and augmentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from translator.config.section import PositiveFloat, PositiveInt, Probability, Section, as_list

# The form of a row: a text and its translation, these with their word alignment, one text, or a text and its label.
Form = Literal["pairs", "aligned", "texts", "labelled"]


class TextPair(Section):
    """Two aligned text files: line n of one translates line n of the other.

    Attributes:
        source: file of the source texts.
        target: file of the target texts.
        alignment: file whose line n is the word alignment of these lines, in Pharaoh form.
    """

    source: str
    target: str
    alignment: str | None = None

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


Columns = Annotated[tuple[str, ...], BeforeValidator(as_list), Field(min_length=1)]


class Source(Section):
    """A source of text: exactly one of `hub`, `file`, `text`, `phrasebook` and `sentiment`.

    Parallel text has two columns, `source_column` and `target_column`. Text for an objective without translations has
    one column, `text_column`, and for classification `label_column` in addition.

    Text files are UTF-8 or, with a byte order mark, UTF-16, and may be compressed with gzip, bzip2, xz or zstd. Both
    are recognized by content.

    Attributes:
        hub: name of a Hugging Face data set, such as `Helsinki-NLP/opus-100`, or a local folder of the same form.
        subset: name of its subset, such as `en-fr`.
        split: name of its split.
        revision: commit, tag or branch of the data set on the hub.
        streaming: read `train` as a stream, tokenize it during training, and store none of it; all sources of `train`
            or none. A hub data set is not downloaded first.
        file: path or URL of a .parquet, .jsonl, .json, .csv or .tsv file, or of a .txt file with one text per line,
            which is its column `text`. A .csv file is separated by commas or semicolons. A pattern such as
            `part-*.parquet` names several files of one form.
        header: whether the first line of a .csv or .tsv names the columns; otherwise they are called `0`, `1`, ….
        text: two aligned text files, as paths or URLs; or two patterns, whose files are aligned in the order of names.
        phrasebook: split of the embedded parallel corpus.
        sentiment: split of the embedded corpus of French remarks with sentiment labels.
        source_column: column of the source text; by default the code of the source language. A column is looked up in
            the row and then inside `translation`, which may also be a map or a `TranslationVariableLanguages`.
        target_column: column of the target text; by default the code of the target language.
        text_column: column of the text (default `text`); if there are several, each text of a row is an example.
        label_column: column of the label, a text or an integer (default `label`).
        alignment_column: column of the word alignment for guided alignment, in Pharaoh form: `0-0 1-2` links words of
            the source and of the target, from 0. It may be empty. By default, `phrasebook` has its own and others none.
        alignment_split: unit that an alignment numbers: words and punctuation marks as `translate --alignment` does
            (`words`, the default), or parts between spaces (`spaces`), as aligners read tokenized text.
        where: read only rows whose column has one of these values, such as `{source: [tatoeba, news]}`.
        weight: mean number of times that each pair is used per epoch; with 0.5, every other epoch. For a stream, whose
            size is unknown, its share of the examples relative to the other sources.
        max_examples: maximum number of pairs to read, from the beginning; of a stream, in each pass.
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
    alignment_column: str | None = None
    alignment_split: Literal["words", "spaces"] = "words"
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
                f"A source must have exactly one of hub, file, text, phrasebook and sentiment. Received: {received}."
            )
        only_hub = [key for key in ("subset", "split", "revision") if key in self.model_fields_set]
        if only_hub and not self.hub:
            raise ValueError(f"{', '.join(only_hub)}: only for a source with hub. Received: {kinds[0]}.")
        if self.where and self.text:
            raise ValueError("where requires a source with named columns. Received: text, which has none.")
        if self.alignment_column and self.text:
            raise ValueError(
                "alignment_column requires a source with named columns. Received: text. Set text.alignment to a file."
            )
        return self

    @property
    def has_alignment(self) -> bool:
        """True if pairs of this source have a word alignment."""
        return self._alignment_key is not None or self.phrasebook is not None

    @property
    def _alignment_key(self) -> str | None:
        """The key that names the alignment, if one does."""
        if self.text is not None and self.text.alignment is not None:
            return "text.alignment"
        return None if self.alignment_column is None else "alignment_column"

    def problems(self, form: Form) -> list[str]:
        """Return the reasons that rows of this form cannot be read from this source."""
        columns: dict[Form, tuple[str, ...]] = {
            "pairs": ("source_column", "target_column"),
            "aligned": ("source_column", "target_column"),
            "texts": ("text_column",),
            "labelled": ("text_column", "label_column"),
        }
        others = sorted({name for names in columns.values() for name in names} - set(columns[form]))
        found = [f"{key} is not used for {form}. Remove it." for key in others if getattr(self, key) is not None]
        if form != "aligned" and self._alignment_key is not None:
            found.append(
                f"{self._alignment_key} is read only from data.train, with training.guided_alignment_weight above 0. "
                "Remove it, or set the weight."
            )
        if self.alignment_split != "words" and not self.has_alignment:
            found.append("alignment_split requires alignment_column or text.alignment. Remove it.")
        if self.text and form not in ("pairs", "aligned"):
            found.append(f"text has two aligned files with translations, not {form}. Use file with a .txt file.")
        if self.sentiment and form in ("pairs", "aligned"):
            found.append("sentiment holds texts and labels, not translations.")
        if form == "labelled" and len(self.text_column or ()) > 1:
            found.append("labelled text must have one text_column.")
        return found

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


Sources = Annotated[tuple[Source, ...], BeforeValidator(as_list)]
SomeSources = Annotated[Sources, Field(min_length=1)]


class CleaningConfig(Section):
    """Examples to drop before training. The number of dropped examples is reported for each reason.

    Attributes:
        max_characters: maximum length of a side in characters.
        max_length_ratio: maximum ratio of the longer to the shorter side in characters; pairs whose sides are both
            shorter than 20 characters are kept.
        drop_identical: drop pairs whose two sides are equal.
        drop_duplicates: keep only the first of equal examples.
        duplicate_window: of a stream, number of rows of a source among which duplicates are found. A table of 16 to 32
            bytes per row is held in memory.
    """

    max_characters: PositiveInt = 2000
    max_length_ratio: Annotated[float, Field(gt=1)] = 4.0
    drop_identical: bool = True
    drop_duplicates: bool = True
    duplicate_window: PositiveInt = 1_000_000


class AugmentationConfig(Section):
    """Typing noise in the source texts of training pairs. Translations are not changed.

    Each value is the fraction of pairs that get this noise, sampled in each epoch.

    Attributes:
        lowercase: convert to lowercase; `decoding.fold_capitals` gives the model such text.
        accents: remove accents and cedillas: `ete` for `été`.
        final_punctuation: remove a full stop, question mark or exclamation mark at the end.
        apostrophes: remove apostrophes or replace them by spaces: `cest`, `c est`.
        typos: double or omit a letter, swap it with the next or replace it by a neighbouring key, in one word of eight.
    """

    lowercase: Probability = 0.0
    accents: Probability = 0.0
    final_punctuation: Probability = 0.0
    apostrophes: Probability = 0.0
    typos: Probability = 0.0


class DataConfig(Section):
    """Sources of text, cleaning and augmentation.

    Attributes:
        source_language: code of the source language, and default name of its column; required for translation.
        target_language: code of the target language, and default name of its column; required for translation.
        labels: classes of a classifier, in the order of its outputs.
        train: sources of training examples; required for training.
        valid: sources of validation examples.
        test: sources of test examples, on which the finished model is scored.
        mixing_temperature: T in the share n^(1/T) of a source of n examples (Arivazhagan et al., 2019): 1 keeps the
            proportions, and a larger value draws more from small sources. n includes `weight`; for a stream it is
            `weight`.
        shuffle_rows: rows of a stream that are shuffled among each other. They are held in memory, per source.
        cleaning: examples to drop from `train`; `valid` and `test` are never cleaned.
        augmentation: typing noise in the source texts of `train`.
        cache: directory of downloaded and tokenized text; by default `translator` in `$XDG_CACHE_HOME` or `~/.cache`.
    """

    source_language: str | None = None
    target_language: str | None = None
    labels: tuple[str, ...] = ()
    train: Sources = ()
    valid: Sources = ()
    test: Sources = ()
    mixing_temperature: PositiveFloat = 1.0
    shuffle_rows: PositiveInt = 65_536
    cleaning: CleaningConfig = CleaningConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    cache: str | None = None

    @model_validator(mode="after")
    def _streams_all_or_nothing(self) -> DataConfig:
        streams = sum(source.streaming for source in self.train)
        if 0 < streams < len(self.train):
            raise ValueError(
                "train must be streamed as a whole: set streaming: true for all of its sources or for none. "
                f"Received: {streams} of {len(self.train)}."
            )
        return self

    @property
    def is_streamed(self) -> bool:
        """True if the training data is read as a stream."""
        return any(source.streaming for source in self.train)
