from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from translator import worked_example
from translator.inspection.worked_example import (
    EMBEDDINGS,
    WORDS,
    example_feed_forward,
    format_worked_example,
    identity_attention,
)
from translator.packing import Packed

PAGE = Path(__file__).parents[2] / "docs" / "worked-example.md"


def test_the_projects_attention_gives_the_examples_arithmetic() -> None:
    """The softmax of [1, 0, 1] and its weighted sum, by hand."""
    e = math.e
    weights = (e / (2 * e + 1), 1 / (2 * e + 1), e / (2 * e + 1))
    layer = worked_example().layers[0]
    assert layer.scores[0] == (1, 0, 1)
    assert layer.weights[0] == pytest.approx(weights)
    assert layer.attended[0] == pytest.approx((weights[0] + weights[2], weights[1] + weights[2]))
    assert layer.inner[0] == pytest.approx([1.5 * x + 0.1 for x in layer.attended[0]])
    assert layer.outputs[0] == pytest.approx([0.8 * (1.5 * x + 0.1) - 0.1 for x in layer.attended[0]])


def test_the_second_layer_goes_on_from_the_first() -> None:
    first, second = worked_example().layers
    assert second.inputs == first.outputs
    for layer in (first, second):
        assert all(sum(row) == pytest.approx(1) for row in layer.weights)
        combined = torch.tensor(layer.weights) @ torch.tensor(layer.inputs)
        torch.testing.assert_close(combined, torch.tensor(layer.attended))


def test_identity_projections_change_nothing_and_the_network_is_the_texts() -> None:
    x = torch.tensor(EMBEDDINGS)
    attention = identity_attention()
    sentence = Packed.from_sequences([range(3)]).layout()
    assert torch.equal(attention.query_key_value_projection(x), torch.cat((x, x, x), dim=1))
    assert attention.scale == 1 and attention.backend == "reference" and attention.head_dim == 2
    first = worked_example().layers[0]
    torch.testing.assert_close(attention(x, sentence), torch.tensor(first.attended))
    assert example_feed_forward()(torch.tensor([1.5, 0.5])).tolist() == pytest.approx([1.78, 0.58])


def test_the_texts_figures_are_right_except_where_a_reason_is_given() -> None:
    for row in worked_example().comparison:
        is_right = row.text == pytest.approx(row.computed, abs=1e-5)
        assert is_right == (row.why == ""), row
    assert {(row.layer, row.quantity) for row in worked_example().comparison if row.why} == {
        (1, "softmax"), (1, "attention"), (1, "output"), (2, "softmax"), (2, "attention"),
    }  # fmt: skip


def test_the_example_leaves_the_random_generator_alone() -> None:
    state = torch.get_rng_state()
    assert worked_example() == worked_example()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_page_holds_what_the_command_writes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = format_worked_example(worked_example())
    assert all(line in page.splitlines() for line in written.splitlines())
    assert all(word in page for word in WORDS)
