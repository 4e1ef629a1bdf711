"""Guided alignment: the loss of one head against links, over packed sequences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from model_cases import PackedBatch, random_batch, small_model
from torch import Tensor

from translator.data.batch import Batch, Capacity
from translator.kernels.reference import attention_weights
from translator.model import EncoderDecoder
from translator.model.guided_alignment import alignment_loss
from translator.packing import Packed, TokenLinks

# Sequence, place in the target, place in the source, weight. Target tokens 1 of sequence 0 and 0 of 2 have two links.
LINKS = [(0, 0, 4, 1.0), (0, 1, 0, 0.5), (0, 1, 3, 0.5), (2, 0, 1, 0.5), (2, 0, 2, 0.5), (2, 2, 0, 1.0)]
LENGTHS = [5, 1, 3], [4, 2, 3]


def token_links(links: list[tuple[int, int, int, float]] = LINKS) -> TokenLinks:
    places = torch.tensor([link[:3] for link in links], dtype=torch.int64).reshape(-1, 3).T
    return TokenLinks(places, torch.tensor([link[3] for link in links]))


def batch_with(links: TokenLinks | None) -> PackedBatch:
    return replace(random_batch(*LENGTHS), links=links)


def guided_model() -> EncoderDecoder:
    """A model whose heads differ in their attention; the first layer of the decoder has four."""
    model = small_model(alignment_layer=1, alignment_head=3)
    attention = model.decoder_layers()[0].cross_attention
    assert attention is not None
    with torch.no_grad():
        attention.query_projection.weight *= 5
    return model


def guidance(model: EncoderDecoder, links: TokenLinks) -> Tensor:
    """The loss that the links add."""
    return model.guided_loss(batch_with(links), None, torch.ones(()))[0] - model.loss(batch_with(links))[0]


def test_the_loss_is_the_cross_entropy_of_the_weights_of_the_head() -> None:
    model, batch = guided_model(), batch_with(None)
    attention = model.decoder_layers()[0].cross_attention
    assert attention is not None
    seen: list[tuple[Tensor, ...]] = []
    attention.register_forward_hook(lambda module, inputs, out: seen.append(module.queries_keys_values(*inputs)))
    model(batch.source, batch.target_input)
    queries, keys, _ = seen[0]
    rows, columns = (list(pairwise(each.cu_seqlens.tolist())) for each in (batch.target_input, batch.source))
    expected = torch.zeros(())
    for sequence, target, source, weight in LINKS:
        parts = queries[slice(*rows[sequence])], keys[slice(*columns[sequence])]
        weights = attention_weights(*parts, causal=False, scale=attention.scale)
        expected = expected - weight * weights[2, target, source].log()
    torch.testing.assert_close(guidance(model, token_links()), expected, rtol=1e-5, atol=1e-5)


def test_a_gradient_step_moves_the_weights_of_the_head_towards_the_links() -> None:
    model, links = guided_model(), token_links()
    before = guidance(model, links)
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.002 * parameter.grad
    assert guidance(model, links) < before - 0.1


def test_only_queries_and_keys_of_the_head_learn_from_links_directly() -> None:
    model = guided_model()
    guidance(model, token_links()).backward()
    attention = model.decoder_layers()[0].cross_attention
    assert attention is not None
    for gradient in (attention.query_projection.weight.grad, attention.key_value_projection.weight.grad):
        assert gradient is not None
        norms = gradient.view(-1, attention.num_heads, attention.head_dim * 16).norm(dim=2)
        assert (norms[0] > 1e-4).tolist() == [False, False, True, False]
        assert (norms[1:] < 1e-6).all()  # values


def test_the_alignment_loss_is_returned_alone_and_added_with_its_factor() -> None:
    model, batch = guided_model(), batch_with(token_links())
    alone, count = model.loss(batch)
    both, same, alignment = model.guided_loss(batch, None, torch.tensor(0.3))
    assert alignment > 0 and not alignment.requires_grad
    torch.testing.assert_close(both, alone + 0.3 * alignment)
    assert count == same == sum(LENGTHS[1])
    assert alone == model.loss(batch_with(None))[0]


def test_links_of_no_token_add_nothing() -> None:
    assert guidance(guided_model(), token_links([])) == 0


def test_the_loss_does_not_depend_on_padding_and_its_gradients_stay_finite() -> None:
    plain = random_batch(*LENGTHS)
    seeds = torch.arange(3)
    whole = Batch(0, plain.source, plain.target_input, plain.labels, 9, seeds, token_links())
    padded = whole.padded(Capacity(source_tokens=16, target_tokens=12, sequences=6, max_seqlen=32))
    found = []
    for batch in (whole, padded):
        model = guided_model()
        loss, *_ = model.guided_loss(batch, None, torch.ones(()))
        loss.backward()
        found.append([loss, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_float32(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    packed = [Packed.from_sequences([torch.zeros(n) for n in lengths], torch.float32) for lengths in LENGTHS]
    keys, queries = (torch.randn(len(each.values), 8, generator=generator) for each in packed)
    layouts = packed[1].layout(), packed[0].layout()
    exact = alignment_loss(queries, keys, *layouts, 0.5, token_links())
    rounded = alignment_loss(queries.to(dtype), keys.to(dtype), *layouts, 0.5, token_links())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.02)
