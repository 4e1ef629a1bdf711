"""Every number of one translation, in the order in which they arise: the overall prediction process, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from translator.config import DecodingChanges, DecodingOptions, change_decoding
from translator.decoding.constraints import Constraints, Forbidden
from translator.decoding.decodable import Decodable
from translator.decoding.request import Request
from translator.decoding.sampling import sampling_distribution
from translator.decoding.search import search
from translator.inference.translator import Translator
from translator.inspection.reading import InspectionError, encoder_decoder, read_sentence
from translator.model import EncoderDecoder
from translator.model.layers import TransformerStack
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizer

# Parts of a TransformerLayer, and what people call them.
_SUBLAYERS = {
    "self_attention_norm": "self-attention norm",
    "self_attention": "self-attention",
    "cross_attention_norm": "cross-attention norm",
    "cross_attention": "cross-attention",
    "feed_forward_norm": "feed-forward norm",
    "feed_forward": "feed-forward",
}

_KEY = "   (rows x columns; mean norm of the rows; beginning of the first row)"


@dataclass(frozen=True)
class Piece:
    """A piece of text and its id in the vocabulary."""

    piece: str
    id: int


@dataclass(frozen=True)
class Activation:
    """A vector for each piece, as it leaves one part of the model.

    Attributes:
        name: of the part.
        shape: `(num_pieces, d_model)`.
        norms: Euclidean length of each vector.
        values: the first few numbers of each vector.
    """

    name: str
    shape: tuple[int, ...]
    norms: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Probability:
    """How probable a piece is as the next one.

    Attributes:
        piece: as text.
        id: in the target vocabulary.
        probability: the model's own, after softmax.
        sampling_probability: after temperature, top-k and top-p, among the pieces that may stand here.
    """

    piece: str
    id: int
    probability: float
    sampling_probability: float


@dataclass(frozen=True)
class Step:
    """One turn of the decoder's loop.

    Attributes:
        number: from 1.
        input: the piece that goes in: the start token, then each time what came out before.
        top: the likeliest next pieces, best first.
        chosen: what comes out.
    """

    number: int
    input: Piece
    top: tuple[Probability, ...]
    chosen: Probability


@dataclass(frozen=True)
class Sampling:
    """How the shown distribution is changed; see `config.DecodingOptions`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Trace:
    """One translation from text to text.

    Attributes:
        sentence: what is translated.
        pieces: of the sentence, the end of sentence last.
        embedding: the pieces' vectors, scaled by sqrt(d_model).
        positions: what is added for the order of pieces; None where queries and keys are rotated instead.
        encoder_input: their sum.
        encoder: each sublayer of the encoder; `layer` is what leaves the whole layer, residual connections included.
        memory: what leaves the encoder.
        decoder: each sublayer of the decoder, a row for each step.
        sampling: how the shown distribution is changed.
        steps: until the end of sentence, or the longest translation allowed.
        is_finished: whether the end of sentence came.
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
    seed: int = 1,
    num_top: int = 5,
    num_values: int = 4,
) -> Trace:
    """Translate one sentence and record what happens.

    Args:
        translator: an encoder-decoder model.
        sentence: text in the source language.
        sample: sample each token from the shown distribution, as `Translator.translate(sample=True)` does; otherwise
            the most probable token is taken, as with `beam_size=1`.
        temperature: temperature of the shown distribution; this and the next two are as in `DecodingOptions`.
        top_k: number of tokens of the shown distribution; 0 is all.
        top_p: total probability of the tokens of the shown distribution.
        seed: random seed of sampling.
        num_top: number of most probable tokens kept of each step.
        num_values: number of values kept of each vector.

    Raises:
        InspectionError: if the sentence is empty or too long, or a number is less than 1.
        ConfigError: if a sampling option is out of range.
    """
    for name, number in (("num_top", num_top), ("num_values", num_values)):
        if number < 1:
            raise InspectionError(f"{name} must be at least 1. Received: {number}.")
    model, device = encoder_decoder(translator)
    sentence, ids = read_sentence(translator, sentence)
    sampling = Sampling(temperature, top_k, top_p, seed)
    changes = DecodingChanges(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    shown = change_decoding(translator.decoding, {"sample": True, "num_hypotheses": 1, **changes})
    options = shown if sample else change_decoding(translator.decoding, {"beam_size": 1, "num_hypotheses": 1})
    recorder = _Recorder(model)
    request = translator.request(ids, options)
    [[found]] = search(recorder, [request], options, device)
    outputs = [*found.tokens, EOS_ID] if found.is_finished else list(found.tokens)
    inputs = [BOS_ID, *outputs[:-1]]
    source = Packed.from_sequences([[*ids, EOS_ID]]).to(device)
    embedding, positions, encoder_input = _embedded(model, source, num_values)
    encoder, decoder = _activations(model, source, Packed.from_sequences([inputs]).to(device), num_values)
    target = translator.tokenizers.target
    turns = zip(inputs, outputs, recorder.logits, _forbidden(request, outputs, options, device), strict=True)
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
        steps=tuple(_step(number, *turn, target, shown, num_top) for number, turn in enumerate(turns)),
        is_finished=found.is_finished,
        text=target.decode(found.tokens),
    )


def _forbidden(
    request: Request, outputs: Sequence[int], options: DecodingOptions, device: torch.device
) -> Iterator[Forbidden]:
    """Yield the tokens that could not come in each step."""
    constraints = Constraints.from_options(options)
    state = constraints.start([request], device)
    for step, token in enumerate(outputs):
        yield constraints.forbidden(state, step)
        state = constraints.advance(state, torch.tensor([token], device=device))


class _Recorder:
    """The model as a search sees it, keeping the logits of every step: what is traced is what the search did."""

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


def _step(
    index: int,
    token: int,
    chosen: int,
    logits: Tensor,
    forbidden: Forbidden,
    tokenizer: Tokenizer,
    options: DecodingOptions,
    num_top: int,
) -> Step:
    """Return what is shown of one step, from the logits `(1, vocab_size)` of the next token."""
    probabilities = logits.softmax(dim=-1)[0]
    allowed = forbidden.log_probabilities(logits)
    kept, tokens = sampling_distribution(allowed, options)
    changed = kept if tokens is None else torch.zeros_like(allowed, dtype=kept.dtype).scatter(1, tokens, kept)
    changed = changed[0] / changed.sum()

    def probability(piece: int) -> Probability:
        return Probability(tokenizer.pieces([piece])[0], piece, float(probabilities[piece]), float(changed[piece]))

    top = allowed[0].topk(min(num_top, allowed.shape[1])).indices.tolist()
    return Step(index + 1, _piece(tokenizer, token), tuple(map(probability, top)), probability(chosen))


def _piece(tokenizer: Tokenizer, index: int) -> Piece:
    return Piece(tokenizer.pieces([index])[0], index)


@torch.inference_mode()
def _embedded(
    model: EncoderDecoder, source: Packed, num_values: int
) -> tuple[Activation, Activation | None, Activation]:
    """Embedding, positions and their sum: what enters the encoder."""
    embedded = model.source_embedding(source.values)
    embedding = _activation("embedding", embedded, num_values)
    if model.positions is None:
        return embedding, None, _activation("embedding", embedded, num_values)
    positions = model.positions(source.positions())
    total = _activation("embedding + positions", embedded + positions, num_values)
    return embedding, _activation("positions", positions, num_values), total


@torch.inference_mode()
def _activations(
    model: EncoderDecoder, source: Packed, target_input: Packed, num_values: int
) -> tuple[list[Activation], list[Activation]]:
    """What leaves each sublayer of encoder and decoder in one forward pass, in order; the stacks' output last."""
    with _listening(model.encoder, num_values) as encoder, _listening(model.decoder, num_values) as decoder:
        model(source, target_input)
    return encoder, decoder


