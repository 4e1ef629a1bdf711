"""`Translator`: text in, text out.

It keeps the promises of the line contract: each text gets its translation, in order; empty gives empty; what is longer
than the model takes is split, never cut; and what else shares the batch changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch

from translator.checkpoint import LoadedModel
from translator.config import DecodingConfig
from translator.decoding.options import SearchOptions
from translator.decoding.search import Candidate, Decodable, DecodingError, Sampling, require_positive
from translator.inference.capitals import fold_capitals
from translator.inference.hardware import side_by_side
from translator.inference.loading import load_to_decode
from translator.inference.purpose import require_objective
from translator.inference.scoring import TranslationModel, token_log_probabilities
from translator.inference.splitting import sentences_of, split_text
from translator.inference.texts import batches_of, clean, read_pairs, read_texts
from translator.model import DecoderOnly, EncoderDecoder, EncoderOnly
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed
from translator.tokenizer import EOS_ID, Tokenizers

_WORTH_A_THREAD = 256  # source tokens


@dataclass(frozen=True)
class Hypothesis:
    """One translation of a text.

    Attributes:
        text: on one line.
        score: log-probability over length penalty; the greater the better. For a split text, the sum of its parts'.
        log_probability: of all tokens and the end, natural logarithm.
        tokens: pieces; `▁` stands for a space.
        token_log_probabilities: of each piece, then of the end (of each part, if the text was split).
    """

    text: str
    score: float
    log_probability: float
    tokens: tuple[str, ...]
    token_log_probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Translation:
    """A text and its translations.

    Attributes:
        source: the text as it was translated; what was no valid text is replaced by U+FFFD.
        hypotheses: best first, at least one.
        flags: what is worth knowing: `empty` (nothing to translate), `invalid_bytes` (replaced), `split` (longer than
            the model takes: translated in parts), `sentences` (translated one by one), `truncated` (the output ran
            into its greatest length), `capitals` (all in capitals, and translated as if it were not).
    """

    source: str
    hypotheses: tuple[Hypothesis, ...]
    flags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text

    @property
    def score(self) -> float:
        """Score of the best translation."""
        return self.hypotheses[0].score

    @property
    def tokens(self) -> tuple[str, ...]:
        """Pieces of the best translation."""
        return self.hypotheses[0].tokens


@dataclass(frozen=True)
class Score:
    """How probable a given translation is.

    Attributes:
        log_probability: of all tokens and the end, natural logarithm; not a number if the pair is too long.
        tokens: pieces of the translation.
        token_log_probabilities: of each piece, then of the end.
        flags: what is worth knowing: `invalid_bytes` (replaced by U+FFFD), `too_long` (a side has more pieces than the
            model takes).
    """

    log_probability: float
    tokens: tuple[str, ...]
    token_log_probabilities: tuple[float, ...]
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.log_probability


class Translator:
    """A model with its tokenizers and its way of searching.

    Args:
        model: in evaluation mode, on the device that decodes.
        tokenizers: those that it was trained with.
        decoding: what `translate` does where it is not told otherwise.
        device: where the model is.
    """

    def __init__(
        self,
        model: TranslationModel,
        tokenizers: Tokenizers,
        decoding: DecodingConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.tokenizers = tokenizers
        self.decoding = decoding or DecodingConfig()
        self.device = torch.device(device)
        self._steps: Decodable[Any] = model
        if self.device.type == "cuda" and isinstance(model, EncoderDecoder):
            self._steps = StaticDecoder(model)

    @classmethod
    def load(
        cls, name_or_path: str | Path, device: str = "auto", threads: int | None = None, precision: str = "float32"
    ) -> Translator:
        """Load a model to translate with.

        Args:
            name_or_path: in this order, a path (run directory, checkpoint or bundle), the name of a bundled model, a
                hub id `owner/name`.
            device: `cpu`, `cuda`, `cuda:1`, …; `auto` is the first CUDA device, or the CPU where there is none.
            threads: CPU threads of torch, in this whole process; by default as many as there are cores.
            precision: `float32`, or `bfloat16`, which is meant for GPUs. Scores are rounded then, and what shares the
                batch may change them.

        Raises:
            ModelNotFoundError: there is no such model.
            CheckpointError, TokenizerError, ConfigError: there is one that cannot be used.
            DecodingError: it was trained for something else; or there is no such device or precision, or `threads` is
                out of range.
        """
        return cls.of(*load_to_decode(name_or_path, device, threads, precision))

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Translator:
        """A translator around what `load_model` gives, on the device that it was loaded to.

        Raises:
            DecodingError: it was trained for something else.
        """
        require_objective(loaded, "translation")
        assert not isinstance(loaded.model, EncoderOnly)
        return cls(loaded.model, loaded.tokenizers, loaded.config.decoding, device)

    @property
    def longest_source(self) -> int:
        """Most pieces of a text that is translated whole: three quarters of the positions that it can have.

        The rest is room for the translation, which has as many positions and may need more pieces.
        """
        positions = self.model.max_positions
        return (positions // 2 if self._shares_positions else positions) * 3 // 4

    @property
    def _shares_positions(self) -> bool:
        """Whether source and translation stand in one sequence, as in a decoder alone."""
        return isinstance(self.model, DecoderOnly)

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self,
        texts: str,
        *,
        beam_size: int | None = ...,
        length_penalty: float | None = ...,
        max_length_factor: float | None = ...,
        no_repeat_ngram: int | None = ...,
        num_hypotheses: int = ...,
        batch_tokens: int | None = ...,
        sampling: Sampling | None = ...,
    ) -> Translation: ...
    @overload
    def translate(
        self,
        texts: Iterable[str],
        *,
        beam_size: int | None = ...,
        length_penalty: float | None = ...,
        max_length_factor: float | None = ...,
        no_repeat_ngram: int | None = ...,
        num_hypotheses: int = ...,
        batch_tokens: int | None = ...,
        sampling: Sampling | None = ...,
    ) -> list[Translation]: ...
    def translate(
        self,
        texts: str | Iterable[str],
        *,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        max_length_factor: float | None = None,
        no_repeat_ngram: int | None = None,
        num_hypotheses: int = 1,
        batch_tokens: int | None = None,
        sampling: Sampling | None = None,
    ) -> Translation | list[Translation]:
        """Translate one text, or many.

        What is not given is as in the model's configuration.

        Args:
            texts: one text or several; a line break in a text is white space.
            beam_size: hypotheses kept; 1 is greedy.
            length_penalty: alpha of Wu et al. (2016), equation 14.
            max_length_factor: longest output, in pieces per piece of input, plus 10.
            no_repeat_ngram: no run of so many pieces comes twice, unless the text repeats itself; 0 forbids nothing.
            num_hypotheses: translations of each text, at most `beam_size`.
            batch_tokens: source tokens translated together; the result does not depend on it.
            sampling: draw instead of searching; excludes `beam_size`.

        Raises:
            DecodingError: an option is out of its range.
        """
        if sampling is not None and beam_size is not None:
            raise DecodingError("Sampling has no beam. Received: both sampling and beam_size. Leave one out.")
        options = _Options(
            beam_size=self.decoding.beam_size if beam_size is None else beam_size,
            length_penalty=self.decoding.length_penalty if length_penalty is None else length_penalty,
            max_length_factor=self.decoding.max_length_factor if max_length_factor is None else max_length_factor,
            no_repeat_ngram=self.decoding.no_repeat_ngram if no_repeat_ngram is None else no_repeat_ngram,
            batch_tokens=self.decoding.batch_tokens if batch_tokens is None else batch_tokens,
            num_hypotheses=num_hypotheses,
            sampling=sampling,
        )
        lines = self._read(read_texts(texts))
        found = self._search([part for line in lines for part in line.parts], options)
        translations = [self._write(line, found) for line in lines]
        return translations[0] if isinstance(texts, str) else translations

    def score(self, pairs: Iterable[tuple[str, str]], *, batch_tokens: int | None = None) -> list[Score]:
        """How probable the model finds given translations.

        Args:
            pairs: source text and target text.
            batch_tokens: tokens of each side scored together; the result does not depend on it.

        Raises:
            DecodingError: one of them is no pair of texts.
        """
        limit = self.decoding.batch_tokens if batch_tokens is None else batch_tokens
        require_positive("batch_tokens", limit)
        given = read_pairs(pairs)
        cleaned = [(clean(source), clean(target)) for source, target in given]
        sources = self.tokenizers.source.encode_batch([source for source, _ in cleaned])
        targets = self.tokenizers.target.encode_batch([target for _, target in cleaned])
        lengths = [(len(source) + 1, len(target) + 1) for source, target in zip(sources, targets, strict=True)]
        longest = [sum(pair) if self._shares_positions else max(pair) for pair in lengths]
        scores: dict[int, tuple[float, ...]] = {}
        fitting = [number for number, length in enumerate(longest) if length <= self.model.max_positions]
        for batch in batches_of(fitting, longest, limit):
            chosen = [sources[number] for number in batch], [targets[number] for number in batch]
            values = token_log_probabilities(self.model, *chosen, self.device)
            scores |= dict(zip(batch, values, strict=True))
        found = []
        for number, target in enumerate(targets):
            flags: tuple[str, ...] = () if tuple(given[number]) == cleaned[number] else ("invalid_bytes",)
            pieces = tuple(self.tokenizers.target.pieces(target))
            if number in scores:
                found.append(Score(sum(scores[number]), pieces, scores[number], flags))
            else:
                found.append(Score(float("nan"), pieces, (), (*flags, "too_long")))
        return found

    def _read(self, texts: Sequence[str]) -> list[_Line]:
        """Clean, encode and where needed split the texts."""
        sources = [clean(text) for text in texts]
        read = (
            [fold_capitals(source, self.tokenizers.source) for source in sources]
            if self.decoding.fold_capitals
            else sources
        )
        lines = []
        for text, source, typed, ids in zip(
            texts, sources, read, self.tokenizers.source.encode_batch(read), strict=True
        ):
            flags: tuple[str, ...] = ("invalid_bytes",) if source != text else ()
            flags = (*flags, "capitals") if typed != source else flags
            if not ids:
                lines.append(_Line(source, (), (*flags, "empty")))
            elif len(ids) > self.longest_source:
                lines.append(self._split(source, typed, (*flags, "split")))
            elif self.decoding.split_sentences and len(sentences_of(typed)) > 1:
                lines.append(self._split(source, typed, (*flags, "sentences")))
            else:
                lines.append(_Line(source, (tuple(ids),), flags))
        return lines

    def _split(self, source: str, typed: str, flags: tuple[str, ...]) -> _Line:
        encode = self.tokenizers.source.encode
        texts = split_text(typed, lambda text: len(encode(text)) <= self.longest_source)
        parts = [tuple(ids) for text in texts if (ids := encode(text))]
        if any(len(part) > self.longest_source for part in parts):  # one character of very many pieces
            flags = (*flags, "truncated")
        return _Line(source, tuple(part[: self.longest_source] for part in parts), flags)

    def _search(self, parts: Iterable[tuple[int, ...]], options: _Options) -> dict[tuple[int, ...], list[Candidate]]:
        """The candidates of each part; equal parts are translated once."""
        unique = list(dict.fromkeys(parts))
        lengths = [len(part) + 1 for part in unique]
        # As many tokens as asked are translated at the same time, shared among the threads.
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        limit = min(options.batch_tokens // threads, max(sum(lengths) // threads, _WORTH_A_THREAD))
        batches = [[unique[number] for number in batch] for batch in batches_of(range(len(unique)), lengths, limit)]
        found: dict[tuple[int, ...], list[Candidate]] = {}
        searched = side_by_side(lambda batch: self._search_batch(batch, options), batches, threads)
        for batch, candidates in zip(batches, searched, strict=True):
            found.update(zip(batch, candidates, strict=True))
        return found

    def _search_batch(self, parts: Sequence[tuple[int, ...]], options: _Options) -> list[list[Candidate]]:
        source = Packed.from_sequences([[*part, EOS_ID] for part in parts]).to(self.device)
        rooms = [self.model.max_positions - self._shares_positions * (len(part) + 1) for part in parts]
        max_lengths = [
            int(min(room, options.max_length_factor * len(part) + 10 + 1))
            for room, part in zip(rooms, parts, strict=True)
        ]
        return options.search(self._steps, source, max_lengths)

    def _write(self, line: _Line, found: dict[tuple[int, ...], list[Candidate]]) -> Translation:
        """A line's translation from those of its parts: its n-th hypothesis joins the n-th of each part."""
        candidates = [found[part] for part in line.parts]
        count = max(map(len, candidates), default=1)
        columns = [[part[min(number, len(part) - 1)] for part in candidates] for number in range(count)]
        is_truncated = any(not candidate.is_finished for candidate in columns[0])
        flags = (*line.flags, "truncated") if is_truncated and "truncated" not in line.flags else line.flags
        return Translation(line.source, tuple(self._join(column) for column in columns), flags)

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


@dataclass(frozen=True)
class _Line:
    """A text on its way: cleaned, and encoded in one part or more; in none if there is nothing to translate."""

    source: str
    parts: tuple[tuple[int, ...], ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class _Options(SearchOptions):
    """How one call translates."""

    max_length_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("max_length_factor", self.max_length_factor)
