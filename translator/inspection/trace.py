"""Trace of one translation: every intermediate result of the prediction process, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from translator.config import DecodingChanges, DecodingOptions, change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.constraints import Constraints
from translator.decoding.decodable import Decodable
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request
from translator.decoding.sampling import sampling_distribution
from translator.decoding.search import search
from translator.inference.translator import Translator
from translator.inspection.activations import Activation, record_activations, record_embeddings
from translator.inspection.reading import InspectionError, encoder_decoder, read_sentence
from translator.model import EncoderDecoder
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizer

_KEY = "   (rows x columns; mean norm of the rows; start of the first row)"


@dataclass(frozen=True)
class Piece:
    """A token and its id in the vocabulary."""

    piece: str
    id: int


@dataclass(frozen=True)
class Probability:
    """Probability of a token in one step.

    Attributes:
        piece: the token.
        id: id in the target vocabulary.
        probability: probability of the model, after softmax.
        sampling_probability: probability after temperature and truncation, among the allowed tokens.
    """

    piece: str
    id: int
    probability: float
    sampling_probability: float


@dataclass(frozen=True)
class Step:
    """One step of the decoder.

    Attributes:
        number: number of the step, from 1.
        input: input token: BOS, then the token chosen in the step before.
        top: most probable next tokens, best first.
        chosen: chosen token.
    """

    number: int
    input: Piece
    top: tuple[Probability, ...]
    chosen: Probability


@dataclass(frozen=True)
class Sampling:
    """Sampling options of the shown distribution; see `config.DecodingOptions`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    epsilon_cutoff: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Trace:
    """Trace of one translation.

    Attributes:
        sentence: source text.
        pieces: source tokens, EOS last.
        embedding: embeddings of the source tokens, scaled by sqrt(d_model).
        positions: position vectors, or None if queries and keys are rotated instead.
        encoder_input: sum of embeddings and positions.
        encoder: output of each sublayer of the encoder, and of each layer with its residual connections.
        memory: output of the encoder.
        decoder: output of each sublayer and layer of the decoder, one row per step.
        sampling: sampling options of the shown distribution.
        steps: steps of the decoder, until EOS or the maximum length.
        is_finished: True if the translation ends by EOS.
        text: the translation.
    """

    sentence: str
    pieces: tuple[Piece, ...]
    embedding: Activation
    positions: Activation | None
    encoder_input: Activation
    encoder: tuple[Activation, ...]
    memory: Activation
    decoder: tuple[Activation, ...]
    sampling: Sampling
    steps: tuple[Step, ...]
    is_finished: bool
    text: str


def trace(
    translator: Translator,
    sentence: str,
    *,
    sample: bool = False,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    epsilon_cutoff: float = 0.0,
    seed: int = 1,
    num_top: int = 5,
    num_values: int = 4,
) -> Trace:
    """Translate one sentence and record the intermediate results.

    Args:
        translator: an encoder-decoder model.
        sentence: text in the source language.
        sample: sample each token from the shown distribution, as `Translator.translate(sample=True)` does; otherwise
            the most probable token is taken, as with `beam_size=1`.
        temperature: temperature of the shown distribution; this and the next four are as in `DecodingOptions`.
        top_k: number of tokens of the shown distribution; 0 is all.
        top_p: total probability of the tokens of the shown distribution.
        min_p: minimum probability of the tokens of the shown distribution, as a fraction of the highest.
        epsilon_cutoff: minimum probability of the tokens of the shown distribution.
        seed: random seed of sampling.
        num_top: number of most probable tokens kept of each step.
        num_values: number of values kept of each vector.

    Raises:
        InspectionError: if the sentence is empty or too long, or a number is less than 1.
        ConfigError: if a sampling option is out of range.
    """
    _check_counts({"num_top": num_top, "num_values": num_values})
    model, device = encoder_decoder(translator)
    sentence, ids = read_sentence(translator, sentence)
    sampling = Sampling(temperature, top_k, top_p, min_p, epsilon_cutoff, seed)
    shown = _shown_options(translator.decoding, sampling)
    options = shown if sample else change_decoding(translator.decoding, {"beam_size": 1, "num_hypotheses": 1})
    target = translator.tokenizers.target
    found, recorded = _decode(model, translator.request(ids, options), options, device)
    source = Packed.from_sequences([[*ids, EOS_ID]]).to(device)
    embedding, positions, encoder_input = record_embeddings(model, source, num_values)
    inputs = Packed.from_sequences([[step.input for step in recorded]]).to(device)
    encoder, decoder = record_activations(model, source, inputs, num_values)
    return Trace(
        sentence=sentence,
        pieces=tuple(_piece(translator.tokenizers.source, index) for index in (*ids, EOS_ID)),
        embedding=embedding,
        positions=positions,
        encoder_input=encoder_input,
        encoder=tuple(encoder[:-1]),
        memory=encoder[-1],
        decoder=tuple(decoder),
        sampling=sampling,
        steps=tuple(_step(number, step, target, shown, num_top) for number, step in enumerate(recorded, start=1)),
        is_finished=found.is_finished,
        text=target.decode(found.tokens),
    )


def _check_counts(counts: Mapping[str, int]) -> None:
    """Raise InspectionError if a number is less than 1."""
    for name, number in counts.items():
        if number < 1:
            raise InspectionError(f"{name} must be at least 1. Received: {number}.")


def _shown_options(decoding: DecodingOptions, sampling: Sampling) -> DecodingOptions:
    """Return the decoding options of the shown distribution."""
    changes = DecodingChanges(
        sample=True,
        num_hypotheses=1,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        epsilon_cutoff=sampling.epsilon_cutoff,
        seed=sampling.seed,
    )
    return change_decoding(decoding, changes)