@contextmanager
def _listening(stack: TransformerStack, num_values: int) -> Iterator[list[Activation]]:
    """While this lasts, each part of the stack leaves its output in the list when it is called."""
    heard: list[Activation] = []

    def listen(module: nn.Module, name: str) -> RemovableHandle:
        return module.register_forward_hook(
            lambda module, inputs, output: heard.append(_activation(name, output, num_values))
        )

    hooks = []
    for number, layer in enumerate(stack.layers, start=1):
        parts = dict(layer.named_children())
        present = [(parts[part], name) for part, name in _SUBLAYERS.items() if part in parts]
        hooks += [listen(module, f"layer {number}: {name}") for module, name in present]
        hooks.append(listen(layer, f"layer {number}"))
    hooks.append(listen(stack, "output"))
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _activation(name: str, x: Tensor, num_values: int) -> Activation:
    """What is shown of `x: (num_pieces, d_model)`."""
    x = x.float()
    return Activation(
        name=name,
        shape=tuple(x.shape),
        norms=tuple(x.norm(dim=-1).tolist()),
        values=tuple(map(tuple, x[:, :num_values].tolist())),
    )


def format_trace(found: Trace) -> str:
    """A trace as a page of text.

    Of each activation it shows the shape, the mean norm of its vectors, and the beginning of the first.
    """
    lines = [f"Sentence: {found.sentence}", "", "1. Tokenize: pieces and their ids"]
    lines += _in_columns([(piece.piece, str(piece.id)) for piece in found.pieces])
    lines += ["", "2. Embed: a vector for each piece, and one for its position", _KEY]
    vectors = [x for x in (found.embedding, found.positions, found.encoder_input) if x is not None]
    if found.positions is None:
        vectors = [found.embedding]
        lines.append("   (positions rotate queries and keys instead of being added)")
    lines += _shown(vectors)
    lines += ["", "3. Encode: what leaves each sublayer, and each layer with its residual connections", _KEY]
    lines += _shown((*found.encoder, found.memory))
    first = found.steps[0].input
    lines += ["", f"4. Start the decoder with {first.piece} ({first.id}); the same there, a row for each step", _KEY]
    lines += _shown(found.decoder)
    lines += ["", "5. Predict: the next piece's distribution, the choice, and round again"]
    is_changed = replace(found.sampling, seed=Sampling.seed) != Sampling()
    for step in found.steps:
        lines += [f"   step {step.number}: {step.input.piece} goes in"]
        lines += [f"  {line}" for line in _in_columns([_probability_columns(x, is_changed) for x in step.top])]
        chosen = step.chosen
        lines.append(f"     chosen: {chosen.piece} ({chosen.id}), probability {chosen.probability:.4f}")
    ending = "the end of sentence came" if found.is_finished else "the longest translation allowed was reached"
    lines += ["", f"6. Detokenize ({ending})", f"   {found.text}"]
    return "\n".join(lines)


def _shown(activations: Sequence[Activation]) -> list[str]:
    """A line for each activation."""
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
    """Rows with their columns aligned, indented by three."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
