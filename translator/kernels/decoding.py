"""Attention of one new token per row in decoding: checks, and the choice between Triton and plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from translator.kernels import reference
from translator.kernels.backends import choose_backend
from translator.kernels.checks import check_history, check_sentences, dtype_name, is_checking_values


def decode_attention(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    length: Tensor,
    ancestry: Tensor | None = None,
    *,
    scale: float | None = None,
    backend: str = "auto",
) -> Tensor:
    """Self-attention of one query per row over a static cache.

    Position t of the history of row n is in slot `ancestry[n, t]` of the cache. To reorder hypotheses, beam search
    reorders rows of the ancestry, a few bytes each, instead of the cache.

    Args:
        q: `(rows, heads, head_dim)`, floating point.
        keys: `(positions, slots, heads, head_dim)`, same dtype; capacity for the longest history.
        values: same shape and dtype as `keys`.
        length: `(1,)` int32, number of filled positions including this step's; read on the device.
        ancestry: `(rows, positions)` int32; None if the history of row n is in slot n.
        scale: factor on the scores; `head_dim ** -0.5` by default.
        backend: `triton`, or any other for plain torch; `auto` selects `triton` on CUDA.

    Returns:
        `(rows, heads, head_dim)`, dtype of `q`; zeros where `length` is 0.

    Raises:
        ValueError: if shapes, dtypes, devices or the backend do not fit. In `reference`, and with TRANSLATOR_CHECK=1,
            also if indices exceed the cache or the keys.
    """
    _check(q, keys, values, 4, length, *([] if ancestry is None else [ancestry]))
    rows = q.shape[0]
    if length.shape != (1,) or (ancestry is None and rows > keys.shape[1]):
        raise ValueError(
            "length must be (1,), and without ancestry there must be a slot for each row. "
            f"Received: length {tuple(length.shape)}, {rows} rows, {keys.shape[1]} slots."
        )
    if ancestry is not None and ancestry.shape != (rows, keys.shape[0]):
        raise ValueError(
            f"ancestry must be (rows, positions), ({rows}, {keys.shape[0]}). Received: {tuple(ancestry.shape)}."
        )
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    backend = choose_backend(backend, q.device.type, q.dtype, q.shape[-1])
    if backend == "reference" or is_checking_values(q.device):
        check_history(length, ancestry, keys.shape[0], keys.shape[1])
    if backend == "triton":
        from translator.kernels.triton_decode import triton_decode_attention

        ancestry = None if ancestry is None else ancestry.contiguous()
        out: Tensor = triton_decode_attention(q, keys, values, length, ancestry, scale)
        return out
    return reference.decode_attention(q, keys, values, length, ancestry, scale=scale)


def decode_cross_attention(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    starts: Tensor,
    lengths: Tensor,
    max_seqlen: int,
    *,
    scale: float | None = None,
    backend: str = "auto",
) -> Tensor:
    """Attention of one query per row over the packed keys of its sentence, which all beams share.

    Args:
        q: `(sentences * beams, heads, head_dim)`, the beams of a sentence adjacent, floating point.
        keys: `(num_tokens, heads, head_dim)`, same dtype.
        values: same shape and dtype as `keys`.
        starts: `(sentences,)` int32, first key of each sentence; in any order.
        lengths: `(sentences,)` int32, number of keys of each sentence.
        max_seqlen: upper bound on the length of a sentence.
        scale: factor on the scores; `head_dim ** -0.5` by default.
        backend: as in `decode_attention`.

    Returns:
        `(sentences * beams, heads, head_dim)`, dtype of `q`; zeros for a sentence without tokens.

    Raises:
        ValueError: if shapes, dtypes, devices or the backend do not fit. In `reference`, and with TRANSLATOR_CHECK=1,
            also if indices exceed the cache or the keys.
    """
    _check(q, keys, values, 3, starts, lengths)
    if starts.ndim != 1 or starts.shape != lengths.shape or q.shape[0] % max(1, starts.shape[0]):
        raise ValueError(
            "starts and lengths must be (sentences,) and each sentence have as many rows. "
            f"Received: {tuple(starts.shape)} and {tuple(lengths.shape)} for {q.shape[0]} rows."
        )
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    backend = choose_backend(backend, q.device.type, q.dtype, q.shape[-1])
    if backend == "reference" or is_checking_values(q.device):
        check_sentences(starts, lengths, keys.shape[0], max_seqlen)
    if backend == "triton":
        from translator.kernels.triton_decode import triton_decode_cross_attention

        starts, lengths = starts.contiguous(), lengths.contiguous()
        out: Tensor = triton_decode_cross_attention(q, keys, values, starts, lengths, max_seqlen, scale)
        return out
    return reference.decode_cross_attention(q, keys, values, starts, lengths, max_seqlen, scale=scale)


def _check(q: Tensor, keys: Tensor, values: Tensor, ndim: int, *indices: Tensor) -> None:
    if q.ndim != 3 or keys.ndim != ndim or keys.shape != values.shape or q.shape[1:] != keys.shape[-2:]:
        raise ValueError(
            f"q must be (rows, heads, head_dim), keys and values of {ndim} dimensions and alike, heads and head_dim "
            f"shared. Received: q {tuple(q.shape)}, keys {tuple(keys.shape)}, values {tuple(values.shape)}."
        )
    if len({x.dtype for x in (q, keys, values)}) > 1 or not q.is_floating_point():
        raise ValueError(
            "q, keys and values must have one floating-point dtype. "
            f"Received: {dtype_name(q)}, {dtype_name(keys)}, {dtype_name(values)}."
        )
    if any(x.dtype != torch.int32 for x in indices):
        names = ", ".join(dtype_name(x) for x in indices)
        raise ValueError(f"length, ancestry, starts and lengths must be int32. Received: {names}.")
    if len({x.device for x in (q, keys, values, *indices)}) > 1:
        devices = ", ".join(str(x.device) for x in (q, keys, values, *indices))
        raise ValueError(f"All tensors must be on one device. Received: {devices}.")
    if any(x.stride(-1) != 1 for x in (q, keys, values)):
        raise ValueError(
            "q, keys and values must be contiguous in their last dimension; call .contiguous() first. "
            f"Received: strides {q.stride()}, {keys.stride()}, {values.stride()}."
        )
