"""Checks of the inputs of attention and of the loss, before any kernel starts.

Shapes, dtypes, devices and strides are always checked, since the host knows them. Offsets, lengths, cache slots and
labels are on the device, and reading them synchronizes. `reference` checks all of these but labels. With
TRANSLATOR_CHECK=1 all are checked everywhere, except under torch.compile and during the capture of a CUDA graph.
"""

from __future__ import annotations

import os
from itertools import pairwise

import torch
from torch import Tensor


def check_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    dropout_p: float,
    seeds: Tensor | None,
    backend: str,
) -> None:
    """Raise ValueError if arguments are invalid as far as the host knows; see `kernels.packed_attention`."""
    if any(x.ndim != 3 for x in (q, k, v)) or k.shape != v.shape or q.shape[1:] != k.shape[1:]:
        raise ValueError(
            "q, k and v must be (num_tokens, heads, head_dim), k and v alike, heads and head_dim shared. "
            f"Received: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}."
        )
    if len({x.dtype for x in (q, k, v)}) > 1 or not q.is_floating_point():
        raise ValueError(
            "q, k and v must have one floating-point dtype. "
            f"Received: {dtype_name(q)}, {dtype_name(k)}, {dtype_name(v)}."
        )
    tensors = [q, k, v, cu_seqlens_q, cu_seqlens_k, *([] if seeds is None else [seeds])]
    if len({x.device for x in tensors}) > 1:
        devices = ", ".join(str(x.device) for x in tensors)
        raise ValueError(f"q, k, v, their offsets and the seeds must be on one device. Received: {devices}.")
    if any(x.stride(-1) != 1 for x in (q, k, v)) and q.shape[-1] > 1:
        raise ValueError(
            "q, k and v must be contiguous in their last dimension; call .contiguous() first. "
            f"Received: strides {q.stride()}, {k.stride()}, {v.stride()}."
        )
    if cu_seqlens_q.dtype != torch.int32 or cu_seqlens_k.dtype != torch.int32:
        raise ValueError(
            f"cu_seqlens must be int32. Received: {dtype_name(cu_seqlens_q)} and {dtype_name(cu_seqlens_k)}."
        )
    if cu_seqlens_q.ndim != 1 or cu_seqlens_q.shape != cu_seqlens_k.shape or cu_seqlens_q.shape[0] < 1:
        raise ValueError(
            "cu_seqlens_q and cu_seqlens_k must be (num_sequences + 1,). "
            f"Received: {tuple(cu_seqlens_q.shape)} and {tuple(cu_seqlens_k.shape)}."
        )
    _check_dropout(dropout_p, seeds, cu_seqlens_q.shape[0] - 1, backend)


def _check_dropout(dropout_p: float, seeds: Tensor | None, num_sequences: int, backend: str) -> None:
    if not 0 <= dropout_p < 1:
        raise ValueError(f"dropout_p must be at least 0 and below 1. Received: {dropout_p}.")
    if dropout_p and seeds is None and backend != "sdpa":
        raise ValueError(f"dropout requires seeds. Received: dropout_p={dropout_p}, seeds=None.")
    if seeds is not None and (seeds.shape != (num_sequences,) or seeds.dtype != torch.int64):
        raise ValueError(
            f"seeds must be ({num_sequences},) int64, one per sequence. "
            f"Received: {tuple(seeds.shape)} {dtype_name(seeds)}."
        )


def is_checking_values(device: torch.device) -> bool:
    """Return True if TRANSLATOR_CHECK=1 requests checks that synchronize, and this is possible now."""
    if torch.compiler.is_compiling() or os.environ.get("TRANSLATOR_CHECK") != "1":
        return False
    return device.type != "cuda" or not torch.cuda.is_current_stream_capturing()


def check_offsets(name: str, cu_seqlens: Tensor, num_tokens: int, max_seqlen: int) -> None:
    """Raise ValueError if offsets are invalid or exceed the tensor or the bound; synchronizes with the device.

    Args:
        name: name of the argument, for the message.
        cu_seqlens: `(num_sequences + 1,)` int32.
        num_tokens: number of rows of the packed tensor.
        max_seqlen: upper bound on the length of each sequence.
    """
    offsets = cu_seqlens.tolist()
    lengths = [end - start for start, end in pairwise(offsets)]
    if offsets[0] != 0 or min(lengths, default=0) < 0:
        raise ValueError(f"{name} must start at 0 and never decrease. Received: {_abridged(offsets)}.")
    if offsets[-1] > num_tokens:
        raise ValueError(
            f"{name} must end within the {num_tokens} rows it divides. Received: {offsets[-1]} at its end."
        )
    if max(lengths, default=0) > max_seqlen:
        raise ValueError(
            f"No sequence of {name} may be longer than its max_seqlen, {max_seqlen}. Received: {max(lengths)} tokens."
        )


