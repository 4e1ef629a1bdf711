"""`Generator`: prompt in, continued text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack, overload

import torch

from translator.checkpoint import LoadedModel
from translator.checkpoint.location import find_model
from translator.config import DecodingChanges, DecodingOptions, change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.base import Engine
from translator.engines.torch_engine import TorchEngine
from translator.errors import shorten
from translator.inference.loading import load_to_decode
from translator.inference.purpose import require_objective, require_supported
from translator.inference.results import Hypothesis
from translator.inference.splitting import split_text
from translator.inference.texts import clean, read_texts, require_positive
from translator.model import DecoderOnly
from translator.tokenizer import Tokenizers

MAX_PIECES = 60


@dataclass(frozen=True)
class Generation:
    """A prompt and its continuations.

    Attributes:
        prompt: the prompt; invalid characters are replaced by U+FFFD.
        hypotheses: best first, at least one. Their texts include the prompt, their scores and tokens do not.
        flags: `empty` (nothing to continue), `invalid_bytes` (replaced), `truncated` (the text reached its maximum
            length).
    """

    prompt: str
    hypotheses: tuple[Hypothesis, ...]
    flags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The best text, prompt included."""
        return self.hypotheses[0].text


class Generator:
    """An engine around a language model, with its tokenizer and decoding options.

    Args:
        engine: continues token ids.
        tokenizers: tokenizers that the model was trained with.
        decoding: default options of `generate`; `sample: null` is true here.
    """

    def __init__(self, engine: Engine, tokenizers: Tokenizers, decoding: DecodingOptions | None = None) -> None:
        self.engine = engine
        self.tokenizer = tokenizers.source
        decoding = decoding or DecodingOptions()
        self.decoding = decoding if decoding.sample is not None else decoding.model_copy(update={"sample": True})

    @classmethod
    def load(
        cls, name_or_path: str | Path, device: str = "auto", threads: int | None = None, precision: str | None = None
    ) -> Generator:
        """Load a model to generate with; arguments and errors as in `Translator.load`.

        Raises:
            DecodingError: if the model is not a language model, or if device, threads or precision cannot be used.
        """
        return cls.of(*load_to_decode(find_model(name_or_path), device, threads, precision))

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Generator:
        """Return a generator around the result of `load_model`, on the device that it was loaded to."""
        require_objective(loaded.config, loaded.path, "language_modeling")
        assert isinstance(loaded.model, DecoderOnly)
        engine = TorchEngine(loaded.model, device, is_language_model=True)
        return cls(engine, loaded.tokenizers, loaded.config.decoding)

    @overload
    def generate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, prompts: str, *, max_pieces: int = ..., **changes: Unpack[DecodingChanges]
    ) -> Generation:
        """Continue one prompt."""

    @overload
    def generate(
        self, prompts: Iterable[str], *, max_pieces: int = ..., **changes: Unpack[DecodingChanges]
    ) -> list[Generation]:
        """Continue several prompts."""

    def generate(
        self, prompts: str | Iterable[str], *, max_pieces: int = MAX_PIECES, **changes: Unpack[DecodingChanges]
    ) -> Generation | list[Generation]:
        """Continue one prompt or several, by sampling unless a `beam_size` is given.

        Args:
            prompts: one text or several; a line break in a text is white space.
            max_pieces: maximum number of tokens that are added, EOS included.
            **changes: any of `DecodingOptions`, in place of the model's configuration. `batch_tokens` counts prompt
                tokens.

        Raises:
            ConfigError: if an option is unknown or out of range.
            DecodingError: if a prompt is too long or not a string, or the engine does not support an option.
        """
        require_positive("max_pieces", max_pieces)
        options = change_decoding(self.decoding, changes)
        require_supported(self.engine, options)
        given = read_texts(prompts)
        sources = [clean(prompt) for prompt in given]
        requests = [self._request(source, max_pieces, options) for source in sources]
        unique = [request for request in dict.fromkeys(requests) if request.source]
        found = dict(zip(unique, self.engine.search(unique, options), strict=True))
        generations = [
            self._generation(text, source, request, found.get(request, ()))
            for text, source, request in zip(given, sources, requests, strict=True)
        ]
        return generations[0] if isinstance(prompts, str) else generations

    def token_log_probabilities(self, texts: Iterable[str]) -> list[tuple[float, ...]]:
        """Return the log-probability of each token of each text and of its EOS, given the previous tokens.

        Text that is longer than the model takes is split into sentences, each with its own EOS.

        Raises:
            DecodingError: if a text is not a string.
        """
        given = read_texts(texts)
        longest = self.engine.max_positions - 1
        encode = self.tokenizer.encode
        parts: list[tuple[int, list[int]]] = []
        for number, text in enumerate(clean(text) for text in given):
            for part in split_text(text, lambda part: len(encode(part)) <= longest):
                parts.append((number, encode(part)[:longest]))
        values: list[tuple[float, ...]] = [() for _ in given]
        found = self.engine.score([((), ids) for _, ids in parts], self.decoding.batch_tokens)
        for (number, _), part_values in zip(parts, found, strict=True):
            values[number] += part_values
        return values

    def _request(self, prompt: str, max_pieces: int, options: DecodingOptions) -> Request:
        ids = self.tokenizer.encode(prompt)
        if len(ids) >= self.engine.max_positions:
            raise DecodingError(
                f"A prompt must have at most {self.engine.max_positions - 1} tokens. "
                f"Received: {len(ids)} tokens, {shorten(repr(prompt))}. Shorten the prompt."
            )
        return Request(tuple(ids), min(max_pieces, self.engine.max_positions - len(ids)), options.min_length)

    def _generation(self, text: str, source: str, request: Request, candidates: Sequence[Candidate]) -> Generation:
        flags = ("invalid_bytes",) if text != source else ()
        if not request.source:
            return Generation(source, (Hypothesis("", 0.0, 0.0, (), ()),), (*flags, "empty"))
        flags = flags if candidates[0].is_finished else (*flags, "truncated")
        hypotheses = tuple(
            Hypothesis(
                text=self.tokenizer.decode((*request.source, *candidate.tokens)),
                score=candidate.score,
                log_probability=candidate.log_probability,
                tokens=tuple(self.tokenizer.pieces(candidate.tokens)),
                token_log_probabilities=candidate.token_log_probabilities,
            )
            for candidate in candidates
        )
        return Generation(source, hypotheses, flags)
