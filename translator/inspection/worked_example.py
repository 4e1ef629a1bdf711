"""The worked example of self-attention, "Jane visits Paris", in the project's own modules.

Two layers over three words of two dimensions, with unscaled scores, queries, keys and values equal to the input, no
residual connection and no norm. The text that it is taken from has illustrative figures; the example compares them with
the arithmetic. docs/worked-example.md explains the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.kernels.reference import attention_weights
from translator.model.attention import SelfAttention
from translator.model.layers import FeedForward
from translator.packing import Packed

WORDS = ("Jane", "visits", "Paris")
EMBEDDINGS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
# The input of the second layer in the text, which is not the output of its first layer.
TEXT_SECOND_INPUT = ((1.35, 0.8), (0.1, 0.9), (1.2, 1.2))

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class WorkedLayer:
    """One layer over the three words; rows are words.

    Attributes:
        inputs: `(3, 2)`; queries, keys and values are the same.
        scores: `(3, 3)`, products of queries and keys.
        weights: `(3, 3)`, their softmax.
        attended: `(3, 2)`, output of attention.
        inner: `(3, 2)`, after the first linear layer and ReLU.
        outputs: `(3, 2)`, output of the feed-forward network.
    """

    inputs: Rows
    scores: Rows
    weights: Rows
    attended: Rows
    inner: Rows
    outputs: Rows


@dataclass(frozen=True)
class Comparison:
    """Figures for Jane: those of the text, and those of the arithmetic.

    Attributes:
        layer: 1 or 2.
        quantity: name of the quantity.
        text: figures of the text.
        computed: computed from the text's figures of the step before.
        exact: computed from the embeddings, without figures of the text.
        why: reason why the text differs from `computed`; empty if it does not.
    """

    layer: int
    quantity: str
    text: tuple[float, ...]
    computed: tuple[float, ...]
    exact: tuple[float, ...]
    why: str


@dataclass(frozen=True)
class WorkedExample:
    """The example.

    Attributes:
        words: the words of the sentence.
        layers: both layers; the output of the first is the input of the second.
        comparison: comparison with the text's figures.
    """

    words: tuple[str, ...]
    layers: tuple[WorkedLayer, WorkedLayer]
    comparison: tuple[Comparison, ...]


@torch.inference_mode()
def worked_example() -> WorkedExample:
    """Compute the example."""
    with torch.random.fork_rng(devices=()):  # the modules draw random weights, which are then replaced
        first = _layer(EMBEDDINGS)
        second = _layer(first.outputs)
        return WorkedExample(WORDS, (first, second), tuple(_comparison(first, second)))


def identity_attention() -> SelfAttention:
    """Return attention with one head of two dimensions and identity projections."""
    attention = SelfAttention(2, 1, scale=1.0, backend="reference")
    for projection in (attention.query_key_value_projection, attention.output_projection):
        projection.weight.data.copy_(torch.eye(2).repeat(projection.out_features // 2, 1))
        projection.bias.data.zero_()
    return attention.eval()


def example_feed_forward() -> FeedForward:
    """Return the network of the text: times 1.5 plus 0.1, ReLU, times 0.8 minus 0.1."""
    network = FeedForward(2, 2)
    for projection, factor, bias in ((network.inner_projection, 1.5, 0.1), (network.output_projection, 0.8, -0.1)):
        projection.weight.data.copy_(factor * torch.eye(2))
        projection.bias.data.fill_(bias)
    return network.eval()


def _layer(inputs: Sequence[Sequence[float]]) -> WorkedLayer:
    """Compute one layer of the example."""
    x = _vector(inputs)  # (3, 2)
    sentence = Packed.from_sequences([range(len(x))]).layout()
    network = example_feed_forward().double()
    attended = identity_attention().double()(x, sentence)
    return WorkedLayer(
        inputs=_rows(x),
        scores=_rows(x @ x.T),
        weights=_rows(attention_weights(x[:, None], x[:, None], causal=False, scale=1.0)[0]),
        attended=_rows(attended),
        inner=_rows(network.activation(network.inner_projection(attended))),
        outputs=_rows(network(attended)),
    )


def _comparison(first: WorkedLayer, second: WorkedLayer) -> list[Comparison]:
    """Compare the text's figures for Jane, in the order of the text."""
    network = example_feed_forward().double()
    from_text = _layer(TEXT_SECOND_INPUT)

    def summed(weights: Sequence[float], values: Sequence[Sequence[float]]) -> tuple[float, ...]:
        return tuple((_vector(weights) @ _vector(values)).tolist())

    def inner(x: Sequence[float]) -> tuple[float, ...]:
        return tuple(network.activation(network.inner_projection(_vector(x))).tolist())

    def output(x: Sequence[float]) -> tuple[float, ...]:
        return tuple(network.output_projection(_vector(x)).tolist())

    softmax = "rounded by hand for illustration: no weight of a softmax is zero"
    return [
        Comparison(1, "scores", (1, 0, 1), first.scores[0], first.scores[0], ""),
        Comparison(1, "softmax", (0.5, 0, 0.5), first.weights[0], first.weights[0], softmax),
        Comparison(
            1, "attention", (1.5, 0.5), summed((0.5, 0, 0.5), EMBEDDINGS), first.attended[0],
            "arithmetic error: 0.5 * 1 + 0.5 * 1 is 1, not 1.5",
        ),
        Comparison(1, "first linear, ReLU", (2.35, 0.85), inner((1.5, 0.5)), first.inner[0], ""),
        Comparison(1, "second linear", (1.78, 0.58), output((2.35, 0.85)), first.outputs[0], ""),
        Comparison(
            1, "output", (1.35, 0.8), (1.78, 0.58), first.outputs[0],
            "adjustments that the text does not specify; its vectors of the other two words are assumed as well",
        ),
        Comparison(2, "scores", (2.4625, 0.855, 2.58), from_text.scores[0], second.scores[0], ""),
        Comparison(2, "softmax", (0.45, 0.1, 0.45), from_text.weights[0], second.weights[0],
                   "simplified: Paris has a higher score and so a higher weight"),
        Comparison(2, "attention", (1.1025, 0.99), summed((0.45, 0.1, 0.45), TEXT_SECOND_INPUT), second.attended[0],
                   "arithmetic error: 0.6075 + 0.01 + 0.54 is 1.1575"),
        Comparison(2, "first linear, ReLU", (1.75375, 1.585), inner((1.1025, 0.99)), second.inner[0], ""),
        Comparison(2, "second linear", (1.303, 1.168), output((1.75375, 1.585)), second.outputs[0], ""),
    ]  # fmt: skip


def format_worked_example(example: WorkedExample) -> str:
    """Format the example as Markdown: every number of both layers, then the comparison with the text."""
    lines = []
    for number, layer in enumerate(example.layers, start=1):
        lines += [
            f"## Layer {number}",
            "",
            "| word | input = Q = K = V | scores | softmax | attention | ReLU | output |",
        ]
        lines.append("|---|---|---|---|---|---|---|")
        columns = (layer.inputs, layer.scores, layer.weights, layer.attended, layer.inner, layer.outputs)
        for word, *cells in zip(example.words, *columns, strict=True):
            lines.append(f"| {word} | {' | '.join(map(_figures, cells))} |")
        lines.append("")
    lines += ["## The text's figures for Jane", ""]
    lines += [
        "| layer | quantity | text | from the text's figure before | from the embeddings | why the text differs |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for row in example.comparison:
        figures = " | ".join(map(_figures, (row.text, row.computed, row.exact)))
        lines.append(f"| {row.layer} | {row.quantity} | {figures} | {row.why} |")
    return "\n".join(lines)


def _vector(values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _figures(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:.5f}'.rstrip('0').rstrip('.') for value in values)}]"


def _rows(x: Tensor) -> Rows:
    return tuple(map(tuple, x.tolist()))
