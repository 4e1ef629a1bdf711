"""Multi-head attention and the key-value cache."""

from __future__ import annotations

import pytest
import torch
from model_cases import random_batch
from torch.nn import functional as F

from translator.model.attention import CrossAttention, CrossMemory, KeyValueCache, SelfAttention


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


def test_a_cache_keeps_every_token_while_it_grows() -> None:
    keys, values = torch.randn(2, 50, 3, 2, 4).unbind(0)  # (length, rows, heads, head_dim)
    cache = KeyValueCache()
    for i in range(50):
        cached_keys, cached_values = cache.append(keys[i], values[i])
        assert cache.length == i + 1
    assert torch.equal(cached_keys, keys.permute(1, 2, 0, 3))
    assert torch.equal(cached_values, values.permute(1, 2, 0, 3))


def test_a_reordered_cache_repeats_and_forgets_rows() -> None:
    cache = KeyValueCache()
    cache.reorder(torch.tensor([0]))  # nothing to reorder yet
    first, second = torch.randn(2, 3, 2, 4), torch.randn(2, 2, 2, 4)
    cache.append(*first)
    cache.reorder(torch.tensor([2, 2]))
    keys, values = cache.append(*second)
    expected = torch.stack((first[:, [2, 2]], second), dim=3)
    assert torch.equal(keys, expected[0]) and torch.equal(values, expected[1])


def test_selected_memories_are_those_of_the_sentences() -> None:
    memory = CrossMemory(torch.randn(3, 2, 5, 4), torch.randn(3, 2, 5, 4), torch.randn(3, 1, 1, 5))
    selected = memory.select(torch.tensor([0, 2]))
    assert torch.equal(selected.keys, memory.keys[[0, 2]])
    assert torch.equal(selected.values, memory.values[[0, 2]])
    assert torch.equal(selected.bias, memory.bias[[0, 2]])


def test_rows_of_one_sentence_share_its_memory_in_a_step() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(16, 4)
    memory = torch.randn(10, 16)  # two sentences of five tokens
    keys, values = (x.unflatten(0, (2, 5)).transpose(1, 2) for x in attention.keys_and_values(memory))
    bias = torch.tensor([[0.0] * 5, [0.0] * 3 + [-torch.inf] * 2])[:, None, None].repeat(1, 4, 1, 1)
    x = torch.randn(6, 16)  # three rows for each sentence
    stepped = attention.step(x, CrossMemory(keys, values, bias))
    for row in range(6):
        one = CrossMemory(keys[[row // 3]], values[[row // 3]], bias[[row // 3]])
        torch.testing.assert_close(stepped[[row]], attention.step(x[[row]], one))
    queries = attention.query_projection(x[3:4]).view(1, 1, 4, 4).transpose(1, 2)
    expected = F.scaled_dot_product_attention(queries, keys[1:, :, :3], values[1:, :, :3])
    torch.testing.assert_close(stepped[3:4], attention.output_projection(expected.reshape(1, 16)))
