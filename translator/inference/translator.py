"""`Translator`: text in, text out.

Each text gets its translation, in order; an empty text gives an empty one; text that is longer than the model takes is
split, never cut; and a translation does not depend on the other texts of the call.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import torch

from translator.checkpoint import LoadedModel
from translator.checkpoint.location import find_model
from translator.config import DecodingChanges, DecodingOptions, change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.base import Engine, Pair
from translator.engines.torch_engine import TorchEngine
from translator.errors import shorten
from translator.inference.alignment import Alignment, align
from translator.inference.fragment import read_fragments
from translator.inference.guard import Guard, Repair
from translator.inference.loading import load_ctranslate2, load_to_decode, uses_ctranslate2
from translator.inference.markup import with_tags
from translator.inference.mbr import expected_utilities
from translator.inference.purpose import require_objective, require_same_vocabulary, require_supported
from translator.inference.reading import Line, read_lines
from translator.inference.results import Hypothesis, Score, Translation
from translator.inference.splitting import sentences_of
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
        self, texts: str, *, target_prefix: str | None = ..., **changes: Unpack[DecodingChanges]
    ) -> Translation: ...
    @overload
    def translate(
        self, texts: Iterable[str], *, target_prefix: Iterable[str] | None = ..., **changes: Unpack[DecodingChanges]
    ) -> list[Translation]: ...
    def translate(
        self,
        texts: str | Iterable[str],
        *,
        target_prefix: str | Iterable[str] | None = None,
        **changes: Unpack[DecodingChanges],
    ) -> Translation | list[Translation]:
        """Translate one text or several.

        Args:
            texts: one text or several; a line break in a text is white space.
            target_prefix: text that the translation must begin with, one for each text; empty for none. If a text is
                split, the sentences of its prefix go to its parts in order.
            **changes: any of `DecodingOptions`, in place of the model's configuration. A `beam_size` turns sampling
                off.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if a text is not a string, a prefix is too long or missing, or the engine does not support an
                option.
        """
        options = change_decoding(self.decoding, changes)
        require_supported(self.engine, options)
        lines = read_lines(read_texts(texts), self.tokenizers.source, self.longest_source, options)
        prefixes = read_prefixes(target_prefix, len(lines))
        requests = [self._requests(line, prefix, options) for line, prefix in zip(lines, prefixes, strict=True)]
        found = self._search([request for of_line in requests for request in of_line], options)
        repairs: dict[Request, Repair] | None = None
        if options.guard and not options.is_random:
            guard = Guard(self.engine, self.tokenizers, options, lambda ids: self.request(ids, options))
            found, repairs = guard.repaired(found)
        alignments = self._alignments(found, options) if options.alignment else {}
        translations = []
        for line, of_line in zip(lines, requests, strict=True):
            parts = [(request.source, found[request]) for request in of_line]
            translation = self._translation(line, parts, options, alignments)
            if repairs is not None:
                translation = translation.with_repairs([repairs[each] for each in of_line if each in repairs])
            translations.append(translation)
        return translations[0] if isinstance(texts, str) else translations

    @overload
    def translate_markup(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, texts: str, *, html: bool = ..., **changes: Unpack[DecodingChanges]
    ) -> Translation: ...
    @overload
    def translate_markup(
        self, texts: Iterable[str], *, html: bool = ..., **changes: Unpack[DecodingChanges]
    ) -> list[Translation]: ...
    def translate_markup(
        self, texts: str | Iterable[str], *, html: bool = False, **changes: Unpack[DecodingChanges]
    ) -> Translation | list[Translation]:
        """Translate one text with inline tags, or several, and place the tags by word alignment.

        Each tag, comment and processing instruction occurs once in a translation, and each element stays inside the
        element that contains it. Elements with `translate="no"` are copied.

        Args:
            texts: fragments of XML: text with tags, without a root element.
            html: read HTML: tags such as `<br>` need no closing tag, names ignore case, code is copied, and a tag
                without its partner is kept as it is.
            **changes: as in `translate`.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if a text is not a string, or the engine does not support an option or alignment.
            MarkupError: if the tags of a text are not balanced.
        """
        given = [clean(text) for text in read_texts(texts)]
        fragments = read_fragments(given, html=html)
        is_asked = change_decoding(self.decoding, changes).alignment
        changes["alignment"] = True
        found = self.translate([fragment.plain for fragment in fragments], **changes)
        translations = [with_tags(fragment, each, is_asked) for fragment, each in zip(fragments, found, strict=True)]
        return translations[0] if isinstance(texts, str) else translations

    @overload
    async def atranslate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, texts: str, *, target_prefix: str | None = ..., **changes: Unpack[DecodingChanges]
    ) -> Translation: ...
    @overload
    async def atranslate(
        self, texts: Iterable[str], *, target_prefix: Iterable[str] | None = ..., **changes: Unpack[DecodingChanges]
    ) -> list[Translation]: ...
    async def atranslate(
        self, texts: Any, *, target_prefix: Any = None, **changes: Unpack[DecodingChanges]
    ) -> Translation | list[Translation]:
        """Call `translate` in a thread, so that the event loop of asyncio goes on.

        Calls may overlap. A cancelled call returns at once, but its translation goes on in its thread.
        """
        found: Translation | list[Translation] = await asyncio.to_thread(
            lambda: self.translate(texts, target_prefix=target_prefix, **changes)
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
        [line] = read_lines(read_texts(text), self.tokenizers.source, self.longest_source, options)
        if not line.ids:
            return self._translation(line, [], options, {})
        if len(line.ids) > self.longest_source:
            raise DecodingError(
                f"A text with alternatives must have at most {self.longest_source} tokens. "
                f"Received: {len(line.ids)} tokens. Give one of its sentences."
            )
        [prefix] = read_prefixes(target_prefix, 1)
        whole = self.request(line.ids, options, self.tokenizers.target.encode(prefix))
        next_token = replace(whole, max_length=len(whole.prefix) + 1)
        beam = {"sample": False, "beam_size": options.num_hypotheses, "num_beam_groups": 1, "mbr_candidates": 0}
        [found] = self.engine.search([next_token], options.model_copy(update=beam))
        requests = [replace(whole, prefix=each.tokens) for each in found if not each.is_finished]
        best = options.model_copy(update={"num_hypotheses": 1, "mbr_candidates": 0})
        ended = [each for each in found if each.is_finished]
        completed = [candidate for [candidate] in self.engine.search(requests, best)]
        candidates = sorted([*ended, *completed], key=lambda candidate: -candidate.score)
        alignments = self._alignments({whole: candidates}, options) if options.alignment else {}
        flags = tuple(flag for flag in line.flags if flag != "sentences")
        return self._translation(replace(line, flags=flags), [(line.ids, candidates)], options, alignments)

    def request(self, source: Sequence[int], options: DecodingOptions, prefix: Sequence[int] = ()) -> Request:
        """Return the request to translate `source`, ids without EOS, by an output that begins with `prefix`.

        The output has at most `max_length_factor` tokens per source token, or as many as the prefix, plus 10, and fits
        the model's positions. The maximum length wins over `min_length`.

        Raises:
            DecodingError: if the prefix does not fit the model's positions.
        """
        positions = self.engine.max_positions - self.engine.shares_positions * (len(source) + 1)
        if len(prefix) >= positions:
            raise DecodingError(
                f"target_prefix must have at most {positions - 1} tokens. Received: {len(prefix)} tokens, "
                f"{shorten(self.tokenizers.target.decode(prefix), 60)!r}. Shorten it, or translate the text in parts."
            )
        max_length = int(min(positions, max(options.max_length_factor * len(source), len(prefix)) + 10 + 1))
        return Request(tuple(source), max_length, options.min_length, tuple(prefix))

    def _requests(self, line: Line, prefix: str, options: DecodingOptions) -> list[Request]:
        """Return the requests of the parts of a line; the sentences of the prefix go to them in order."""
        if not prefix:
            return [self.request(part, options) for part in line.parts]
        sentences = sentences_of(prefix) if len(line.parts) > 1 else [prefix]
        last = len(line.parts) - 1
        texts = [*sentences[:last], " ".join(sentences[last:]), *[""] * last]
        return [
            self.request(part, options, self.tokenizers.target.encode(text))
            for part, text in zip(line.parts, texts, strict=False)
        ]

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
        given = read_pairs(pairs)
        lines = read_lines([source for source, _ in given], self.tokenizers.source, self.longest_source, options)
        split = [self._split_alike(line, clean(target)) for line, (_, target) in zip(lines, given, strict=True)]
        fitting = list(dict.fromkeys(pair for parts in split if all(map(self._fits, parts)) for pair in parts))
        found = dict(zip(fitting, self.engine.score(fitting, options.batch_tokens), strict=True))
        return [
            self._score(line, target, parts, found)
            for line, (_, target), parts in zip(lines, given, split, strict=True)
        ]

    def _split_alike(self, line: Line, target: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the ids of source and target, part by part if both have equally many, else as one pair."""
        encode = self.tokenizers.target.encode
        sentences = sentences_of(target)
        if 1 < len(line.parts) == len(sentences):
            return [(part, tuple(encode(text))) for part, text in zip(line.parts, sentences, strict=True)]
        return [(line.ids, tuple(encode(target)))]

    def _fits(self, pair: Pair) -> bool:
        source, target = (len(ids) + 1 for ids in pair)
        return (source + target if self.engine.shares_positions else max(source, target)) <= self.engine.max_positions

    def _score(
        self,
        line: Line,
        target: str,
        parts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[float, ...]],
    ) -> Score:
        unused = {"empty"} if len(parts) > 1 else {"empty", "split", "sentences", "truncated"}
        flags = tuple(flag for flag in line.flags if flag not in unused)
        if clean(target) != target and "invalid_bytes" not in flags:
            flags = ("invalid_bytes", *flags)
        pieces = tuple(piece for _, ids in parts for piece in self.tokenizers.target.pieces(ids))
        if not all(pair in found for pair in parts):
            return Score(math.nan, pieces, (), (*flags, "too_long"))
        values = tuple(value for pair in parts for value in found[pair])
        return Score(math.fsum(values), pieces, values, flags)

    def _search(self, requests: Sequence[Request], options: DecodingOptions) -> dict[Request, list[Candidate]]:
        """Return the candidates of each request; equal requests are searched once."""
        unique = list(dict.fromkeys(requests))
        if options.mbr_candidates:
            return self._search_by_risk(unique, options)
        found = dict(zip(unique, self.engine.search(unique, options), strict=True))
        if options.is_random or options.num_hypotheses == 1:
            return found
        distinct = {request: self._distinct(candidates) for request, candidates in found.items()}
        if options.num_hypotheses < options.beam_size:  # the places of equal texts go to others of the beam
            short = [request for request in unique if len(distinct[request]) < len(found[request])]
            wider = change_decoding(options, {"num_hypotheses": options.beam_size})
            for request, candidates in zip(short, self.engine.search(short, wider), strict=True):
                distinct[request] = self._distinct(candidates)[: options.num_hypotheses]
        return distinct

    def _search_by_risk(self, requests: Sequence[Request], options: DecodingOptions) -> dict[Request, list[Candidate]]:
        """Return the candidates of minimum Bayes risk, best first, no two with the same text.

        Samples count as references alike, results of a beam by their probability.
        """
        more = options.model_copy(update={"num_hypotheses": options.mbr_candidates, "mbr_candidates": 0})
        chosen = {}
        for request, candidates in zip(requests, self.engine.search(requests, more), strict=True):
            texts = [self.tokenizers.target.decode(candidate.tokens) for candidate in candidates]
            best = max(candidate.log_probability for candidate in candidates)
            weights = [
                1.0 if options.is_random else math.exp(candidate.log_probability - best) for candidate in candidates
            ]
            utilities = expected_utilities(texts, weights)
            order = sorted(range(len(texts)), key=lambda number: -utilities[number])
            chosen[request] = self._distinct([candidates[number] for number in order])[: options.num_hypotheses]
        return chosen

    def _distinct(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates without those that differ from a better one in their tokens only."""
        best: dict[str, Candidate] = {}
        for candidate in candidates:
            best.setdefault(self.tokenizers.target.decode(candidate.tokens), candidate)
        return list(best.values())

    def _alignments(self, found: dict[Request, list[Candidate]], options: DecodingOptions) -> dict[Pair, Alignment]:
        """Return the word alignment of each candidate with its source, by the ids of both."""
        pairs = list({(request.source, each.tokens) for request, candidates in found.items() for each in candidates})
        weights = self.engine.cross_attention(pairs, options.batch_tokens)
        source, target = (side.pieces for side in (self.tokenizers.source, self.tokenizers.target))
        return {pair: align(source(pair[0]), target(pair[1]), each) for pair, each in zip(pairs, weights, strict=True)}

    def _translation(
        self,
        line: Line,
        parts: Sequence[tuple[tuple[int, ...], Sequence[Candidate]]],
        options: DecodingOptions,
        alignments: dict[Pair, Alignment],
    ) -> Translation:
        """Return the translation of a line from those of its parts: its n-th hypothesis joins the n-th of each part.

        Args:
            line: the text.
            parts: source ids and candidates of each part.
            options: the decoding options.
            alignments: alignment of source ids and tokens of candidates; empty if it was not asked for.
        """
        count = max((len(candidates) for _, candidates in parts), default=1)
        columns = [
            [(source, candidates[min(number, len(candidates) - 1)]) for source, candidates in parts]
            for number in range(count)
        ]
        is_truncated = any(not candidate.is_finished for _, candidate in columns[0])
        flags = (*line.flags, "truncated") if is_truncated and "truncated" not in line.flags else line.flags
        hypotheses = []
        for column in columns:
            hypothesis = self._join([candidate for _, candidate in column])
            if options.alignment:
                linked = [alignments[source, candidate.tokens] for source, candidate in column]
                hypothesis = replace(hypothesis, alignment=sum(linked, start=Alignment((), (), ())))
            hypotheses.append(hypothesis)
        if not options.is_random:  # joined parts may be equal
            texts = [hypothesis.text for hypothesis in hypotheses]
            hypotheses = [each for place, each in enumerate(hypotheses) if each.text not in texts[:place]]
        return Translation(line.source, tuple(hypotheses), flags)

    def _join(self, candidates: Sequence[Candidate]) -> Hypothesis:
        target = self.tokenizers.target
        return Hypothesis(
            text=" ".join(text for candidate in candidates if (text := target.decode(candidate.tokens))),
            score=math.fsum(candidate.score for candidate in candidates),
            log_probability=math.fsum(candidate.log_probability for candidate in candidates),
            tokens=tuple(piece for candidate in candidates for piece in target.pieces(candidate.tokens)),
            token_log_probabilities=tuple(
                value for candidate in candidates for value in candidate.token_log_probabilities
            ),
        )
