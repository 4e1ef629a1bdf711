"""Caches and memories of decoding."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from translator.model.attention import CrossAttention
from translator.model.caches import CrossMemory, KeyValueCache


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
