"""`Generator`: a beginning in, a text out. The searches are those of translation; only what they begin with differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import torch
from torch import Tensor

from translator.checkpoint import LoadedModel
from translator.config import DecodingConfig
from translator.decoding.options import SearchOptions
from translator.decoding.search import Candidate, DecodingError, Sampling, require_positive
from translator.inference.loading import load_to_decode
from translator.inference.purpose import require_objective
from translator.inference.scoring import token_log_probabilities
from translator.inference.splitting import split_text
from translator.inference.texts import batches_of, clean, read_texts
from translator.inference.translator import Hypothesis
from translator.model import DecoderOnly, DecodingState
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizers

MAX_PIECES = 60


@dataclass(frozen=True)
class Generation:
    """A beginning and how it goes on.

    Attributes:
        prompt: the beginning as it was read; what was no valid text is replaced by U+FFFD.
        hypotheses: best first, at least one: their texts hold the prompt, their scores and tokens what was added.
        flags: what is worth knowing: `empty` (nothing to go on from, and nothing added), `invalid_bytes` (replaced),
            `truncated` (the text ran into its greatest length).
    """

    prompt: str
    hypotheses: tuple[Hypothesis, ...]
    flags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The best text, prompt included."""
        return self.hypotheses[0].text


class Generator:
    """A language model with its tokenizer.

    Args:
        model: in evaluation mode, on the device that decodes.
        tokenizers: those that it was trained with.
        decoding: what `generate` does where it is not told otherwise.
        device: where the model is.
    """

    def __init__(
        self,
        model: DecoderOnly,
        tokenizers: Tokenizers,
        decoding: DecodingConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.tokenizer = tokenizers.source
        self.decoding = decoding or DecodingConfig()
        self.device = torch.device(device)

    @classmethod
    def load(
        cls, name_or_path: str | Path, device: str = "auto", threads: int | None = None, precision: str = "float32"
    ) -> Generator:
        """Load a model to generate with; arguments and errors as in `Translator.load`.

        Raises:
            DecodingError: it is no language model; or there is no such device, or `threads` is out of range.
        """
        return cls.of(*load_to_decode(name_or_path, device, threads, precision))

    @classmethod
    def of(cls, loaded: LoadedModel, device: torch.device | str = "cpu") -> Generator:
        """A generator around what `load_model` gives, on the device that it was loaded to."""
        require_objective(loaded, "language_modeling")
        assert isinstance(loaded.model, DecoderOnly)
        return cls(loaded.model, loaded.tokenizers, loaded.config.decoding, device)

    @overload
    def generate(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self,
        prompts: str,
        *,
        max_pieces: int = ...,
        sampling: Sampling | None = ...,
        beam_size: int | None = ...,
        length_penalty: float | None = ...,
        no_repeat_ngram: int | None = ...,
        num_hypotheses: int = ...,
        batch_tokens: int | None = ...,
    ) -> Generation: ...
    @overload
    def generate(
        self,
        prompts: Iterable[str],
        *,
        max_pieces: int = ...,
        sampling: Sampling | None = ...,
        beam_size: int | None = ...,
        length_penalty: float | None = ...,
        no_repeat_ngram: int | None = ...,
        num_hypotheses: int = ...,
        batch_tokens: int | None = ...,
    ) -> list[Generation]: ...
    def generate(
        self,
        prompts: str | Iterable[str],
        *,
        max_pieces: int = MAX_PIECES,
        sampling: Sampling | None = None,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        no_repeat_ngram: int | None = None,
        num_hypotheses: int = 1,
        batch_tokens: int | None = None,
    ) -> Generation | list[Generation]:
        """Continue one prompt, or many of any lengths; by drawing, unless a beam is asked for.

        Args:
            prompts: one text or several; a line break in a text is white space.
            max_pieces: most pieces that are added, the end of the text counted.
            sampling: how to draw; plain draws from the model's distribution if neither it nor `beam_size` is given.
            beam_size: search for the likeliest text with so many hypotheses instead; 1 is greedy.
            length_penalty: alpha of Wu et al. (2016), equation 14; by default as in the model's configuration.
            no_repeat_ngram: no run of so many pieces is added twice, unless the prompt repeats itself; 0 is no guard.
            num_hypotheses: texts for each prompt; with a beam at most `beam_size`.
            batch_tokens: prompt tokens continued together; the result does not depend on it.

        Raises:
            DecodingError: a prompt is too long, or an option is out of its range.
        """
        if sampling is not None and beam_size is not None:
            raise DecodingError("Sampling has no beam. Received: both sampling and beam_size. Leave one out.")
        require_positive("max_pieces", max_pieces)
        options = SearchOptions(
            beam_size=1 if beam_size is None else beam_size,
            length_penalty=self.decoding.length_penalty if length_penalty is None else length_penalty,
            no_repeat_ngram=self.decoding.no_repeat_ngram if no_repeat_ngram is None else no_repeat_ngram,
            batch_tokens=self.decoding.batch_tokens if batch_tokens is None else batch_tokens,
            num_hypotheses=num_hypotheses,
            sampling=Sampling() if beam_size is None and sampling is None else sampling,
        )
        given = read_texts(prompts)
        sources = [clean(prompt) for prompt in given]
        encoded = [self._encoded(source) for source in sources]
        found = self._search([prompt for prompt in encoded if prompt], max_pieces, options)
        generations = [
            self._generation(text, source, prompt, found.get(prompt, ()))
            for text, source, prompt in zip(given, sources, encoded, strict=True)
        ]
        return generations[0] if isinstance(prompts, str) else generations

    def token_log_probabilities(self, texts: Iterable[str]) -> list[tuple[float, ...]]:
        """Log-probability of each piece of each text and of its end, given the pieces before it.

        What is longer than the model takes is judged sentence by sentence, each part with an end of its own.

        Raises:
            DecodingError: one of them is no text.
        """
        given = read_texts(texts)
        longest = self.model.max_positions - 1
        encode = self.tokenizer.encode
        parts: list[tuple[int, list[int]]] = []
        for number, text in enumerate(clean(text) for text in given):
            for part in split_text(text, lambda part: len(encode(part)) <= longest):
                parts.append((number, encode(part)[:longest]))
        values: list[tuple[float, ...]] = [() for _ in given]
        judged: dict[int, tuple[float, ...]] = {}
        lengths = [len(ids) + 1 for _, ids in parts]
        for batch in batches_of(range(len(parts)), lengths, self.decoding.batch_tokens):
            found = token_log_probabilities(self.model, None, [parts[place][1] for place in batch], self.device)
            judged.update(zip(batch, found, strict=True))
        for place, (number, _) in enumerate(parts):
            values[number] += judged[place]
        return values

    def _encoded(self, prompt: str) -> tuple[int, ...]:
        ids = self.tokenizer.encode(prompt)
        if len(ids) >= self.model.max_positions:
            raise DecodingError(
                f"A prompt must have at most {self.model.max_positions - 1} pieces, the model's positions less one. "
                f"Received: {len(ids)} pieces, {prompt[:40]!r} and so on. Give its end alone."
            )
        return tuple(ids)

    def _search(
        self, prompts: Sequence[tuple[int, ...]], max_pieces: int, options: SearchOptions
    ) -> dict[tuple[int, ...], list[Candidate]]:
        """The candidates of each prompt; equal ones are continued once."""
        unique = list(dict.fromkeys(prompts))
        found: dict[tuple[int, ...], list[Candidate]] = {}
        model = _Continuation(self.model)
        for batch in batches_of(range(len(unique)), [len(prompt) for prompt in unique], options.batch_tokens):
            chosen = [unique[number] for number in batch]
            source = Packed.from_sequences([[*prompt, EOS_ID] for prompt in chosen]).to(self.device)
            rooms = [min(max_pieces, self.model.max_positions - len(prompt)) for prompt in chosen]
            found.update(zip(chosen, options.search(model, source, rooms), strict=True))
        return found

    def _generation(
        self, text: str, source: str, prompt: tuple[int, ...], candidates: Sequence[Candidate]
    ) -> Generation:
        flags = ("invalid_bytes",) if text != source else ()
        if not prompt:
            return Generation(source, (Hypothesis("", 0.0, 0.0, (), ()),), (*flags, "empty"))
        flags = flags if candidates[0].is_finished else (*flags, "truncated")
        hypotheses = tuple(
            Hypothesis(
                text=self.tokenizer.decode((*prompt, *candidate.tokens)),
                score=candidate.score,
                log_probability=candidate.log_probability,
                tokens=tuple(self.tokenizer.pieces(candidate.tokens)),
                token_log_probabilities=candidate.token_log_probabilities,
            )
            for candidate in candidates
        )
        return Generation(source, hypotheses, flags)


@dataclass
class _ContinuedState:
    """Where a continuation stands; `last` are the prompts' last pieces until they have been read, `(rows,)` int64."""

    state: DecodingState
    last: Tensor | None


class _Continuation:
    """A language model as a `Decodable` whose sources are prompts: BOS stands before them, where training has it."""

    def __init__(self, model: DecoderOnly) -> None:
        self.model = model

    def start(self, source: Packed) -> _ContinuedState:
        """Read all of each prompt, EOS-ended, but its last piece."""
        prompts = [prompt[:-1] for prompt in source.unpack()]
        beginnings = [torch.cat((prompt.new_tensor([BOS_ID]), prompt[:-1])) for prompt in prompts]
        state = self.model.start(Packed.from_sequences(beginnings).to(source.values.device))
        return _ContinuedState(state, torch.stack([prompt[-1] for prompt in prompts]))

    def step(self, tokens: Tensor, state: _ContinuedState) -> Tensor:
        """As `Decodable.step`; a search begins with BOS, and the prompt's last piece is read in its stead."""
        if state.last is not None:
            tokens, state.last = state.last, None
        return self.model.step(tokens, state.state)

    def reorder(self, state: _ContinuedState, rows: Tensor, sentences: Sequence[int] | None = None) -> _ContinuedState:
        """As `Decodable.reorder`."""
        state.state = self.model.reorder(state.state, rows, sentences)
        return state
