"""Multi-head attention."""

from __future__ import annotations

import pytest
import torch
from model_cases import random_batch

from translator.model.attention import CrossAttention, SelfAttention
from translator.model.caches import KeyValueCache


def test_it_agrees_with_torchs_own_module() -> None:
    torch.manual_seed(0)
    ours, theirs = CrossAttention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((ours.query_projection.weight, ours.key_value_projection.weight)))
        theirs.in_proj_bias.copy_(torch.cat((ours.query_projection.bias, ours.key_value_projection.bias)))
        theirs.out_proj.load_state_dict(ours.output_projection.state_dict())
    batch = random_batch([6], [9])
    x, memory = torch.randn(9, 16), torch.randn(6, 16)
    expected = theirs(x[None], memory[None], memory[None], need_weights=False)[0][0]
    attended = ours(x, batch.target_input.layout(), memory, batch.source.layout())
    torch.testing.assert_close(attended, expected)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(
        ValueError, match=r"d_model must be divisible by num_heads\. Received: d_model=510, num_heads=8."
    ):
        SelfAttention(510, 8)


def test_an_explicit_scale_replaces_the_default_in_training_and_in_decoding() -> None:
    torch.manual_seed(0)
    default, half, flat = (SelfAttention(16, 4, causal=True, scale=scale) for scale in (None, 0.5, 0.0))
    half.load_state_dict(default.state_dict())
    layout = random_batch([5], [5]).source.layout()
    x = torch.randn(5, 16)
    with torch.no_grad():
        assert torch.equal(default(x, layout), half(x, layout))  # head_dim is 4
        cache = KeyValueCache()
        stepped = [flat.step(row[None], cache, i) for i, row in enumerate(x)]
        torch.testing.assert_close(torch.cat(stepped), flat(x, layout))


@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_attention_dropout_is_a_function_of_its_seed_in_training_and_off_in_evaluation(
    kind: type[SelfAttention | CrossAttention],
) -> None:
    attention = kind(16, 4, dropout=0.5)
    layout = random_batch([5], [5]).source.layout()
    x = torch.randn(5, 16)
    inputs = (x, layout) if kind is SelfAttention else (x, layout, x, layout)

    def attended(seed: int, global_seed: int = 0) -> torch.Tensor:
        torch.manual_seed(global_seed)
        return attention(*inputs, seeds=torch.tensor([seed]))

    assert torch.equal(attended(1), attended(1, global_seed=5)) and not torch.equal(attended(1), attended(2))
    with pytest.raises(ValueError, match=r"dropout requires seeds\. Received: dropout_p=0\.5, seeds=None\."):
        attention(*inputs)
    attention.eval()
    assert torch.equal(attended(1), attention(*inputs))


def test_self_attention_equals_cross_attention_to_the_same_sequences() -> None:
    torch.manual_seed(0)
    ours, crossing = SelfAttention(16, 4), CrossAttention(16, 4)
    with torch.no_grad():
        for kind in ("weight", "bias"):
            joint = getattr(ours.query_key_value_projection, kind)
            getattr(crossing.query_projection, kind).copy_(joint[:16])
            getattr(crossing.key_value_projection, kind).copy_(joint[16:])
        crossing.output_projection.load_state_dict(ours.output_projection.state_dict())
    layout = random_batch([5, 3], [5]).source.layout()
    x = torch.randn(8, 16)
    torch.testing.assert_close(ours(x, layout), crossing(x, layout, x, layout))
    theirs = crossing.queries_keys_values(x, layout, x, layout)
    for mine, other in zip(ours.queries_keys_values(x, layout), theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_rotary_positions_rotate_queries_and_keys_but_not_values() -> None:
    torch.manual_seed(0)
    rotated, plain = SelfAttention(16, 4, max_positions=9), SelfAttention(16, 4)
    plain.load_state_dict(rotated.state_dict())
    x, layout = torch.randn(5, 16), random_batch([3, 2], [1]).source.layout()
    queries, keys, values = plain.queries_keys_values(x, layout)
    assert rotated.rotary is not None
    expected = rotated.rotary(queries, layout.positions), rotated.rotary(keys, layout.positions), values
    for mine, right in zip(rotated.queries_keys_values(x, layout), expected, strict=True):
        assert torch.equal(mine, right)