@dataclass(frozen=True)
class _RecordedStep:
    """One step of a search.

    Attributes:
        input: id of the input token.
        chosen: id of the chosen token.
        logits: `(1, vocab_size)`, of the next token.
        allowed: next tokens that the constraints allow.
    """

    input: int
    chosen: int
    logits: Tensor
    allowed: NextTokens


def _decode(
    model: EncoderDecoder, request: Request, options: DecodingOptions, device: torch.device
) -> tuple[Candidate, list[_RecordedStep]]:
    """Search the translation of a request, and return it with the steps of the search."""
    recorder = _Recorder(model)
    [[found]] = search(recorder, [request], options, device)
    outputs = [*found.tokens, EOS_ID] if found.is_finished else list(found.tokens)
    allowed = _next_tokens(request, outputs, options, device)
    steps = zip([BOS_ID, *outputs[:-1]], outputs, recorder.logits, allowed, strict=True)
    return found, [_RecordedStep(*step) for step in steps]


def _next_tokens(
    request: Request, outputs: Sequence[int], options: DecodingOptions, device: torch.device
) -> Iterator[NextTokens]:
    """Yield the tokens that are allowed in each step."""
    constraints = Constraints.from_options(options)
    state = constraints.start([request], device)
    written = torch.tensor([outputs], dtype=torch.int64, device=device)
    for step, token in enumerate(outputs):
        yield constraints.next_tokens(state, written[:, :step])
        state = constraints.advance(state, torch.tensor([token], device=device))


class _Recorder:
    """A `Decodable` that records the logits of every step of a search."""

    def __init__(self, model: Decodable[Any]) -> None:
        self._model = model
        self.logits: list[Tensor] = []  # each (1, vocab_size)

    def start(self, source: Packed) -> Any:
        return self._model.start(source)

    def step(self, tokens: Tensor, state: Any) -> Tensor:
        logits = self._model.step(tokens, state)
        self.logits.append(logits.clone())
        return logits

    def reorder(self, state: Any, rows: Tensor, sentences: Sequence[int] | None = None) -> Any:
        return self._model.reorder(state, rows, sentences)


def _step(number: int, step: _RecordedStep, tokenizer: Tokenizer, options: DecodingOptions, num_top: int) -> Step:
    """Return the record of one step."""
    probabilities = step.logits.softmax(dim=-1)[0]
    ranks = step.allowed.ranks(step.allowed.log_probabilities(step.logits))
    kept, tokens = sampling_distribution(ranks, options)
    changed = kept if tokens is None else torch.zeros_like(ranks, dtype=kept.dtype).scatter(1, tokens, kept)
    changed = changed[0] / changed.sum()

    def probability(piece: int) -> Probability:
        return Probability(tokenizer.pieces([piece])[0], piece, float(probabilities[piece]), float(changed[piece]))

    top = ranks[0].topk(min(num_top, ranks.shape[1])).indices.tolist()
    return Step(number, _piece(tokenizer, step.input), tuple(map(probability, top)), probability(step.chosen))


def _piece(tokenizer: Tokenizer, index: int) -> Piece:
    return Piece(tokenizer.pieces([index])[0], index)


def format_trace(found: Trace) -> str:
    """Format a trace as text; activations are shown by shape, mean norm and the start of the first vector."""
    lines = [f"Sentence: {found.sentence}", "", "1. Tokenize: tokens and their ids"]
    lines += _in_columns([(piece.piece, str(piece.id)) for piece in found.pieces])
    lines += ["", "2. Embed: one vector per token, plus one for its position", _KEY]
    vectors = [x for x in (found.embedding, found.positions, found.encoder_input) if x is not None]
    if found.positions is None:
        vectors = [found.embedding]
        lines.append("   (positions rotate queries and keys instead of being added)")
    lines += _shown(vectors)
    lines += ["", "3. Encode: output of each sublayer, and of each layer with its residual connections", _KEY]
    lines += _shown((*found.encoder, found.memory))
    first = found.steps[0].input
    lines += ["", f"4. Decode: the same parts of the decoder, from {first.piece} ({first.id}); one row per step", _KEY]
    lines += _shown(found.decoder)
    lines += ["", "5. Predict: the distribution of the next token, and the choice"]
    is_changed = replace(found.sampling, seed=Sampling.seed) != Sampling()
    for step in found.steps:
        lines += [f"   step {step.number}: input {step.input.piece}"]
        lines += [f"  {line}" for line in _in_columns([_probability_columns(x, is_changed) for x in step.top])]
        chosen = step.chosen
        lines.append(f"     chosen: {chosen.piece} ({chosen.id}), probability {chosen.probability:.4f}")
    ending = "ended by EOS" if found.is_finished else "ended at the maximum length"
    lines += ["", f"6. Detokenize ({ending})", f"   {found.text}"]
    return "\n".join(lines)


def _shown(activations: Sequence[Activation]) -> list[str]:
    """Return one line per activation."""
    rows = []
    for x in activations:
        values = " ".join(f"{value:+.3f}" for value in x.values[0])
        rows.append(
            (x.name, f"{x.shape[0]} x {x.shape[1]}", f"norm {sum(x.norms) / len(x.norms):.3f}", f"[{values} …]")
        )
    return _in_columns(rows)


def _probability_columns(x: Probability, is_changed: bool) -> tuple[str, ...]:
    changed = (f"-> {x.sampling_probability:.4f}",) if is_changed else ()
    bar = "#" * round(30 * (x.sampling_probability if is_changed else x.probability))
    return x.piece, str(x.id), f"{x.probability:.4f}", *changed, bar


def _in_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align columns and indent rows by three spaces."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
