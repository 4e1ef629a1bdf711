"""Cross-attention between given pairs: what each output token attends to in its source."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from translator.kernels.reference import attention_weights
from translator.model import EncoderDecoder
from translator.model.attention import CrossAttention
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID


@torch.inference_mode()
def cross_attention_weights(
    model: EncoderDecoder,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    device: torch.device,
) -> list[Tensor]:
    """Return the weights of the model's alignment layer in the step that predicts each token.

    They are those of its alignment head, or the mean over its heads if it has none.

    Args:
        model: the model, on `device`.
        sources: ids of each source, without EOS.
        targets: ids of each target, without EOS.
        device: device that computes.

    Returns:
        For each pair `(len(target), len(source))` float32 on the CPU, without the weight of EOS.
    """
    source = Packed.from_sequences([[*ids, EOS_ID] for ids in sources]).to(device)
    target_input = Packed.from_sequences([[BOS_ID, *ids[:-1]] for ids in targets]).to(device)
    attention = model.decoder_layers()[model.alignment_layer].cross_attention
    assert attention is not None
    projected: list[tuple[Tensor, ...]] = []
    thread = get_ident()

    def keep(module: CrossAttention, inputs: tuple[Any, ...], output: Tensor) -> None:
        if get_ident() == thread:  # another thread may score with the same model
            projected.append(module.queries_keys_values(*inputs)[:2])

    hook = attention.register_forward_hook(keep)
    try:
        model(source, target_input)
    finally:
        hook.remove()
    heads = slice(None) if model.alignment_head is None else slice(model.alignment_head, model.alignment_head + 1)
    queries, keys = (each[:, heads] for each in projected[0])
    rows, columns = (pairwise(each.cu_seqlens.tolist()) for each in (target_input, source))
    return [
        attention_weights(queries[row:row_end], keys[column:column_end], causal=False, scale=attention.scale)
        .float()
        .mean(dim=0)[: len(ids), :-1]
        .cpu()
        for ids, (row, row_end), (column, column_end) in zip(targets, rows, columns, strict=True)
    ]