def check_history(length: Tensor, ancestry: Tensor | None, positions: int, slots: int) -> None:
    """Raise ValueError if a history exceeds its cache (see `kernels.decode_attention`); synchronizes with the device.

    Args:
        length: `(1,)` int32.
        ancestry: `(rows, positions)` int32, read up to `length`; None where each row has its own slot.
        positions: capacity of the cache in positions.
        slots: number of slots of the cache.
    """
    (filled,) = length.tolist()
    if not 0 <= filled <= positions:
        raise ValueError(f"length must be within the cache's {positions} positions. Received: {filled}.")
    if ancestry is not None:
        used = ancestry[:, :filled]
        wrong = used[(used < 0) | (used >= slots)].tolist()
        if wrong:
            raise ValueError(f"ancestry must name slots of the cache, 0 to {slots - 1}. Received: {_abridged(wrong)}.")


def check_sentences(starts: Tensor, lengths: Tensor, num_tokens: int, max_seqlen: int) -> None:
    """Raise ValueError if a sentence exceeds the keys or the bound; synchronizes with the device.

    Args:
        starts: `(sentences,)` int32.
        lengths: `(sentences,)` int32.
        num_tokens: number of keys.
        max_seqlen: upper bound on the length of each sentence.
    """
    bounds = list(zip(starts.tolist(), lengths.tolist(), strict=True))
    wrong = [
        f"{length} from {start} on" for start, length in bounds if min(start, length, num_tokens - start - length) < 0
    ]
    if wrong:
        raise ValueError(
            f"starts and lengths must be of keys among the {num_tokens} there are. Received: {', '.join(wrong[:8])}."
        )
    longest = max((length for _, length in bounds), default=0)
    if longest > max_seqlen:
        raise ValueError(f"No sentence may be longer than max_seqlen, {max_seqlen}. Received: {longest} keys.")


def check_loss(hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, ignore_index: int) -> None:
    """Raise ValueError if arguments are invalid as far as the host knows; see `kernels.linear_cross_entropy`."""
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            "hidden and weight must be (num_tokens, d_model) and (vocab_size, d_model). "
            f"Received: {tuple(hidden.shape)} and {tuple(weight.shape)}."
        )
    if labels.shape != hidden.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels must be ({hidden.shape[0]},) int64. Received: {tuple(labels.shape)} {dtype_name(labels)}."
        )
    if hidden.dtype != weight.dtype or not hidden.is_floating_point():
        raise ValueError(
            "hidden and weight must have one floating-point dtype. "
            f"Received: {dtype_name(hidden)} and {dtype_name(weight)}."
        )
    if len({x.device for x in (hidden, weight, labels)}) > 1:
        raise ValueError(
            "hidden, weight and labels must be on one device. "
            f"Received: {hidden.device}, {weight.device}, {labels.device}."
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be at least 0 and below 1. Received: {label_smoothing}.")
    if ignore_index >= 0:
        raise ValueError(f"ignore_index must be negative, unlike labels. Received: {ignore_index}.")


def check_labels(labels: Tensor, vocab_size: int, ignore_index: int) -> None:
    """Raise ValueError if a label is neither in the vocabulary nor `ignore_index`; synchronizes with the device."""
    wrong = labels[((labels < 0) | (labels >= vocab_size)) & (labels != ignore_index)].tolist()
    if wrong:
        raise ValueError(
            f"labels must be below vocab_size, {vocab_size}, or ignore_index, {ignore_index}. "
            f"Received: {_abridged(wrong)}."
        )


def dtype_name(x: Tensor) -> str:
    """Return the name of the dtype of `x`, such as float32."""
    return str(x.dtype).removeprefix("torch.")


def _abridged(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:8])
    return f"[{shown}{', ...' if len(numbers) > 8 else ''}]"
