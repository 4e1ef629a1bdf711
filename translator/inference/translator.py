"""`Translator`: text in, text out.

Each text gets its translation, in order; an empty text gives an empty one; text that is longer than the model takes is
split, never cut; and a translation does not depend on the other texts of the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import torch

from translator.checkpoint import LoadedModel
from translator.checkpoint.location import find_model
from translator.config import DecodingChanges, DecodingOptions, change_decoding
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.base import Engine
from translator.engines.torch_engine import TorchEngine
from translator.inference.alternatives import find_alternatives
from translator.inference.assembly import alignments_of, assemble
from translator.inference.fragment import read_fragments
from translator.inference.guard import Guard, Repair
from translator.inference.loading import load_ctranslate2, load_to_decode, uses_ctranslate2
from translator.inference.markup import with_tags
from translator.inference.protection import Masked, core, joined
from translator.inference.purpose import require_objective, require_same_vocabulary, require_supported, require_terms
from translator.inference.reading import read_lines
from translator.inference.requests import RequestWriter
from translator.inference.results import Score, Translation
from translator.inference.scoring import score_pairs
from translator.inference.searching import Searcher
from translator.inference.terms import TermMatcher, Terms, TermsLike
from translator.inference.texts import clean, read_pairs, read_prefixes, read_texts
from translator.model import EncoderOnly
from translator.tokenizer import Tokenizers


class Translator:
    """An engine with its tokenizers and decoding options. Several threads may call it at the same time.

    Args:
        engine: decodes token ids.
        tokenizers: tokenizers that the model was trained with.
        decoding: default options of `translate`.
    """

    def __init__(self, engine: Engine, tokenizers: Tokenizers, decoding: DecodingOptions | None = None) -> None:
        self.engine = engine
        self.tokenizers = tokenizers
        self.decoding = decoding or DecodingOptions()
        self._terms: TermMatcher | None = None

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        device: str = "auto",
        threads: int | None = None,
        precision: str | None = None,
        engine: str = "auto",
        ensemble: Sequence[str | Path] = (),
    ) -> Translator:
        """Load a model to translate with.

        Args:
            name_or_path: in this order, a path (run directory, checkpoint, bundle, or model exported to CTranslate2's
                format), the name of a bundled model, a hub id `owner/name`.
            device: `cpu`, `cuda`, `cuda:1`, …; `auto` is the first CUDA device, or the CPU without one.
            threads: CPU threads of torch, in the whole process; default: one per core.
            precision: `float32`; `bfloat16`, where a translation may depend on the other texts of the call; or `int8`,
                on CPUs only. The last two round weights, activations and scores. None is `decoding.precision` of the
                model, `float32` unless its configuration says otherwise.
            engine: `torch`; `ctranslate2`, which converts the model into the cache first; or `auto`, which is
                `ctranslate2` for an exported model and `torch` otherwise.
            ensemble: further models with the same vocabularies; probabilities are the mean over all models. The
                tokenizers and the configuration are those of the first.

        Raises:
            ModelNotFoundError: if there is no such model.
            CheckpointError, TokenizerError, ConfigError: if the model cannot be used.
            DecodingError: if the model was trained for another objective, or if engine, device, threads or precision
                cannot be used.
        """
        path = find_model(name_or_path)
        if ensemble:
            return cls._load_ensemble([path, *map(find_model, ensemble)], device, threads, precision, engine)
        if uses_ctranslate2(path, engine):
            found, tokenizers, config = load_ctranslate2(path, device, threads, precision)
            return cls(found, tokenizers, config.decoding)
        return cls.of(*load_to_decode(path, device, threads, precision))

    @classmethod
    def _load_ensemble(
        cls, paths: Sequence[Path], device: str, threads: int | None, precision: str | None, engine: str
    ) -> Translator:
        if any(uses_ctranslate2(path, engine) for path in paths):
            raise DecodingError("An ensemble requires engine: torch. Received: engine: ctranslate2.")
        members, models = [load_to_decode(path, device, threads, precision) for path in paths], []
        (first, chosen), *_ = members
        for member, _ in members:
            require_objective(member.config, member.path, "translation")
            assert not isinstance(member.model, EncoderOnly)
            require_same_vocabulary(first, member)
            models.append(member.model)
        return cls(TorchEngine(models[0], chosen, ensemble=models[1:]), first.tokenizers, first.config.decoding)

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Translator:
        """Return a translator around the result of `load_model`, on the device that it was loaded to.

        Raises:
            DecodingError: if the model was trained for another objective.
        """
        require_objective(loaded.config, loaded.path, "translation")
        assert not isinstance(loaded.model, EncoderOnly)
        return cls(TorchEngine(loaded.model, device), loaded.tokenizers, loaded.config.decoding)

    @property
    def longest_source(self) -> int:
        """Maximum number of tokens of a text that is translated whole: three quarters of its positions.

        A translation has as many positions as its source, and may need more tokens.
        """
        positions = self.engine.max_positions
        return (positions // 2 if self.engine.shares_positions else positions) * 3 // 4

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self,
        texts: str,
        *,
        target_prefix: str | None = ...,
        terms: TermsLike | None = ...,
        **changes: Unpack[DecodingChanges],
    ) -> Translation:
        """Translate one text."""

    @overload
    def translate(
        self,
        texts: Iterable[str],
        *,
        target_prefix: Iterable[str] | None = ...,
        terms: TermsLike | None = ...,
        **changes: Unpack[DecodingChanges],
    ) -> list[Translation]:
        """Translate several texts."""

    def translate(
        self,
        texts: str | Iterable[str],
        *,
        target_prefix: str | Iterable[str] | None = None,
        terms: TermsLike | None = None,
        **changes: Unpack[DecodingChanges],
    ) -> Translation | list[Translation]:
        """Translate one text or several.

        Args:
            texts: one text or several; a line break in a text is white space.
            target_prefix: text that the translation must begin with, one for each text; empty for none. If a text is
                split, the sentences of its prefix go to its parts in order.
            terms: words that must, or should, be translated in a given way: a TSV file (source, target, and optionally
                `hard` or `soft`), a mapping from source to target, `TermEntry` objects, or `Terms`. A text that has the
                source of a hard term, as whole words in any case, gets a translation that contains the target.
            **changes: any of `DecodingOptions`, in place of the model's configuration. A `beam_size` turns sampling
                off.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if a text is not a string, a prefix is too long or missing, the terms of a text do not fit
                the model, or the engine does not support an option or terms.
            TermError: if the terms cannot be read, or the vocabulary cannot spell one.
        """
        options = change_decoding(self.decoding, changes)
        require_supported(self.engine, options)
        given = read_texts(texts)
        sources = [Masked.of(text) if options.protect else Masked(text, {}) for text in given]
        prefixes = read_prefixes(target_prefix, len(sources))
        prefixes = [source.apply(prefix) for source, prefix in zip(sources, prefixes, strict=True)]
        matcher = self._matcher(terms, options)
        found = self._translated(sources, prefixes, options, matcher)
        translations = [
            replace(each, source=clean(text))
            for text, each in zip(given, self._restored(sources, found, options, matcher), strict=True)
        ]
        return translations[0] if isinstance(texts, str) else translations

    def _translated(
        self, sources: Sequence[Masked], prefixes: Sequence[str], options: DecodingOptions, matcher: TermMatcher | None
    ) -> list[Translation]:
        """Translate texts whose protected parts are masked; masks stay in the translations."""
        lines = read_lines([source.text for source in sources], self.tokenizers.source, self.longest_source, options)
        lines = [
            replace(line, parts=(), texts=()) if source.is_all else line
            for line, source in zip(lines, sources, strict=True)
        ]
        writer = RequestWriter(self.engine, self.tokenizers, options, matcher)
        requests = [
            writer.requests(line, source, prefix) for line, source, prefix in zip(lines, sources, prefixes, strict=True)
        ]
        searcher = Searcher(self.engine, self.tokenizers.target, options)
        found = searcher.search([request for of_line in requests for request in of_line], writer.switched)
        repairs: dict[Request, Repair] | None = None
        if options.guard and not options.is_random:
            masks = {mask for source in sources for mask in source.masks}
            found, repairs = Guard(self.engine, self.tokenizers, options, writer.request, masks).repaired(found)
        alignments = alignments_of(self.engine, self.tokenizers, found, options) if options.alignment else {}
        translations = []
        for line, of_line in zip(lines, requests, strict=True):
            parts = [(request.source, found[request]) for request in of_line]
            translation = assemble(line, parts, options, alignments, self.tokenizers.target)
            if repairs is not None:
                translation = translation.with_repairs([repairs[each] for each in of_line if each in repairs])
            translations.append(translation)
        return [
            replace(each, hypotheses=(source.copied(each.hypotheses[0]),)) if source.is_all else each
            for source, each in zip(sources, translations, strict=True)
        ]

    def _restored(
        self,
        sources: Sequence[Masked],
        translations: Sequence[Translation],
        options: DecodingOptions,
        matcher: TermMatcher | None,
    ) -> list[Translation]:
        """Return translations with the protected parts in place of the masks.

        Hypotheses that lack a mask are dropped. If all do, the text around the masks is translated in pieces.
        """
        results = []
        for source, translation in zip(sources, translations, strict=True):
            kept = [source.restore(each) for each in translation.hypotheses if source.has_all(each.text)]
            if not kept:
                pieces = source.pieces()
                parts = [Masked(core(text), {}) for text, is_text in pieces if is_text]
                found = self._translated(parts, [""] * len(parts), options, matcher)
                kept = [source.restore(joined(pieces, found))]
                translation = replace(translation, flags=(*translation.flags, "pieces"))
            results.append(replace(translation, hypotheses=tuple(kept)))
        return results

    def _matcher(self, terms: TermsLike | None, options: DecodingOptions) -> TermMatcher | None:
        """Return the matcher of the terms of a call, or of `use_terms`; None without terms.

        Raises:
            TermError: if the terms cannot be read, or the vocabulary cannot spell one.
            DecodingError: if the engine or the options do not allow terms.
        """
        matcher = self._terms if terms is None else TermMatcher(Terms.of(terms), self.tokenizers)
        if matcher is not None:
            require_terms(self.engine, options, has_hard=matcher.has_hard)
        return matcher

    def use_terms(self, terms: TermsLike) -> None:
        """Use terms in all further calls that are not given others; see `translate`.

        Raises:
            TermError: if the terms cannot be read, or the vocabulary cannot spell one.
            DecodingError: if the engine does not serve terms.
        """
        self._terms = self._matcher(terms, DecodingOptions())

    @overload
    def translate_markup(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, texts: str, *, html: bool = ..., terms: TermsLike | None = ..., **changes: Unpack[DecodingChanges]
    ) -> Translation:
        """Translate one text."""

    @overload
    def translate_markup(
        self,
        texts: Iterable[str],
        *,
        html: bool = ...,
        terms: TermsLike | None = ...,
        **changes: Unpack[DecodingChanges],
    ) -> list[Translation]:
        """Translate several texts."""

    def translate_markup(
        self,
        texts: str | Iterable[str],
        *,
        html: bool = False,
        terms: TermsLike | None = None,
        **changes: Unpack[DecodingChanges],
    ) -> Translation | list[Translation]:
        """Translate one text with inline tags, or several, and place the tags by word alignment.

        Each tag, comment and processing instruction occurs once in a translation, and each element stays inside the
        element that contains it. Elements with `translate="no"` are copied.

        Args:
            texts: fragments of XML: text with tags, without a root element.
            html: read HTML: tags such as `<br>` need no closing tag, names ignore case, code is copied, and a tag
                without its partner is kept as it is.
            terms: as in `translate`.
            **changes: as in `translate`.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if a text is not a string, or the engine does not support an option or alignment.
            MarkupError: if the tags of a text are not balanced.
            TermError: if the terms cannot be read, or the vocabulary cannot spell one.
        """
        options = change_decoding(self.decoding, changes)
        aligned = options.model_copy(update={"alignment": True})
        require_supported(self.engine, aligned)
        matcher = self._matcher(terms, options)
        given = [clean(text) for text in read_texts(texts)]
        fragments = read_fragments(given, html=html, protect=options.protect)
        sources = [fragment.masked for fragment in fragments]
        found = self._translated(sources, [""] * len(sources), aligned, matcher)
        translations = [with_tags(*pair, options.alignment) for pair in zip(fragments, found, strict=True)]
        return translations[0] if isinstance(texts, str) else translations

    @overload
    async def atranslate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self,
        texts: str,
        *,
        target_prefix: str | None = ...,
        terms: TermsLike | None = ...,
        **changes: Unpack[DecodingChanges],
    ) -> Translation:
        """Translate one text."""

    @overload
    async def atranslate(
        self,
        texts: Iterable[str],
        *,
        target_prefix: Iterable[str] | None = ...,
        terms: TermsLike | None = ...,
        **changes: Unpack[DecodingChanges],
    ) -> list[Translation]:
        """Translate several texts."""

    async def atranslate(
        self,
        texts: Any,
        *,
        target_prefix: Any = None,
        terms: TermsLike | None = None,
        **changes: Unpack[DecodingChanges],
    ) -> Translation | list[Translation]:
        """Call `translate` with these arguments in a thread, so that the event loop of asyncio continues.

        Calls may overlap. A cancelled call returns at once, and its translation continues in its thread.
        """
        found: Translation | list[Translation] = await asyncio.to_thread(
            lambda: self.translate(texts, target_prefix=target_prefix, terms=terms, **changes)
        )
        return found

    def alternatives(self, text: str, target_prefix: str = "", **changes: Unpack[DecodingChanges]) -> Translation:
        """Translate a text several times: each translation begins with the prefix and goes on with another token.

        Args:
            text: the text, which is not split.
            target_prefix: beginning of the translation, up to the position of the alternatives.
            **changes: as in `translate`. The `num_hypotheses` most probable next tokens are completed, each by its best
                translation.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if the text or the prefix is too long, or the engine does not support an option.
        """
        options = change_decoding(self.decoding, changes)
        require_supported(self.engine, options)
        return find_alternatives(self.engine, self.tokenizers, self.longest_source, text, target_prefix, options)

    def request(self, source: Sequence[int], options: DecodingOptions, prefix: Sequence[int] = ()) -> Request:
        """Return the request to translate `source`; see `RequestWriter.request`."""
        return RequestWriter(self.engine, self.tokenizers, options).request(source, prefix)

    def score(self, pairs: Iterable[tuple[str, str]], *, batch_tokens: int | None = None) -> list[Score]:
        """Return the log-probability of given translations.

        A source is read as `translate` reads it. If `translate` would split it, and the target has as many sentences
        as the source has parts, they are scored pair by pair; otherwise source and target are scored whole.

        Args:
            pairs: source text and target text.
            batch_tokens: tokens of each side scored together; results do not depend on it.

        Raises:
            ConfigError: if `batch_tokens` is out of range.
            DecodingError: if a pair does not consist of two strings.
        """
        options = change_decoding(self.decoding, {"batch_tokens": batch_tokens})
        return score_pairs(self.engine, self.tokenizers, self.longest_source, read_pairs(pairs), options)
