"""Dropout, the feed-forward network, and where a layer norms."""

from __future__ import annotations

import pytest
import torch
from model_cases import random_batch
from torch import nn
from torch.nn import functional as F

from translator.model.dropout import Dropout, DropoutKeys
from translator.model.layers import FeedForward, LayerOptions, TransformerLayer, TransformerStack
from translator.packing import SequenceLayout


def layer_of(norm: str) -> TransformerLayer:
    torch.manual_seed(0)
    return TransformerLayer(LayerOptions(16, 24, norm=norm), 4, causal=False, cross_attention=False)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_layer_agrees_with_torchs_own(norm: str) -> None:
    ours = layer_of(norm)
    theirs = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, norm_first=norm == "pre", batch_first=True)
    attention, feed_forward = ours.self_attention, ours.feed_forward
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(attention.query_key_value_projection.weight)
        theirs.self_attn.in_proj_bias.copy_(attention.query_key_value_projection.bias)
        theirs.self_attn.out_proj.load_state_dict(attention.output_projection.state_dict())
        theirs.linear1.load_state_dict(feed_forward.inner_projection.state_dict())
        theirs.linear2.load_state_dict(feed_forward.output_projection.state_dict())
    x, layout = torch.randn(7, 16), random_batch([7], [1]).source.layout()
    torch.testing.assert_close(ours(x, layout), theirs(x[None])[0])


def test_post_norm_leaves_a_layer_with_normed_rows_and_pre_norm_with_a_residual() -> None:
    x, layout = 5 + 3 * torch.randn(7, 16), random_batch([7], [1]).source.layout()
    post, pre = (layer_of(norm)(x, layout) for norm in ("post", "pre"))
    torch.testing.assert_close(post.mean(-1), torch.zeros(7), rtol=0, atol=1e-5)
    torch.testing.assert_close(post.std(-1, correction=0), torch.ones(7), rtol=0, atol=1e-3)
    assert (pre - x).abs().mean() < x.abs().mean()


@pytest.mark.parametrize(("activation", "function"), [("relu", F.relu), ("gelu", F.gelu), ("swish", F.silu)])
def test_the_feed_forward_network_is_two_layers_with_an_activation_between(activation: str, function: object) -> None:
    network, x = FeedForward(8, 12, activation), torch.randn(3, 8)
    expected = network.output_projection(function(network.inner_projection(x)))  # type: ignore[operator]
    torch.testing.assert_close(network(x), expected)


def test_swiglu_is_gated_by_a_third_layer_of_the_same_width() -> None:
    network, x = FeedForward(8, 12, "swiglu"), torch.randn(3, 8)
    gate, inner = network.inner_projection(x).split(12, dim=-1)
    torch.testing.assert_close(network(x), network.output_projection(F.silu(gate) * inner))


def keys(count: int, seed: int = 0) -> DropoutKeys:
    """Keys of one sequence of tokens."""
    layout = SequenceLayout(torch.tensor([0, count], dtype=torch.int32), count, torch.arange(count))
    return DropoutKeys.of(torch.tensor([seed]), layout)


def test_dropout_has_its_rate_keeps_the_expectation_and_repeats_with_the_seed() -> None:
    dropout, x = Dropout(0.3), torch.ones(200, 500)
    dropped = dropout(x, keys(200))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(dropped, dropout(x, keys(200)))
    assert not torch.equal(dropped, dropout(x, keys(200), site=1)) and not torch.equal(
        dropped, dropout(x, keys(200, 1))
    )


def test_dropout_gradients_pass_where_the_values_passed() -> None:
    x = torch.randn(50, 50, requires_grad=True)
    dropped = Dropout(0.5)(x, keys(50))
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, (dropped != 0).float() * 2)


def test_adding_to_a_residual_is_dropout_and_then_a_sum() -> None:
    dropout, x, residual = Dropout(0.3), torch.randn(20, 30), torch.randn(20, 30)
    expected = residual + dropout(x, keys(20))
    torch.testing.assert_close(dropout.added_to(residual, x, keys(20)), expected)
    assert torch.equal(dropout.eval().added_to(residual, x), residual + x)


@pytest.mark.parametrize("dropout", [Dropout(0.0), Dropout(0.3).eval()])
def test_dropout_that_is_off_is_the_identity(dropout: Dropout) -> None:
    x = torch.randn(3)
    assert dropout(x) is x


def test_a_stack_ends_with_a_norm_if_configured() -> None:
    options, layout = LayerOptions(16, 24), random_batch([7], [1]).source.layout()
    x = 4 * torch.randn(7, 16)
    for final_norm in (True, False):
        stack = TransformerStack(options, [4, 2], causal=False, cross_attention=False, final_norm=final_norm)
        is_normed = torch.allclose(stack(x, layout).mean(-1), torch.zeros(7), atol=1e-5)
        assert is_normed == final_norm
